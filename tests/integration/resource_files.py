"""The files of a container's cgroup, in version 1 and 2 of cgroups."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.containers import Container

ROOT = "/sys/fs/cgroup"
PURE_V2 = os.path.exists(f"{ROOT}/cgroup.controllers")


def path(container: Container, name: str) -> str:
    """Return the path of e.g. `memory.max` (v2) or `memory/memory.limit_in_bytes` (v1)."""
    if PURE_V2:
        return f"{ROOT}/{container.id}/{name}"
    controller, _, file = name.partition("/")
    return f"{ROOT}/{controller}/{container.id}/{file}"


def read(container: Container, name: str) -> str:
    with open(path(container, name), encoding="utf-8") as file:
        return file.read().strip()


def exists(container: Container, name: str) -> bool:
    return os.path.exists(path(container, name))


def check(container: Container, expected: dict[str, str]) -> None:
    """Compare files with contents; a content is a line of the file or all of it."""
    wrong = []
    for name, content in expected.items():
        got = read(container, name)
        if content != got and content not in got.splitlines():
            wrong.append(f"{name}: {got!r}, and not {content!r}")
    assert not wrong, wrong
