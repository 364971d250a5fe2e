"""How a process that is not our child has ended.

Its parent is whoever called `create`, and wait(2) is the parent's alone. The kernel tells others,
too:

    PIDFD_GET_INFO      through a pidfd, even after the parent has reaped it (since Linux 6.15)
    /proc/PID/stat      as long as it is a zombie
    the proc connector  a netlink message at each end of any process; takes CAP_NET_ADMIN in the
                        host's user and pid namespaces

So a watch has to begin before the process ends: what was reaped before that is not known any more.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import time

from ocipy.cgroup.oom import oom_kills
from ocipy.state.process import open_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from ocipy.state.process import Process

# include/uapi/linux/pidfd.h: _IOWR(0xff, 11, struct pidfd_info), of 64 bytes in its first version.
_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO_EXIT, _INFO_SIZE, _EXIT_CODE_AT = 1 << 3, 64, 60

# include/uapi/linux/netlink.h, connector.h, cn_proc.h
_NETLINK_CONNECTOR, _CN_IDX_PROC, _CN_VAL_PROC, _LISTEN = 11, 1, 1, 1
_PROC_EVENT_EXIT = 0x80000000
_HEADERS = 16 + 20  # struct nlmsghdr, struct cn_msg
_SO_RCVBUFFORCE = 33
_RECEIVE_BYTES = 8 << 20

_SIGKILL = 9
# /proc/PID/stat, counted from behind the name: state, and the wait status.
_STATE, _EXIT_CODE = 0, 52 - 3


class Exit:
    """How a container's process ended.

    Attributes:
        wait_status: as wait(2) gives it; None where nobody can tell any more.
        oom_killed: whether the kernel killed it, or another process of its cgroup, for want of
            memory.
    """

    __slots__ = ("oom_killed", "wait_status")

    def __init__(self, wait_status: int | None, *, oom_killed: bool = False) -> None:
        self.wait_status = wait_status
        self.oom_killed = oom_killed

    @property
    def signal(self) -> int | None:
        """The signal that ended it, if one did."""
        if self.wait_status is None or not os.WIFSIGNALED(self.wait_status):
            return None
        return os.WTERMSIG(self.wait_status)

    @property
    def exit_code(self) -> int | None:
        """What a shell would say: its exit status, or 128 and the number of the signal."""
        if self.wait_status is None:
            return None
        if self.signal is not None:
            return 128 + self.signal
        return os.WEXITSTATUS(self.wait_status)

    @property
    def reason(self) -> str:
        """One of "oom", "signal", "exited" and "unknown"."""
        if self.wait_status is None:
            return "unknown"
        if self.signal is None:
            return "exited"
        return "oom" if self.oom_killed and self.signal == _SIGKILL else "signal"

    def to_json(self) -> dict[str, object]:
        """Return what `wait --format json` and the `exit` record of `events` say."""
        value: dict[str, object] = {"exitCode": self.exit_code, "reason": self.reason}
        if self.signal is not None:
            value["signal"] = self.signal
        value["oomKilled"] = self.oom_killed
        return value

    def describe(self) -> str:
        """Return it in words: "exit status 3", "signal 9 (Killed), out of memory"."""
        if self.wait_status is None:
            return "exit status unknown"
        from ocipy.spawn.failure import describe_wait_status

        how = describe_wait_status(self.wait_status)
        if self.signal == 31:
            how += ", which a seccomp profile sends"
        return f"{how}, out of memory" if self.reason == "oom" else how


class ExitWatch:
    """Watches one process until it ends. A context manager; `fds` become readable when it has."""

    def __init__(self, process: Process, ticks: int, cgroup_paths: Mapping[str, str]) -> None:
        """Begin to watch; takes `process` over."""
        self._process = process
        self._ticks = ticks
        self._connector = _open_connector()
        self._told: int | None = None
        self._cgroup_paths = cgroup_paths
        self._kills = oom_kills(cgroup_paths)
        # What was killed before in a container that lives on is not its end.
        ended = _zombie_status(process.pid, ticks) is not None
        self._kills_before = 0 if ended else self._kills

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._process.pidfd)
        if self._connector >= 0:
            os.close(self._connector)

    @property
    def fds(self) -> tuple[int, ...]:
        """Descriptors to poll; when any is readable, ask has_ended()."""
        if self._connector >= 0:
            return (self._process.pidfd, self._connector)
        return (self._process.pidfd,)

    def has_ended(self) -> bool:
        """Whether it has; and take what the kernel has told meanwhile."""
        self._drain_connector()
        self._kills = max(self._kills, oom_kills(self._cgroup_paths))
        poll = select.poll()
        poll.register(self._process.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until it has ended; False if it has not within the time."""
        poll = select.poll()
        for fd in self.fds:
            poll.register(fd, select.POLLIN)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not self.has_ended():
            left = 1000.0
            if deadline is not None:
                left = min(left, (deadline - time.monotonic()) * 1000)
                if left <= 0:
                    return False
            poll.poll(left)  # a second at most: processes killed for want of memory are counted
        return True

    def result(self) -> Exit:
        """Return how it ended; has_ended() has said that it did."""
        self._kills = max(self._kills, oom_kills(self._cgroup_paths))
        pid, pidfd = self._process.pid, self._process.pidfd
        status = _zombie_status(pid, self._ticks)
        if status is None:
            status = _info_status(pidfd)
        if status is None:
            self._drain_connector()
            status = self._told
        return Exit(status, oom_killed=self._kills > self._kills_before)

    def _drain_connector(self) -> None:
        while self._connector >= 0:
            try:
                data = os.read(self._connector, 4096)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:  # some were lost
                    continue
                return
            status = _exit_in(data, self._process.pid)
            if status is not None:
                self._told = status


