"""What is written of the option tables: man pages, and pages of the site. Not installed."""
