"""Is this still the same process? A pid alone does not say: it is given again to somebody else.

Pid and start ticks (field 22 of /proc/PID/stat, in clock ticks since boot) name one process for as
long as the machine is up. Nothing is ever signalled by number: a pidfd(2) is opened first, then the
ticks are compared. The descriptor holds on to the process it was opened for, so if they are equal
afterwards, it is the right one, and stays it.
"""

from __future__ import annotations

import errno
import os
import select
import time

from ocipy.signals import pidfd_send_signal

# Fields of /proc/PID/stat counted from behind the name, which may hold any character: proc(5)
# counts pid and comm as 1 and 2.
_STATE, _FLAGS, _NUM_THREADS, _START_TICKS, _EXIT_CODE = 3 - 3, 9 - 3, 20 - 3, 22 - 3, 52 - 3
_PF_EXITING = 0x4  # include/linux/sched.h
# What ocipy-init calls itself; execve(2) gives a process the name of the program.
_INIT_NAME = b"(ocipy:[init])"


def _stat_fields(pid: int) -> list[bytes] | None:
    text = _stat(pid)
    return text[text.rindex(b")") + 2 :].split() if text else None


def _stat(pid: int) -> bytes | None:
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, 4096)
    except ProcessLookupError:  # it was reaped between the two calls
        return None
    finally:
        os.close(fd)


def start_ticks(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since boot; None if it is gone."""
    fields = _stat_fields(pid)
    return int(fields[_START_TICKS]) if fields else None


def is_alive(pid: int, ticks: int) -> bool:
    """Does this very process still run? A zombie does not.

    A zombie with more than one thread does: its first thread has ended, the others have not.
    """
    if pid <= 0:
        return False
    fields = _stat_fields(pid)
    if fields is None or int(fields[_START_TICKS]) != ticks:
        return False
    return fields[_STATE] not in (b"Z", b"X") or int(fields[_NUM_THREADS]) > 1


def is_ending(pid: int, ticks: int) -> bool:
    """Has this process ended, or begun to? Then nothing can be put beside it any more.

    The first of a pid namespace ends only when all others in it have been reaped.
    """
    fields = _stat_fields(pid) if pid > 0 else None
    if fields is None or int(fields[_START_TICKS]) != ticks:
        return True
    return bool(int(fields[_FLAGS]) & _PF_EXITING) and int(fields[_NUM_THREADS]) <= 1


def died_as_init(pid: int) -> int | None:
    """Return the wait status of an init that ended without having executed its program, else None.

    Its descriptors are closed by its end as they are by execve(2), so the end of file that tells of
    success tells of a death as well. Nothing can be said of a process that was reaped: None.
    """
    try:
        os.readlink(f"/proc/{pid}/exe")
        return None  # it runs; and execve(2) changes this before it closes descriptors
    except OSError:
        text = _stat(pid)
    # With its memory gone, no execve(2) is under way any more, and the name is the last one.
    if text is None or _INIT_NAME not in text:
        return None
    return int(text[text.rindex(b")") + 2 :].split()[_EXIT_CODE])


class Process:
    """One process, held by pidfd; a context manager. The descriptor is close-on-exec."""

    __slots__ = ("pid", "pidfd")

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self.pidfd)

    def send_signal(self, number: int) -> None:
        """pidfd_send_signal(2).

        Raises:
            ProcessLookupError: it has ended and was reaped.
            OSError: EINVAL for a number that is no signal, EPERM.
        """
        pidfd_send_signal(self.pidfd, number)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until all its threads have ended, reaped or not; False if they have not by then."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        deadline = time.monotonic() + timeout_seconds
        while True:
            left = deadline - time.monotonic()
            if poll.poll(max(0, int(left * 1000))):
                return True
            if left <= 0:
                return False


def open_process(pid: int, ticks: int) -> Process | None:
    """Open the process of that pid and start time; None if it is gone (a zombie is not)."""
    if pid <= 0:
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    except OSError as error:
        # Older kernels (6.1) say EINVAL of a pid that is only that of a session or process group:
        # the leader is gone, its children are not. Of one that is gone altogether it does not
        # matter why it cannot be opened: for want of a descriptor, say.
        if error.errno != errno.EINVAL and start_ticks(pid) == ticks:
            raise
        return None
    if start_ticks(pid) != ticks:
        os.close(pidfd)
        return None
    return Process(pid, pidfd)
