"""What this host can do: facts read once, which planners may know."""
