"""bpf(2) for the device filter of a cgroup v2, typed: what the shim's shim_bpf.c offers."""

from __future__ import annotations

import os

from ocipy._native._shim import ffi, lib  # type: ignore[import-not-found, unused-ignore]

_INSTRUCTION_BYTES = 8
_LOG_BYTES = 65536


def replace_device_filter(cgroup_fd: int, program: bytes) -> None:
    """Put a device filter in force for a cgroup, atomically in place of the one ocipy put there.

    Raises:
        OSError: EPERM without CAP_BPF or CAP_SYS_ADMIN, or in a user namespace; EINVAL or EACCES,
            with the verifier's words as the message, if the kernel does not take the program.
    """
    log = ffi.new("char[]", _LOG_BYTES)
    count = len(program) // _INSTRUCTION_BYTES
    rc = lib.ocipy_replace_device_filter(cgroup_fd, program, count, log, _LOG_BYTES)
    if rc < 0:
        words = os.fsdecode(ffi.string(log)).strip()
        raise OSError(-rc, words or os.strerror(-rc))


def count_device_filters(cgroup_fd: int) -> int:
    """Return how many filters of ocipy's the cgroup itself has; OSError as above."""
    count: int = lib.ocipy_count_device_filters(cgroup_fd)
    if count < 0:
        raise OSError(-count, os.strerror(-count))
    return count
