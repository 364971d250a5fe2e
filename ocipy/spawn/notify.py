"""NOTIFY_SOCKET: a service in a container tells the service manager outside that it is ready.

A service manager's socket cannot be mounted into the container: from there the sender's pid, in
whichever namespace, says nothing to it. So the container gets a socket of ours (sd_notify(3)):

    the container              ocipy                                   the service manager
                               create: ROOT/ID/notify, mounted on
                                       /run/notify, and NOTIFY_SOCKET
                               start:  binds notify.sock, starts init
    READY=1              ───▶  start:  READY=1, then MAINPID=…    ───▶
                               start:  BARRIER=1 with a pipe      ───▶  has read all: closes it
                               start ends

What else the container says is not passed on, as with runc. Only loaded where NOTIFY_SOCKET is set.
"""

from __future__ import annotations

import os
import select
import socket
from socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM

from ocipy import log

SOCKET = "notify.sock"

_BARRIER_SECONDS = 30


def open_notify_socket(state_fd: int, name: str, manager: str) -> NotifySocket | None:
    """Bind the container's socket; None if it was created without one.

    Args:
        state_fd: the container's directory in the state root.
        name: the directory in there that the container has on /run/notify.
        manager: NOTIFY_SOCKET of our environment.
    """
    try:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=state_fd)
    except FileNotFoundError:
        return None
    try:
        try:
            os.unlink(SOCKET, dir_fd=fd)
        except FileNotFoundError:
            pass
        listening = socket.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
        # By the descriptor: an address holds 107 bytes, and a state root may be any length.
        listening.bind(f"/proc/self/fd/{fd}/{SOCKET}")
        os.chmod(SOCKET, 0o777, dir_fd=fd)
    finally:
        os.close(fd)
    return NotifySocket(listening, manager)


class NotifySocket:
    """The container's socket, open; `fileno()` becomes readable when the container says something.

    It must outlive the start: what the container says before anybody listens is an error there.
    """

    __slots__ = ("_listening", "_manager")

    def __init__(self, listening: socket.socket, manager: str) -> None:
        self._listening = listening
        # An address that begins with "@" is an abstract one.
        self._manager = f"\0{manager[1:]}" if manager.startswith("@") else manager

    def fileno(self) -> int:
        return self._listening.fileno()

    def close(self) -> None:
        self._listening.close()

    def relay(self, pid: int, pidfd: int) -> None:
        """Wait for READY=1, or for the process's end; pass it on with the pid on the host."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self.fileno() in ready:
                if self.pass_on(pid):
                    self._wait_for_reader()
                    return
            elif pidfd in ready:
                return

    def pass_on(self, pid: int) -> bool:
        """Read one message; return whether it was READY=1, which then has been passed on."""
        for line in self._listening.recv(4096).split(b"\n"):
            if line.startswith(b"READY="):
                self._tell(line + b"\n")
                self._tell(f"MAINPID={pid}\n".encode())
                return True
        return False

    def _tell(self, message: bytes, fds: tuple[int, ...] = ()) -> bool:
        with socket.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC) as sending:
            try:
                sending.connect(self._manager)
                socket.send_fds(sending, [message], fds)
            except OSError as error:
                # The container runs; that nobody wants to know is no reason to end it.
                shown = self._manager.replace("\0", "@")
                log.warning(f"cannot tell NOTIFY_SOCKET {shown} that it is ready: {error.strerror}")
                return False
        return True

    def _wait_for_reader(self) -> None:
        """sd_notify_barrier(3): a manager finds out who has sent only while the sender exists."""
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        try:
            told = self._tell(b"BARRIER=1", (write_end,))
            os.close(write_end)
            if told:
                poll = select.poll()
                poll.register(read_end, 0)  # POLLHUP comes unasked
                poll.poll(_BARRIER_SECONDS * 1000)
        finally:
            os.close(read_end)
