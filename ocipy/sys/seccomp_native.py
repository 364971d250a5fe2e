"""libseccomp, typed: what the shim's shim_seccomp.c offers. Only a cache miss comes here for more
than the version.
"""

from __future__ import annotations

import os

from ocipy._native._shim import ffi, lib  # type: ignore[import-not-found, unused-ignore]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocipy.plan.seccomp import Condition

# libseccomp's answer for a name it does not know, __NR_SCMP_ERROR. All other negative numbers stand
# for calls that this machine lacks and another architecture of the filter may have.
UNKNOWN_SYSCALL = -1

_BINARY_TREE, _LIST = 2, 1
# As runc: below that many rules a tree gains nothing, and libseccomp up to 2.5.4 miscompiles one
# that is empty.
_WORTH_A_TREE = 32


class ExportError(OSError):
    """libseccomp refused. `part` is "action", "architecture", "rule" or "program"; `index` counts
    from 0 among the architectures or rules that were passed."""

    def __init__(self, code: int, part: str, index: int) -> None:
        super().__init__(code, os.strerror(code))
        self.part = part
        self.index = index


def libseccomp_version() -> str:
    """Return the version of the library that is loaded: "2.5.4"."""
    version = lib.ocipy_seccomp_version()
    return f"{version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}"


def native_architecture() -> int:
    """Return the SCMP_ARCH_* token of this machine."""
    return int(lib.ocipy_seccomp_native_arch())


def syscall_number(architecture: int, name: str) -> int:
    """Return a system call's number on an architecture, or UNKNOWN_SYSCALL."""
    return int(lib.ocipy_seccomp_syscall_number(architecture, os.fsencode(name)))


def knows_architecture(architecture: int) -> bool:
    """Whether the library that is loaded can filter for this SCMP_ARCH_* token."""
    return syscall_number(architecture, "read") != UNKNOWN_SYSCALL


def has_flags(seccomp_flags: int) -> bool:
    """Whether this kernel knows these SECCOMP_FILTER_FLAG_*, in this combination."""
    return bool(lib.ocipy_seccomp_probe_flags(seccomp_flags))


def export_program(
    default_action: int,
    architectures: Sequence[int],
    rules: Sequence[tuple[int, int, Sequence[Condition]]],
) -> bytes:
    """Compile a filter; return its BPF program, an array of struct sock_filter.

    A rule is an action, the number of a system call as syscall_number() gives it for the native
    architecture, and conditions of which all must hold.

    Raises:
        ExportError: libseccomp refused a part.
    """
    conditions = [condition for _, _, some in rules for condition in some]
    c_rules = ffi.new("struct ocipy_seccomp_rule[]", len(rules))
    first = 0
    for c_rule, (action, number, some) in zip(c_rules, rules, strict=True):
        c_rule.action, c_rule.syscall, c_rule.first, c_rule.count = action, number, first, len(some)
        first += len(some)
    position = ffi.new("uint32_t *")
    fd = os.memfd_create("ocipy-seccomp", os.MFD_CLOEXEC)
    with open(fd, "rb") as program:
        rc = lib.ocipy_seccomp_export(
            fd,
            default_action,
            _BINARY_TREE if len(rules) > _WORTH_A_TREE else _LIST,
            list(architectures),
            len(architectures),
            c_rules,
            len(rules),
            ffi.new("struct ocipy_seccomp_condition[]", conditions),
            position,
        )
        if rc < 0:
            raise _export_error(-rc, position[0], len(architectures), len(rules))
        program.seek(0)
        return program.read()


def _export_error(code: int, position: int, architectures: int, rules: int) -> ExportError:
    if position == 0:
        return ExportError(code, "action", 0)
    if position <= architectures:
        return ExportError(code, "architecture", position - 1)
    if position <= architectures + rules:
        return ExportError(code, "rule", position - architectures - 1)
    return ExportError(code, "program", 0)
