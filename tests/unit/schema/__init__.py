"""The schema and what is compiled from it, against each other and against the official one."""
