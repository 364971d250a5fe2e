"""Things left behind on purpose: the walk has to notice every kind of them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.walk import Walk

KINDS = ("process", "cgroup", "mount", "state", "descriptor", "network device", "file", "lie")
_planted: dict[str, int] = {}


def plant(kind: str, walk: Walk) -> None:
    """Leave one thing behind; nothing for ""."""
    if kind == "process":
        _planted[kind] = os.posix_spawn("/bin/busybox", ["sleep", "100000"], {})
    elif kind == "cgroup":
        # Beside the container's own: `delete` removes all that is below that.
        os.mkdir(f"{walk.world.roots[0]}/{walk.world.tag}planted")
    elif kind == "mount":
        os.makedirs(f"{walk.directory}/planted", exist_ok=True)
        command = ["mount", "-t", "tmpfs", "none", f"{walk.directory}/planted"]
        subprocess.run(command, check=True)
    elif kind == "state":
        os.makedirs(f"{walk.root}/planted", exist_ok=True)
    elif kind == "descriptor":
        _planted[kind] = os.memfd_create("planted", 0)
    elif kind == "network device":
        subprocess.run(["ip", "link", "add", "planted", "type", "veth"], check=True)
    elif kind == "file":
        with open(f"{walk.bundle.path}/planted", "x", encoding="ascii"):
            pass
    elif kind == "lie":
        path = f"{walk.root}/{walk.id}/state.json"
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        record["pid"] = 0
        with open(path, "w", encoding="utf-8") as file:
            json.dump(record, file)


def uproot(kind: str, walk: Walk) -> None:
    """Take it away again; what the walk clears away itself may be gone."""
    if kind == "process":
        os.kill(_planted[kind], 9)
    elif kind == "cgroup":
        os.rmdir(f"{walk.world.roots[0]}/{walk.world.tag}planted")
    elif kind == "mount":
        subprocess.run(["umount", f"{walk.directory}/planted"], check=True)
        os.rmdir(f"{walk.directory}/planted")
    elif kind == "state":
        os.rmdir(f"{walk.root}/planted")
    elif kind == "descriptor":
        os.close(_planted[kind])
    elif kind == "network device":
        subprocess.run(["ip", "link", "del", "planted"], check=True)
    elif kind == "file":
        os.unlink(f"{walk.bundle.path}/planted")
