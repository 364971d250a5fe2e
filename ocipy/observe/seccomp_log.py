"""Which system call a seccomp filter has killed a process for: the kernel's log says so.

The kernel logs each kill (seccomp(2), /proc/sys/kernel/seccomp/actions_logged) as an audit record;
without an audit daemon it is in the kernel's ring buffer, which root may read.
"""

from __future__ import annotations

import os

from ocipy.observe.printable import printable
from ocipy.sys import observe_native

# include/uapi/linux/audit.h
_AUDIT_SECCOMP = "type=1326"
_HINT = "'ocipy run --record-seccomp FILE' finds out what the program needs"


# A shell's word for a child that SIGSYS has ended.
_CHILD_KILLED = 128 + 31


def explain(wait_status: int, pid: int) -> str:
    """Return a sentence about a process that SIGSYS has ended, or a shell after such a child."""
    if os.WIFSIGNALED(wait_status):
        return explain_death(pid)
    return (
        f"exit status {_CHILD_KILLED} is that of a shell whose child was ended for a system call "
        f"that the seccomp profile forbids: {_HINT}"
    )


def explain_death(pid: int) -> str:
    """Return a sentence about a process that SIGSYS has ended, its system call in it if known."""
    record = _last_record(pid)
    try:
        number, architecture = int(record["syscall"]), int(record["arch"], 16)
    except (KeyError, ValueError):
        return (
            "the process was ended for a system call that its seccomp profile forbids, and the "
            f"kernel's log does not say which: {_HINT}"
        )
    name = observe_native.syscall_name(architecture, number) or f"number {number}"
    return (
        f"the process was ended for the system call {name}, which its seccomp profile forbids "
        f"(program {printable(record.get('comm', '?'))}): {_HINT}"
    )


def _last_record(pid: int) -> dict[str, str]:
    """Return the fields of the last record about this process; {} if there is none."""
    found: dict[str, str] = {}
    for line in _kernel_log():
        if _AUDIT_SECCOMP not in line:
            continue
        fields = dict(word.partition("=")[::2] for word in line.split(" "))
        if fields.get("pid") == str(pid) and fields.get("sig") == "31":
            found = fields
    return found


def _kernel_log() -> list[str]:
    lines = []
    try:
        fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        while True:
            try:
                lines.append(os.read(fd, 8192).decode("utf-8", "replace"))
            except BrokenPipeError:
                continue  # overwritten while we read
            except OSError:  # EAGAIN: that was the last one
                return lines
    finally:
        os.close(fd)
