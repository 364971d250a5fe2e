"""The descriptors that a plan asks the host for, opened before the clone.

They are close-on-exec here; spawn_init passes on those that the plan names. A missing source of a
bind mount thus fails before there is a process to take back.
"""

from __future__ import annotations

import errno
import os
import stat

from ocipy.errors import OcipyError, StepError
from ocipy.sys import native
from ocipy.sys.fd import write_proc_file
from ocipy.sys.mount_constants import AT_RECURSIVE, IDMAP_RECURSIVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocipy.plan.step import HostFd, Step


class HostFds(dict["HostFd", int]):
    """The number of each HostFd; a context manager that closes them."""

    def __enter__(self) -> HostFds:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all of them."""
        while self:
            os.close(self.popitem()[1])


def open_host_fds(wanted: Iterable[tuple[Step, HostFd]], rootfs_fd: int = -1) -> HostFds:
    """Open each HostFd once; `wanted` names a step that needs it, for the error message.

    The kind "rootfs" is a copy of `rootfs_fd`.

    Raises:
        StepError: one cannot be opened; those that were are closed.
    """
    fds = HostFds()
    try:
        for step, host_fd in wanted:
            fds[host_fd] = _open(step, host_fd, rootfs_fd)
    except BaseException:
        fds.close()
        raise
    return fds


def _open(step: Step, host_fd: HostFd, rootfs_fd: int) -> int:
    kind, path = host_fd.kind, host_fd.path
    try:
        if kind == "rootfs":
            return os.dup(rootfs_fd)
        if kind == "tree":
            return _open_tree(host_fd)
        if kind == "userns":
            return _open_userns(host_fd)
        if kind in ("char", "block"):
            return native.open_tree(_device_path(host_fd), recursive=False)
        if kind == "fifo":
            return _open_fifo(path)
        # Without waiting: what should be a namespace may be a fifo.
        return os.open(path, host_fd.flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise _failure(step, host_fd, error) from error


def _open_fifo(path: str) -> int:
    # For both: it has a reader and a writer then, whoever else comes and goes (fifo(7)).
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a fifo", path)
    return fd


def _device_path(host_fd: HostFd) -> str:
    """Return where the host has a device: at the path it gets in the container, or anywhere."""
    is_kind = stat.S_ISCHR if host_fd.kind == "char" else stat.S_ISBLK
    number = host_fd.flags
    try:
        status = os.stat(host_fd.path)
        if is_kind(status.st_mode) and status.st_rdev == number:
            return host_fd.path
    except FileNotFoundError:
        pass
    # sysfs(5): the kernel's own name of a device, which is its name in devtmpfs.
    place = f"/sys/dev/{host_fd.kind}/{os.major(number)}:{os.minor(number)}/uevent"
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return host_fd.path
    with open(fd, encoding="utf-8") as uevent:
        for line in uevent:
            key, _, name = line.strip().partition("=")
            if key == "DEVNAME":
                return f"/dev/{name}"
    return host_fd.path


class _IdMapError(OSError):
    """The mount was opened, and cannot be id-mapped."""


def _open_tree(host_fd: HostFd) -> int:
    tree = native.open_tree(host_fd.path, recursive=bool(host_fd.flags & AT_RECURSIVE))
    if not host_fd.is_idmapped:
        return tree
    # Rare: what it takes is not imported for other containers.
    from ocipy.sys.userns_native import idmap_tree

    try:
        userns = _open_userns(host_fd)
        try:
            idmap_tree(tree, userns, recursive=bool(host_fd.flags & IDMAP_RECURSIVE))
        except OSError as error:
            raise _IdMapError(*error.args) from error
        finally:
            os.close(userns)
    except BaseException:
        os.close(tree)
        raise
    return tree


def _open_userns(host_fd: HostFd) -> int:
    """Open the user namespace at a path, or one for the mappings, which lives in its descriptor."""
    if host_fd.userns:
        return os.open(host_fd.userns, os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    from ocipy.sys.userns_native import clone_userns

    pid, pidfd = clone_userns()
    try:
        for kind, lines in zip(("uid", "gid"), host_fd.mappings, strict=True):
            write_proc_file(f"/proc/{pid}/{kind}_map", "".join(f"{line}\n" for line in lines))
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        from _signal import (  # type: ignore[import-not-found, unused-ignore]
            SIGKILL,
            pidfd_send_signal,
        )

        pidfd_send_signal(pidfd, SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)


_CALLS = {"tree": "open_tree", "char": "open_tree", "block": "open_tree", "userns": "clone3"}


def _failure(step: Step, host_fd: HostFd, error: OSError) -> OcipyError:
    code = error.errno or 0
    call = _CALLS.get(host_fd.kind, "open")
    detail = str(error.filename or "")
    if isinstance(error, _IdMapError):
        hint = (
            "the file system there does not support id-mapped mounts"
            if code == errno.EINVAL
            else ""
        )
        return StepError(step, "mount_setattr", code, detail=host_fd.path, hint=hint)
    if host_fd.kind == "namespace":
        hint = "the path must lead to a namespace of a process that runs, as in /proc/PID/ns"
    elif _CALLS.get(host_fd.kind) != "open_tree":
        hint = ""
    elif code == errno.ENOENT:
        hint = f"{_first_missing(host_fd.path)!r} does not exist on the host"
    elif code == errno.EINVAL:
        hint = "the source must be in this mount namespace and not on an unbindable mount"
    else:
        hint = ""
    return StepError(step, call, code, detail=detail, hint=hint)


def _first_missing(path: str) -> str:
    """Return the first part of `path` that is not there: mostly it says what is misspelt."""
    parts = path.split("/")
    for i in range(2, len(parts)):
        if not os.path.lexists("/".join(parts[:i])):
            return "/".join(parts[:i])
    return path
