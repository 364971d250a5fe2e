"""The other end of a terminal: a console socket's receiver, and a pty to run the runtime on."""

from __future__ import annotations

import array
import fcntl
import os
import pty
import select
import socket
import struct
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

SECONDS = 20


class Terminal:
    """The master side of a pty."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.text = ""

    def read_until(self, wanted: str) -> str:
        """Read on until `wanted` is in the text, which is returned; AssertionError if it ends."""
        deadline = time.monotonic() + SECONDS
        while wanted not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted!r} not within {SECONDS} s in {self.text!r}"
            if not select.select([self.fd], [], [], left)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # EIO: the other side is closed.
                data = b""
            assert data, f"the terminal ended without {wanted!r}: {self.text!r}"
            self.text += data.decode(errors="replace")
        return self.text

    def read_all(self) -> str:
        while select.select([self.fd], [], [], SECONDS)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode(errors="replace")
        return self.text

    def write(self, text: str) -> None:
        os.write(self.fd, text.encode())

    @property
    def size(self) -> tuple[int, int]:
        """Return (rows, columns)."""
        packed = fcntl.ioctl(self.fd, termios.TIOCGWINSZ, bytes(8))
        rows, columns, _, _ = struct.unpack("HHHH", packed)
        return rows, columns

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


class ConsoleSocket:
    """Listens on a UNIX stream socket, as conmon and containerd do, and takes one pty from it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(1)
        self.listener.settimeout(SECONDS)
        self.name = ""

    def receive(self) -> Terminal:
        """Return the pty; afterwards `name` is the message that came with it."""
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(SECONDS)
            message, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(16))
            self.name = message.rstrip(b"\0").decode()
            fds = array.array("i")
            for level, kind, data in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                fds.frombytes(data[: len(data) // fds.itemsize * fds.itemsize])
            assert len(fds) == 1, f"one descriptor is expected, not {fds}"
            return Terminal(fds[0])

    def close(self) -> None:
        self.listener.close()


class OwnTerminal(Terminal):
    """A pty made by the test; `slave` is what the runtime gets as its terminal."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        master, self.slave = pty.openpty()
        super().__init__(master)
        self.resize(rows, columns)

    def modes(self) -> tuple[bool, bool, bool]:
        """Return whether the slave has ICANON, ECHO and ISIG on."""
        local_flags = termios.tcgetattr(self.slave)[3]
        return (
            bool(local_flags & termios.ICANON),
            bool(local_flags & termios.ECHO),
            bool(local_flags & termios.ISIG),
        )

    def __enter__(self) -> OwnTerminal:
        return self

    def close(self) -> None:
        if self.slave >= 0:
            os.close(self.slave)
        self.slave = -1
        super().close()


def become_controlling_terminal(fd: int = 0) -> None:
    """To be called in the child, whose `fd` is the slave: make it its session's terminal."""
    os.setsid()
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
