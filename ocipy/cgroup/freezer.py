"""Suspending every process of a cgroup: freezer.state in v1, cgroup.freeze in v2."""

from __future__ import annotations

import errno
import os
import select
import time

from ocipy.cgroup.files import read_file, write_file
from ocipy.errors import StateError

# As long as runc waits for v2. In v1 it is a matter of trying again, see below.
FREEZE_SECONDS = 10.0
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV)


def freeze_v2(path: str) -> None:
    """Freeze a v2 cgroup and those below, and wait until no process of them runs.

    Raises:
        StateError: a process does not freeze, as one that is being traced; all are thawed again.
    """
    if not _write(f"{path}/cgroup.freeze", "1"):
        return
    deadline = time.monotonic() + FREEZE_SECONDS
    if not wait_for_event(path, "frozen 1", deadline):
        thaw_v2(path)
        raise StateError(f"unable to freeze {path}: not done in {FREEZE_SECONDS:.0f} seconds")


def thaw_v2(path: str) -> None:
    _write(f"{path}/cgroup.freeze", "0")


def is_frozen_v2(path: str) -> bool:
    """Is this cgroup itself, not only one above it, frozen or about to be?"""
    return _read(f"{path}/cgroup.freeze") == "1"


def freeze_v1(path: str, seconds: float) -> None:
    """Freeze a v1 cgroup, within so many seconds.

    The kernel misses processes that are made meanwhile and then stays in FREEZING; writing once
    more, and now and then thawing first, gets there (runc, libcontainer's freezer.go).

    Raises:
        StateError: it does not; all are thawed again.
    """
    file = f"{path}/freezer.state"
    deadline = time.monotonic() + seconds
    tries = 0
    while time.monotonic() < deadline:
        tries += 1
        if not _write(file, "FROZEN") or _read(file) in ("FROZEN", ""):
            return
        if tries % 50 == 0:
            _write(file, "THAWED")
            time.sleep(0.01)
        elif tries % 5 == 0:
            time.sleep(0.001)
    thaw_v1(path)
    raise StateError(f"unable to freeze {path}: not done in {seconds:g} seconds")


def thaw_v1(path: str) -> None:
    _write(f"{path}/freezer.state", "THAWED")


def is_frozen_v1(path: str) -> bool:
    """Is this cgroup itself, not only one above it, frozen or about to be?"""
    if _read(f"{path}/freezer.state") in ("THAWED", ""):
        return False
    return _read(f"{path}/freezer.self_freezing") == "1"


def frozen_above(path: str) -> str:
    """Return the cgroup above `path` that somebody has frozen, "" if there is none.

    `path` need not exist. What is made in it, or moved there, would stand still at once.
    """
    while len(path) > 1:
        path = path.rpartition("/")[0]
        if is_frozen_v2(path) or is_frozen_v1(path):
            return path
        if os.access(f"{path}/", os.F_OK) and not any(
            os.access(f"{path}/{file}", os.F_OK) for file in ("freezer.state", "cgroup.events")
        ):
            return ""  # the root of the hierarchy, which cannot be frozen
    return ""


def how_to_thaw(path: str) -> str:
    """Return the hint for people who find a cgroup frozen."""
    return f"thaw it: echo 0 > {path}/cgroup.freeze, or THAWED to freezer.state in v1"


def wait_for_event(path: str, line: str, deadline: float) -> bool:
    """Wait until a line is in cgroup.events of a v2 cgroup, or the cgroup is gone.

    The kernel wakes who polls that file whenever it changes (cgroups(7)). Returns False if time has
    passed `deadline` (time.monotonic()) before.
    """
    try:
        fd = os.open(f"{path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLPRI)
        while True:
            try:
                if line in os.fsdecode(os.pread(fd, 4096, 0)).splitlines():
                    return True
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return True
                raise
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            poll.poll(left * 1000)
    finally:
        os.close(fd)


def _write(path: str, value: str) -> bool:
    """Write; return False if there is no such cgroup any more."""
    try:
        write_file(path, value)
    except OSError as error:
        if error.errno in _GONE:
            return False
        raise StateError(f"cannot write {value} to {path}: {error.strerror}") from None
    return True


def _read(path: str) -> str:
    try:
        return read_file(path).strip()
    except OSError:
        return ""
