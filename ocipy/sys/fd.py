"""File descriptors."""

from __future__ import annotations

import os

from ocipy.errors import OcipyError, errno_text


class OwnedFd:
    """A descriptor that is closed with the end of this object."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


def write_all(fd: int, data: bytes, patience_seconds: float | None = None) -> None:
    """write(2) until all is written; raises OSError like os.write.

    Waits where that would block: whoever gave us the descriptor may have set O_NONBLOCK on it.

    Raises:
        TimeoutError: nobody has made room for so long.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            import select

            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            timeout_ms = None if patience_seconds is None else patience_seconds * 1000
            if not poll.poll(timeout_ms):
                raise TimeoutError from None


def write_proc_file(path: str, text: str) -> None:
    """Write to a file of /proc, which takes its value whole, in one write(2)."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def print_text(text: str) -> None:
    """Write to the standard output as UTF-8, whatever the locale says: state is JSON.

    Raises:
        BrokenPipeError: nobody reads it any more.
        OcipyError: it cannot be written to, because it is full, say.
    """
    try:
        write_all(1, text.encode("utf-8", "surrogateescape"))
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = errno_text(error.errno or 0)
        raise OcipyError(f"cannot write to the standard output: {reason}") from None


def open_standard_fds() -> None:
    """Open /dev/null where a caller left 0, 1 or 2 closed: else the next file opened gets that
    number, and an error message or a container writes into it (the Go runtime does the same)."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number is `fd`, since those below it are open.
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)
