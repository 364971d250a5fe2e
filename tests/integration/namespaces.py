"""The types of namespaces, their names elsewhere, and where a process is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.bundles import with_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.containers import Container

# The types of config.json and their names in /proc/PID/ns.
FILES = {
    "cgroup": "cgroup",
    "ipc": "ipc",
    "mount": "mnt",
    "network": "net",
    "pid": "pid",
    "time": "time",
    "user": "user",
    "uts": "uts",
}

# What unshare(1) calls those that a container of the tests joins.
SLEEPERS = {
    "network": "--net",
    "ipc": "--ipc",
    "uts": "--uts",
    "cgroup": "--cgroup",
}


def namespace(pid: int | str, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{FILES[kind]}")


def map_ids(container: Container, host: int = 100000, size: int = 65536) -> None:
    """Give the container a user namespace whose root is `host`."""
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": host, "size": size}]
    container.linux["uidMappings"] = mapping
    container.linux["gidMappings"] = list(mapping)
    for directory, directories, files in os.walk(container.bundle.rootfs):
        for name in (".", *directories, *files):
            path = f"{directory}/{name}"
            if os.stat(path, follow_symlinks=False).st_nlink == 1 or os.path.isdir(path):
                os.chown(path, host, host, follow_symlinks=False)


def up_and_sharing(
    container: Container, make_container: Callable[[], Container]
) -> tuple[int, Container]:
    """Run the container with mapped ids; return its pid, and another for the same ids.

    Of the other's mappings nothing is in its config.json: it has those of what it joins.
    """
    map_ids(container)
    pid = container.up()
    other = make_container()
    map_ids(other)
    del other.linux["uidMappings"], other.linux["gidMappings"]
    return pid, other
