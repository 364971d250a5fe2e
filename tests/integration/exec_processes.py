"""Processes that join a container."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.bundles import PATH

if TYPE_CHECKING:
    from tests.integration.containers import Container


def sh(container: Container, script: str, *options: str, **popen: Any) -> str:
    return container.exec("/bin/sh", "-c", script, options=options, **popen).out.strip()


def process_file(directory: str, **members: Any) -> str:
    """Write a process.json with these members and return its path."""
    process = {"args": ["/bin/true"], "cwd": "/", "env": [PATH], "user": {"uid": 0, "gid": 0}}
    path = f"{directory}/process.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(process | members, file)
    return path
