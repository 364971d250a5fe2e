"""What there is on the host beside the containers of the walk, as far as they could change it."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Any

from tests.integration.leftovers import KEPT, cgroup_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Generous: the machine may have other work. Nothing waits so long where all is well.
PATIENCE_SECONDS = 90.0
# The same, for what a command has left behind to come to rest.
REST_SECONDS = 60.0


class World:
    """The walk's surroundings: its children, and what carries its tag.

    The walk is the first process of a pid namespace: every process of a container is, or becomes, a
    child of it. `own` are the processes that belong to the walk itself.
    """

    def __init__(self, tag: str, state_root: str, bundle: str, own: Iterable[int]) -> None:
        self.tag = tag
        self.state_root = state_root
        self.bundle = bundle
        self.own = set(own)
        self.roots = cgroup_roots()
        self.before: dict[str, list[str]] = {}

    def remember(self) -> None:
        self.before = self.look()

    def look(self) -> dict[str, list[str]]:
        """Return what is there now, by kind."""
        return {
            "process": [f"{pid} {_comm(pid)}" for pid in self.processes()],
            "cgroup": self.cgroups(),
            "mount": self.mounts(),
            "state": self.state(),
            "descriptor": [_link(fd) for fd in _listed("/proc/self/fd")],
            "network device": [name for _, name in socket.if_nameindex()],
            "file": self.files(),
        }

    def differences(self, ignored: Iterable[str] = ()) -> list[str]:
        """Return what is there now and was not before, or the other way round, at rest."""
        deadline = time.monotonic() + REST_SECONDS
        while True:
            now = self.look()
            found = []
            for kind, before in self.before.items():
                if kind not in ignored:
                    found += [f"{kind} left: {it}" for it in _without(now[kind], before)]
                    found += [f"{kind} gone: {it}" for it in _without(before, now[kind])]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.002)

    def processes(self) -> list[int]:
        """Return the children that live, beside the walk's own; the dead are reaped."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return []
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [pid for pid in map(int, file.read().split()) if pid not in self.own]

    def cgroups(self) -> list[str]:
        return [
            f"{root}/{name}" for root in self.roots for name in _listed(root) if self.tag in name
        ]

    def frozen(self, cgroup: str) -> list[str]:
        """Return the files by which this cgroup, by its path below each hierarchy, is frozen."""
        files = []
        for root in self.roots:
            for asks, frozen, sets in (
                ("freezer.self_freezing", "1", "freezer.state"),
                ("cgroup.freeze", "1", "cgroup.freeze"),
            ):
                try:
                    with open(f"{root}{cgroup}/{asks}", encoding="ascii") as content:
                        if content.read().strip() == frozen:
                            files.append(f"{root}{cgroup}/{sets}")
                except OSError:
                    continue
        return files

    def remove_cgroups(self) -> None:
        for top in self.cgroups():
            for directory, _, _ in os.walk(top, topdown=False):
                until(lambda path=directory: _removed(path))  # type: ignore[misc]

    def mounts(self) -> list[str]:
        with open("/proc/self/mountinfo", encoding="utf-8") as mountinfo:
            return [line.split(" ")[4] for line in mountinfo if self.tag in line]

    def state(self) -> list[str]:
        return [name for name in _listed(self.state_root) if name not in KEPT]

    def files(self) -> list[str]:
        found = []
        for directory, _, names in os.walk(self.bundle):
            found += [f"{directory}/{name}" for name in ("", *names)]
        return sorted(found)


def _without(these: list[str], those: list[str]) -> list[str]:
    """Return what is in the one and not, or fewer times, in the other."""
    rest = list(those)
    extra = []
    for each in these:
        if each in rest:
            rest.remove(each)
        else:
            extra.append(each)
    return extra


def _removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _listed(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def _link(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return "/proc"  # the directory that was listed


def _comm(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def executes_init(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/exe").startswith("/memfd:ocipy-init")
    except OSError:
        return False


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(pidfd: int) -> bool:
    """Wait for the end of a process; False if it takes too long."""
    return bool(select.select([pidfd], [], [], PATIENCE_SECONDS)[0])


def descriptors(pid: int) -> list[str]:
    return _listed(f"/proc/{pid}/fd")


def until(condition: Callable[[], bool]) -> bool:
    """Poll; False if it does not become true in time."""
    deadline = time.monotonic() + REST_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def parse_state(text: str) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(text)
    return state
