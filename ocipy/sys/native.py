"""The calls that nearly every command makes and Python's own os module lacks: shim.c, typed.

All of them raise OSError, of the subclass that its errno has: FileNotFoundError and so on.
"""

from __future__ import annotations

import fcntl
import os

from ocipy._native import _calls  # type: ignore[attr-defined, unused-ignore]
from ocipy.sys.fd import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# include/uapi/linux/fcntl.h, memfd.h
_F_ADD_SEALS = 1033
_F_SEAL_SEAL, _F_SEAL_SHRINK, _F_SEAL_GROW, _F_SEAL_WRITE, _F_SEAL_EXEC = 1, 2, 4, 8, 0x20
_MFD_CLOEXEC, _MFD_ALLOW_SEALING, _MFD_NOEXEC_SEAL, _MFD_EXEC = 1, 2, 8, 0x10
_EINVAL = 22

# include/uapi/linux/mount.h
OPEN_TREE_CLONE = 1
AT_RECURSIVE = 0x8000

# include/uapi/linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36


def sealed_memfd(name: str, content: bytes) -> int:
    """Return a descriptor of a memfd with this content that nobody can ever change.

    The seals hold for root, for whoever reopens it through /proc/PID/exe, and for ourselves:
    memfd_create(2). Close-on-exec. Not executable.
    """
    fd = _memfd(name, _MFD_NOEXEC_SEAL)
    write_all(fd, content)
    return _sealed(fd)


def sealed_program(name: str, path: str) -> int:
    """Return a descriptor of a memfd with a copy of a program, as sealed_memfd() does.

    The kernel copies: to read the file takes 20 pages of memory, each of which is a page fault.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Linux 6.3 lets a sysctl refuse executable memfds that are not asked for as such.
        fd = _memfd(name, _MFD_EXEC)
        offset = 0
        while copied := os.sendfile(fd, file, offset, 1 << 20):
            offset += copied
    finally:
        os.close(file)
    return _sealed(fd)


def _memfd(name: str, kind: int) -> int:
    flags = _MFD_CLOEXEC | _MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | kind)
    except OSError as error:  # before Linux 6.3
        if error.errno != _EINVAL:
            raise
        return os.memfd_create(name, flags)


def _sealed(fd: int) -> int:
    seals = _F_SEAL_SEAL | _F_SEAL_SHRINK | _F_SEAL_GROW | _F_SEAL_WRITE
    try:
        fcntl.fcntl(fd, _F_ADD_SEALS, seals | _F_SEAL_EXEC)
    except OSError as error:  # before Linux 6.3
        if error.errno != _EINVAL:
            raise
        fcntl.fcntl(fd, _F_ADD_SEALS, seals)
    return fd


def spawn_init(
    init_fd: int,
    plan_fd: int,
    sync_fd: int,
    clone_flags: int,
    cgroup_fd: int,
    inherit: Sequence[int],
    stdio: tuple[int, int, int],
) -> tuple[int, int]:
    """clone3(2) a child that execs ocipy-init; return its pid and a pidfd (close-on-exec).

    `cgroup_fd` is the cgroup v2 directory to be born in, or -1. `inherit` are the descriptors that
    the plan names. `stdio` become its standard streams: each is its own number, or above 2.
    """
    pid, pidfd = _calls.spawn_init(
        init_fd, plan_fd, sync_fd, clone_flags, cgroup_fd, list(inherit), stdio
    )
    return pid, pidfd


def spawn_program(
    path: str,
    argv: Sequence[str],
    env: Sequence[str],
    cwd: str,
    input_fd: int,
    output_fd: int,
) -> tuple[int, int]:
    """Start a program in a process group of its own; return its pid and a pidfd.

    It ends with 127, and a word on `output_fd`, where `cwd` or the program cannot be used.
    """
    arguments = [os.fsencode(text) for text in argv]
    environment = [os.fsencode(text) for text in env]
    pid, pidfd = _calls.spawn_program(
        os.fsencode(path), arguments, environment, os.fsencode(cwd), input_fd, output_fd
    )
    return pid, pidfd


def socketpair() -> tuple[int, int]:
    """Return two connected SOCK_SEQPACKET sockets, close-on-exec."""
    first, second = _calls.socketpair()
    return first, second


def connect_unix(path: str) -> int:
    """Return a SOCK_STREAM socket connected to `path`, of any length, close-on-exec."""
    return int(_calls.connect_unix(os.fsencode(path)))


def send(socket_fd: int, data: bytes, fds: Sequence[int] = ()) -> int:
    """sendmsg(2) with descriptors attached; never SIGPIPE. Returns the number of bytes sent."""
    return int(_calls.send(socket_fd, data, list(fds)))


def receive(socket_fd: int, size: int, timeout_ms: int = -1) -> tuple[bytes, int]:
    """recvmsg(2): one message of at most `size` bytes, b"" at end of file; its descriptor or -1.

    Raises:
        TimeoutError: nothing came within `timeout_ms` milliseconds (-1: wait for ever).
    """
    data, fd = _calls.receive(socket_fd, size, timeout_ms)
    return data, fd


def open_tree(path: str, *, recursive: bool) -> int:
    """open_tree(2): a detached copy of the mount at `path`, with what is mounted below if asked."""
    flags = OPEN_TREE_CLONE | (AT_RECURSIVE if recursive else 0)
    return int(_calls.open_tree(os.fsencode(path), flags))


def open_in_root(root_fd: int, path: str, flags: int) -> int:
    """openat2(2): open `path` as if `root_fd` were the root, whatever links are on the way."""
    return int(_calls.open_in_root(root_fd, os.fsencode(path), flags))


def prlimit(pid: int, resource: int, soft: int, hard: int) -> None:
    """prlimit(2); `soft` and `hard` in the resource's own unit, RLIM_INFINITY for no limit."""
    _calls.prlimit(pid, resource, soft, hard)


def become_subreaper() -> None:
    """Make orphaned descendants our children (PR_SET_CHILD_SUBREAPER)."""
    _calls.prctl(PR_SET_CHILD_SUBREAPER, 1)


def setns(fd: int, clone_flag: int) -> None:
    """setns(2) of the calling thread."""
    _calls.setns(fd, clone_flag)
