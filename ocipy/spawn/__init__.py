"""Doing: from a plan to a running init."""
