"""The master of a container's pty: to the console socket, which the caller listens on."""

from __future__ import annotations

import os

from ocipy.errors import OcipyError, UsageError, errno_text
from ocipy.sys import native


def check_terminal_options(*, terminal: bool, detached: bool, console_socket: str) -> None:
    """Raise UsageError where `process.terminal` and the command line disagree; runc's texts."""
    if detached and terminal and not console_socket:
        raise UsageError(
            "cannot allocate tty if ocipy will detach without setting console socket",
            hint="give --console-socket, or set process.terminal to false",
        )
    if terminal and not detached and not any(os.isatty(fd) for fd in range(3)):
        raise UsageError(
            "provided file is not a console",
            hint="a foreground run with process.terminal needs a terminal to connect it to; or set "
            "process.terminal to false",
        )
    if (not detached or not terminal) and console_socket:
        raise UsageError(
            "cannot use console socket if ocipy will not detach or allocate tty",
            hint="leave --console-socket out, or set process.terminal to true",
        )


def send_descriptor(path: str, fd: int, name: str, what: str) -> None:
    """Send one descriptor, with `name` as the message, to the Unix socket at `path`.

    Raises:
        OcipyError: nobody listens there; `what` says what was to be sent.
    """
    try:
        socket_fd = native.connect_unix(path)
        try:
            native.send(socket_fd, name.encode(), [fd])
        finally:
            os.close(socket_fd)
    except OSError as error:
        raise OcipyError(
            f"cannot send {what} to {path}: {errno_text(error.errno or 0)}",
            hint="a program must listen on that Unix socket before ocipy is called",
        ) from None
