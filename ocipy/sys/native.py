"""The C shim, typed: a negative errno becomes an OSError here, and nowhere else.

Every foreign call of the host side that is not in Python's own os module goes through this file.
"""

from __future__ import annotations

import fcntl
import os

from ocipy._native._shim import ffi, lib  # type: ignore[import-not-found, unused-ignore]

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


def _check(rc: int, filename: str = "") -> int:
    if rc >= 0:
        return rc
    # OSError picks its subclass by errno: FileNotFoundError and so on.
    raise OSError(-rc, os.strerror(-rc), filename) if filename else OSError(-rc, os.strerror(-rc))


def sealed_memfd(name: str, content: bytes, *, executable: bool) -> int:
    """Return a descriptor of a memfd with this content that nobody can ever change.

    The seals hold for root, for whoever reopens it through /proc/PID/exe, and for ourselves:
    memfd_create(2). Close-on-exec.
    """
    flags = _MFD_CLOEXEC | _MFD_ALLOW_SEALING
    try:
        # Linux 6.3 lets a sysctl refuse executable memfds that are not asked for as such.
        fd = os.memfd_create(name, flags | (_MFD_EXEC if executable else _MFD_NOEXEC_SEAL))
    except OSError as error:
        if error.errno != _EINVAL:
            raise
        fd = os.memfd_create(name, flags)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
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
    pidfd = ffi.new("int *", -1)
    pid = _check(
        lib.ocipy_spawn_init(
            init_fd,
            plan_fd,
            sync_fd,
            clone_flags,
            cgroup_fd,
            list(inherit),
            len(inherit),
            list(stdio),
            pidfd,
        )
    )
    return pid, pidfd[0]


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
    keep = [ffi.new("char[]", os.fsencode(text)) for text in (*argv, *env)]
    arguments = ffi.new("char *[]", [*keep[: len(argv)], ffi.NULL])
    environment = ffi.new("char *[]", [*keep[len(argv) :], ffi.NULL])
    pidfd = ffi.new("int *", -1)
    pid = _check(
        lib.ocipy_spawn_program(
            os.fsencode(path), arguments, environment, os.fsencode(cwd), input_fd, output_fd, pidfd
        )
    )
    return pid, pidfd[0]


def socketpair() -> tuple[int, int]:
    """Return two connected SOCK_SEQPACKET sockets, close-on-exec."""
    fds = ffi.new("int[2]")
    _check(lib.ocipy_socketpair(fds))
    return fds[0], fds[1]


def connect_unix(path: str) -> int:
    """Return a SOCK_STREAM socket connected to `path`, of any length, close-on-exec."""
    return _check(lib.ocipy_connect_unix(os.fsencode(path)), path)


def send(socket_fd: int, data: bytes, fds: Sequence[int] = ()) -> int:
    """sendmsg(2) with descriptors attached; never SIGPIPE. Returns the number of bytes sent."""
    return _check(lib.ocipy_send(socket_fd, data, len(data), list(fds), len(fds)))


def receive(socket_fd: int, size: int, timeout_ms: int = -1) -> tuple[bytes, int]:
    """recvmsg(2): one message of at most `size` bytes, b"" at end of file; its descriptor or -1.

    Raises:
        TimeoutError: nothing came within `timeout_ms` milliseconds (-1: wait for ever).
    """
    buffer = ffi.new("char[]", size)
    fd = ffi.new("int *", -1)
    length = _check(lib.ocipy_receive(socket_fd, buffer, size, fd, timeout_ms))
    return bytes(ffi.buffer(buffer, length)), fd[0]


def open_tree(path: str, *, recursive: bool) -> int:
    """open_tree(2): a detached copy of the mount at `path`, with what is mounted below if asked."""
    flags = OPEN_TREE_CLONE | (AT_RECURSIVE if recursive else 0)
    return _check(lib.ocipy_open_tree(os.fsencode(path), flags), path)


def open_in_root(root_fd: int, path: str, flags: int) -> int:
    """openat2(2): open `path` as if `root_fd` were the root, whatever links are on the way."""
    return _check(lib.ocipy_open_in_root(root_fd, os.fsencode(path), flags), path)


def prlimit(pid: int, resource: int, soft: int, hard: int) -> None:
    """prlimit(2); `soft` and `hard` in the resource's own unit, RLIM_INFINITY for no limit."""
    _check(lib.ocipy_prlimit(pid, resource, soft, hard))


def become_subreaper() -> None:
    """Make orphaned descendants our children (PR_SET_CHILD_SUBREAPER)."""
    _check(lib.ocipy_prctl(PR_SET_CHILD_SUBREAPER, 1))


def setns(fd: int, clone_flag: int) -> None:
    """setns(2) of the calling thread."""
    _check(lib.ocipy_setns(fd, clone_flag))
