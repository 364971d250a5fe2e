"""User namespaces for id-mapped mounts: the shim's shim_userns.c, typed."""

from __future__ import annotations

import os

from ocipy._native._shim import ffi, lib  # type: ignore[import-not-found, unused-ignore]


def _check(rc: int) -> int:
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
    return rc


def clone_userns() -> tuple[int, int]:
    """Start a child in a new user namespace that waits to be killed; return its pid and a pidfd."""
    pidfd = ffi.new("int *", -1)
    return _check(lib.ocipy_clone_userns(pidfd)), pidfd[0]


def idmap_tree(tree_fd: int, userns_fd: int, *, recursive: bool) -> None:
    """mount_setattr(2): give the detached mount the ids of a user namespace (MOUNT_ATTR_IDMAP)."""
    _check(lib.ocipy_idmap_tree(tree_fd, userns_fd, recursive))
