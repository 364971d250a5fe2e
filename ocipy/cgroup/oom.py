"""Waiting for a container to run out of memory, or to end.

v1: an eventfd registered in cgroup.event_control becomes readable when the cgroup runs out of
memory, and once more when it is removed (memory.txt, "OOM Control"). v2: the kernel wakes who polls
memory.events; its counter `oom_kill` says how many processes were killed.
"""

from __future__ import annotations

import os
import select
import time

from ocipy.cgroup.files import read_key, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


def memory_events_file(paths: Mapping[str, str]) -> str:
    """Return the file whose `oom_kill` counts what was killed for want of memory; "" for none."""
    for names, path in paths.items():
        if "memory" in names.split(","):
            return f"{path}/memory.oom_control"
    return f"{paths['']}/memory.events" if "" in paths else ""


def oom_kills(paths: Mapping[str, str]) -> int:
    """Return how many processes the kernel has killed for want of memory; 0 where unknown."""
    path = memory_events_file(paths)
    return (read_key(path, "oom_kill") or 0) if path else 0


class OomWatch:
    """Tells when the container runs out of memory. A context manager."""

    __slots__ = ("_eventfd", "_file", "_kills", "_poll", "_watched")

    def __init__(self, paths: Mapping[str, str]) -> None:
        """Begin to watch.

        Raises:
            OSError: there is no memory controller for this container.
        """
        self._poll = select.poll()
        self._watched = self._eventfd = -1
        memory = next((p for names, p in paths.items() if "memory" in names.split(",")), "")
        self._file = memory_events_file({"memory": memory} if memory else {"": paths[""]})
        self._watched = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        if memory:
            self._eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            write_file(f"{memory}/cgroup.event_control", f"{self._eventfd} {self._watched}")
            self._poll.register(self._eventfd, select.POLLIN)
        else:
            self._poll.register(self._watched, select.POLLPRI)
        self._kills = read_key(self._file, "oom_kill") or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for fd in (self._watched, self._eventfd):
            if fd >= 0:
                os.close(fd)

    def wait(self, until: float) -> bool:
        """Wait until the container runs out of memory, or time.monotonic() is `until`.

        Returns:
            Whether it has; False also when the cgroup is removed.
        """
        while (left := until - time.monotonic()) > 0:
            # poll(2) counts in an int: longer than 24 days is waited for in parts.
            if not self._poll.poll(min(left * 1000, 0x7FFFFFFF)):
                continue
            told = self._take()
            if told is not None:
                return told
        return False

    @property
    def polled(self) -> tuple[int, int]:
        """The descriptor and the events by which poll(2) learns that take() has news."""
        if self._eventfd >= 0:
            return self._eventfd, select.POLLIN
        return self._watched, select.POLLPRI

    def take(self) -> bool:
        """Whether it has run out of memory since the last time; does not wait."""
        return bool(self._poll.poll(0)) and bool(self._take())

    def _take(self) -> bool | None:
        """Take what has been told: True for out of memory, False for the end, None for neither."""
        if self._eventfd >= 0:
            os.eventfd_read(self._eventfd)
            return os.path.exists(self._file)
        # Other lines of the file change as well, with every limit that is hit.
        kills = read_key(self._file, "oom_kill")
        if kills is None or kills > self._kills:
            self._kills = kills or 0
            return kills is not None
        # A file is readable until it is read through the polled descriptor.
        os.pread(self._watched, 4096, 0)
        return None
