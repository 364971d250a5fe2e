"""What the kernel says of a container's cgroup, in whichever hierarchy has the controller."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.integration.leftovers import cgroup_roots

if TYPE_CHECKING:
    from tests.integration.containers import Container

PURE_V2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def path(container: Container, name: str) -> str:
    """Return the path of a file in the container's cgroup.

    A v2 host has everything in one directory; in v1 the first word of the name is the controller.
    """
    if PURE_V2:
        return f"/sys/fs/cgroup/{container.id}/{name}"
    for root in cgroup_roots():
        found = f"{root}/{container.id}/{name}"
        if os.path.exists(found):
            return found
    raise FileNotFoundError(name)


def has(container: Container, name: str) -> bool:
    try:
        return os.path.exists(path(container, name))
    except FileNotFoundError:
        return False


def read(container: Container, v1: str, v2: str) -> str:
    """Return the content, stripped, of the file with this name in v1 or in v2; "" for neither."""
    name = v2 if PURE_V2 else v1
    if not name:
        return ""
    with open(path(container, name), encoding="utf-8") as file:
        return file.read().strip()


def key(container: Container, v1: str, v2: str, name: str) -> int:
    """Return the number behind `name` in a file of "name number" lines."""
    for line in read(container, v1, v2).splitlines():
        word, _, value = line.partition(" ")
        if word == name:
            return int(value)
    raise AssertionError(f"no {name} in {v2 if PURE_V2 else v1}")
