"""What is really there: read from the kernel and the records, for people and for scripts.

Nothing here is imported by the commands that make, start, end or delete containers.
"""
