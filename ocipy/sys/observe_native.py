"""What it takes to watch a container from outside: the shim's shim_observe.c, typed."""

from __future__ import annotations

import os

from ocipy._native._shim import ffi, lib  # type: ignore[import-not-found, unused-ignore]

# include/uapi/linux/inotify.h
IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO = 0x8, 0x40, 0x80
IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF = 0x100, 0x200, 0x400, 0x800
IN_ONLYDIR = 0x1000000


def _check(rc: int, filename: str = "") -> int:
    if rc >= 0:
        return rc
    raise OSError(-rc, os.strerror(-rc), filename) if filename else OSError(-rc, os.strerror(-rc))


def inotify() -> int:
    """inotify_init1(2): a descriptor that becomes readable; close-on-exec, never blocks."""
    return _check(lib.ocipy_inotify())


def inotify_watch(inotify_fd: int, path: str, mask: int) -> int:
    """inotify_add_watch(2): the number of the watch."""
    return _check(lib.ocipy_inotify_watch(inotify_fd, os.fsencode(path), mask), path)


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """pidfd_getfd(2): our own copy of a descriptor of another process, close-on-exec."""
    return _check(lib.ocipy_pidfd_getfd(pidfd, fd))


def syscall_name(architecture: int, number: int) -> str:
    """Return the name that libseccomp has for a system call of a SCMP_ARCH_*; "" for none."""
    name = ffi.new("char[]", 64)
    if lib.ocipy_seccomp_syscall_name(architecture, number, name, 64) < 0:
        return ""
    return bytes(ffi.string(name)).decode()
