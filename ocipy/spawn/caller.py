"""What our caller hands us beside the command line, and what it is told: descriptors and pids."""

from __future__ import annotations

import os

from ocipy.errors import UsageError
from ocipy.spawn.console import send_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocipy.request import Request
    from ocipy.spawn.launch import Launch


class Caller:
    """What a container gets of the process that makes it: the command's own, unless it says else.

    Attributes:
        environ: where LISTEN_FDS and NOTIFY_SOCKET are looked for.
        stdio: the standard streams of the container: each is its own number, or above 2.
    """

    __slots__ = ("environ", "stdio")

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        stdio: tuple[int, int, int] = (0, 1, 2),
    ) -> None:
        self.environ = environ
        self.stdio = stdio


def inherited_fds(request: Request, caller: Caller) -> tuple[int, int]:
    """Return --preserve-fds and LISTEN_FDS, both checked.

    What is closed by execve(2) is not the caller's, but ours: the pack, say, which a container that
    got it could open again, to write into it.

    Raises:
        UsageError: a descriptor that is to be passed on was not open when we were started.
    """
    listen_fds = 0
    text = caller.environ.get("LISTEN_FDS", "")
    # sd_listen_fds(3): the variable may be meant for somebody else.
    if text.isdigit() and caller.environ.get("LISTEN_PID", str(os.getpid())) == str(os.getpid()):
        listen_fds = int(text)
    preserve_fds = request.number("preserve-fds")
    if preserve_fds < 0:
        raise UsageError(f"bad --preserve-fds {preserve_fds}", hint="a number from 0 on")
    for fd in range(3, 3 + listen_fds + preserve_fds):
        try:
            is_inherited = os.get_inheritable(fd)
        except OSError:
            is_inherited = False
        if not is_inherited:
            raise UsageError(
                f"please check that preserved-fd {fd} is present",
                hint="--preserve-fds N passes on 3 to 2+N, after those of LISTEN_FDS",
            )
    return preserve_fds, listen_fds


def tell_caller(request: Request, launch: Launch) -> None:
    """Give the caller the pid, in the ways it asked for, before the container can run."""
    if path := request.text("pid-file"):
        write_pid_file(path, launch.pid)
    if path := request.text("pidfd-socket"):
        send_descriptor(path, launch.pidfd, "pidfd", "a pidfd of the container process")


def write_pid_file(path: str, pid: int) -> None:
    """Write a pid file, whole or not at all; what is no regular file, such as /dev/null, is written
    to and not replaced.

    Raises:
        UsageError: it cannot be written.
    """
    directory, name = os.path.split(path)
    replace = os.path.isfile(path) or not os.path.exists(path)
    new = os.path.join(directory, f".{name}") if replace else path
    try:
        flags = os.O_WRONLY | os.O_CLOEXEC
        # A fifo that nobody reads is an error (ENXIO), and not waited for.
        flags |= os.O_CREAT | os.O_TRUNC if replace else os.O_NONBLOCK | os.O_NOCTTY
        fd = os.open(new, flags, 0o666)
        try:
            os.write(fd, str(pid).encode())
        finally:
            os.close(fd)
        if replace:
            os.rename(new, path)
    except OSError as error:
        raise UsageError(f"cannot write the pid file {path}: {error.strerror}") from None
