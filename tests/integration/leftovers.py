"""What a container could leave on the host: found by the tag that every test's names carry."""

from __future__ import annotations

import os
import signal
import subprocess
import time

CGROUP_ROOT = "/sys/fs/cgroup"
# What a state root keeps on purpose: counters, and the compiled seccomp filters.
KEPT = {".@metrics", ".@seccomp"}


def cgroup_roots() -> list[str]:
    """Return the top directory of every mounted cgroup hierarchy."""
    roots = []
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, target, fstype, *_ = line.split(" ")
            if fstype in ("cgroup", "cgroup2"):
                roots.append(target)
    return roots


def cgroups(tag: str) -> list[str]:
    """Return cgroup directories with `tag` in their path, deepest first."""
    found = []
    for root in cgroup_roots():
        for directory, _, _ in os.walk(root, topdown=False):
            if tag in directory:
                found.append(directory)
    return found


def mounts(tag: str) -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8") as mountinfo:
        return [line.split(" ")[4] for line in mountinfo if tag in line]


def processes(tag: str) -> dict[int, str]:
    """Return processes whose command line or cgroup names `tag`, zombies apart, as pid: why."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            for file in ("cmdline", "cgroup"):
                with open(f"/proc/{name}/{file}", "rb") as content:
                    text = content.read().decode(errors="replace").replace("\0", " ")
                if tag in text and not _is_zombie(name):
                    found[int(name)] = text.strip()
                    break
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _is_zombie(pid: str) -> bool:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return stat.read().rpartition(")")[2].split()[0] in "ZX"


def orphans() -> dict[int, str]:
    """Return this process's living children, after having reaped the dead, as pid: name.

    This process is a subreaper: whatever a runtime leaves without a parent ends up here.
    """
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return {}
    found = {}
    for pid in children():
        with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
            found[pid] = f"orphan {comm.read().strip()}"
    return found


def children() -> list[int]:
    """Return the pids of this process's children, dead ones included."""
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children", encoding="utf-8") as file:
            found += map(int, file.read().split())
    return found


def describe(tag: str, state_root: str) -> list[str]:
    """Return one line for each thing left behind."""
    found = orphans() | processes(tag)
    lines = [f"process {pid}: {why}" for pid, why in found.items()]
    lines += [f"cgroup {path}" for path in cgroups(tag)]
    lines += [f"mount {path}" for path in mounts(tag)]
    if os.path.isdir(state_root):
        names = set(os.listdir(state_root)) - KEPT
        lines += [f"state {state_root}/{name}" for name in sorted(names)]
    return lines


def describe_after(tag: str, state_root: str, seconds: float = 2.0) -> list[str]:
    """As describe(), once nothing is left or `seconds` are over: dying takes a moment."""
    deadline = time.monotonic() + seconds
    while (left := describe(tag, state_root)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def remove(tag: str) -> None:
    """Take away what is left, so that one failed test does not fail the next ones."""
    for pid in orphans() | processes(tag):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for path in reversed(mounts(tag)):
        subprocess.run(["umount", "-l", path], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 2
    while (left := cgroups(tag)) and time.monotonic() < deadline:
        for path in left:
            try:
                os.rmdir(path)
            except OSError:
                time.sleep(0.01)
