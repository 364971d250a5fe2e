"""What ocipy remembers of a container between two commands."""