def watch_exit(pid: int, ticks: int, cgroup_paths: Mapping[str, str]) -> ExitWatch | None:
    """Watch the process of that pid and start time; None if it was reaped already."""
    process = open_process(pid, ticks)
    return None if process is None else ExitWatch(process, ticks, cgroup_paths)


def _zombie_status(pid: int, ticks: int) -> int | None:
    """proc_pid_stat(5): field 52, for those who may look."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read() or b""
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    if int(fields[22 - 3]) != ticks or fields[_STATE] not in (b"Z", b"X"):
        return None
    status = int(fields[_EXIT_CODE])
    if status == 0:
        try:
            os.readlink(f"/proc/{pid}/ns/user")
        except OSError:
            return None  # who may not look reads 0, too: that is no answer
    return status


def _info_status(pidfd: int) -> int | None:
    info = bytearray(_INFO_SIZE)
    info[0:8] = _PIDFD_INFO_EXIT.to_bytes(8, "little")
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:  # an older kernel
        return None
    if not int.from_bytes(info[0:8], "little") & _PIDFD_INFO_EXIT:
        return None
    return int.from_bytes(info[_EXIT_CODE_AT : _EXIT_CODE_AT + 4], "little")


def _open_connector() -> int:
    """Return a descriptor of the proc connector that does not block, -1 where we may not listen."""
    import socket

    if _has_info():
        return -1  # whoever can ask later need not listen to all that happens on the machine
    try:
        connector = socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _NETLINK_CONNECTOR
        )
    except OSError:
        return -1
    try:
        connector.bind((0, _CN_IDX_PROC))
        connector.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
        order = b"".join(number.to_bytes(4, "little") for number in (_CN_IDX_PROC, _CN_VAL_PROC))
        order += bytes(8) + (4).to_bytes(2, "little") + bytes(2) + _LISTEN.to_bytes(4, "little")
        header = (16 + len(order)).to_bytes(4, "little") + (3).to_bytes(2, "little") + bytes(10)
        connector.send(header + order)
        # It has answered by now, or will not: in a user or pid namespace of our own it is silent.
        connector.recv(4096)
    except OSError:
        connector.close()
        return -1
    return connector.detach()


def _has_info() -> bool:
    """Whether the kernel keeps exit statuses for pidfds: Linux 6.15."""
    numbers = os.uname().release.split("-")[0].split(".")[:2]
    return tuple(int(n) for n in numbers if n.isdigit()) >= (6, 15)


def _exit_in(data: bytes, pid: int) -> int | None:
    """Return the wait status in a message of the connector, if it tells of this process's end."""
    event = data[_HEADERS:]
    if len(event) < 32 or int.from_bytes(event[0:4], "little") != _PROC_EVENT_EXIT:
        return None
    thread, process, status = (int.from_bytes(event[at : at + 4], "little") for at in (16, 20, 24))
    return status if thread == process == pid else None
