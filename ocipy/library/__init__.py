"""What `import ocipy` offers to programs: containers as objects, made by what the commands call.

    config.py     Config: a config.json that was accepted, from a file, a text or a dict
    bundle.py     Bundle: a directory with one
    plan.py       Plan: what `create` would do
    container.py  Container: one that exists; run(): one that comes and goes
    process.py    Process: one process, waited for in a thread or in an event loop
    streams.py    the standard streams of a process

Nothing here installs a signal handler, changes a directory or prints; warnings go to the logger
"ocipy". A module of this package may import what it likes: no command does import it at start-up.
"""
