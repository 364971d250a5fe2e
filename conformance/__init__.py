"""A conformance suite for OCI runtimes: runtime-spec 1.3 on Linux, as cases for any runtime.

    python -m conformance --runtime /usr/sbin/runc -k mounts

A runtime is driven by its command line alone (`create`, `start`, `state`, `kill`, `delete`, as runc
has them). Nothing here knows a runtime from the inside, and nothing but the standard library is
imported. What each key word of the specification became is in accounting.toml.
"""
