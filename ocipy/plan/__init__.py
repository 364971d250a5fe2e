"""Deciding: config.json and host facts in, a flat list of steps out. Pure."""
