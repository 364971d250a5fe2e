"""One file per verb: its steps in the order of the life cycle, no logic."""
