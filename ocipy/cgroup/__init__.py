"""Control groups: where a container's are, what is written there, and how they come to an end."""
