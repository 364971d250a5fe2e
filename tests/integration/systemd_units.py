"""What systemd says of units."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def systemctl(*words: str, check: bool = True, **options: Any) -> str:
    done = subprocess.run(
        ["systemctl", "--no-pager", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )
    assert not check or done.returncode == 0, (words, done)
    output: str = done.stdout
    return output.strip()


def show(unit: str, *names: str, manager: str = "--system", **options: Any) -> dict[str, str]:
    """Return properties of a unit, all or those of the names."""
    chosen = [f"--property={','.join(names)}"] if names else []
    lines = systemctl(manager, "show", *chosen, unit, **options).splitlines()
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition("=")
        # A list of several has a line for each.
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return found


def is_loaded(unit: str) -> bool:
    return show(unit, "LoadState")["LoadState"] == "loaded"


def cgroup_of(pid: int) -> str:
    """Return the directory of the cgroup that a process is in."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        return f"/sys/fs/cgroup{file.read().strip().removeprefix('0::')}"


def scope_of(pid: int) -> tuple[str, str]:
    """Return the scope that a process is in, and the directory of the scope's cgroup."""
    path = cgroup_of(pid)
    if not path.endswith(".scope"):
        path = os.path.dirname(path)  # crun makes a cgroup below it for the container
    return os.path.basename(path), path


def values(directory: str) -> dict[str, str]:
    """Return what is in the files of a cgroup that hold limits."""
    return dict(_values(directory))


def _values(directory: str) -> Iterator[tuple[str, str]]:
    for name in sorted(os.listdir(directory)):
        if name.endswith((".max", ".min", ".low", ".high", ".weight")) or name == "cpuset.cpus":
            with open(f"{directory}/{name}", encoding="utf-8") as file:
                yield name, file.read().strip()
