"""What a runtime has left on the host, found by the tag that a case's names all carry."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def cgroup_roots() -> list[str]:
    """Return the top directory of each cgroup hierarchy that is mounted."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        fields = [line.split(" ") for line in mounts]
    roots = [f[1] for f in fields if f[2] in ("cgroup", "cgroup2")]
    # What another mount hides is not to be reached.
    return [root for root in roots if os.path.exists(f"{root}/cgroup.procs")]


def cgroups(tag: str) -> list[str]:
    """Return the cgroups with `tag` in their path, deepest first."""
    return [path for root in cgroup_roots() for path in _below(root) if tag in path]


def _below(directory: str) -> Iterator[str]:
    """Yield the cgroups below one, deepest first."""
    try:
        # Each directory in it counts as a link: most cgroups have none, and many files.
        if os.stat(directory).st_nlink == 2:
            return
        children = [
            entry.path for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)
        ]
    except FileNotFoundError:
        return
    for child in children:
        yield from _below(child)
        yield child


def mounts(tag: str) -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8") as mountinfo:
        return [line.split(" ")[4] for line in mountinfo if tag in line]


def processes() -> dict[int, str]:
    """Return the living descendants of this process, as pid: command.

    It is a subreaper: whatever a runtime leaves without a parent ends up below it.
    """
    found: dict[int, str] = {}
    waiting = [os.getpid()]
    while waiting:
        pid = waiting.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="utf-8") as file:
                    waiting += map(int, file.read().split())
            if pid != os.getpid() and not is_zombie(pid):
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                    found[pid] = file.read().replace("\0", " ").strip()[:200]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def is_zombie(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return stat.read().rpartition(")")[2].split()[0] in "ZX"


def find(tag: str, state: str, seconds: float = 10.0) -> list[str]:
    """Return one line for each thing that stays; dying takes a moment, of `seconds` at most.

    `state` is the container's directory below the runtime's root.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = [f"process {pid}: {why}" for pid, why in processes().items()]
        left += [f"cgroup {path}" for path in cgroups(tag)]
        left += [f"mount {path}" for path in mounts(tag)]
        left += [f"state {state}"] if os.path.lexists(state) else []
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def remove(tag: str, seconds: float = 10.0) -> None:
    """Take away what is left, so that a case that failed does not fail the next one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        left = cgroups(tag)
        if not (left or processes() or mounts(tag)):
            return
        # A frozen process takes no signal, not even SIGKILL in v1.
        for path in left:
            for file, thawed in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                if os.path.exists(f"{path}/{file}"):
                    _write(f"{path}/{file}", thawed)
        for pid in processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for path in reversed(mounts(tag)):
            subprocess.run(["umount", "-l", path], stderr=subprocess.DEVNULL, check=False)
        for path in left:
            try:
                os.rmdir(path)
            except OSError:
                continue
        time.sleep(0.02)


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        pass
