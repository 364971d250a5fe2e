"""BPF in front of a seccomp filter: calls newer than the profile are answered with ENOSYS.

A profile that lists what is allowed refuses the rest, usually with EPERM. A C library that tries a
new system call first and falls back on ENOSYS to the old one then breaks with the next release of
the library: glibc did with clone3 and faccessat2. So a call with a number above every number that
the profile names, whatever it does about them, is answered as a kernel would that lacks it. runc
does the same, since 1.0.0-rc93; the limits are its own, too: calls were not always added in the
order of their numbers, and for an architecture of which the profile names no call nothing is known.

The stub has one section for each architecture, and ends where the filter begins:

    load the architecture
    is it A?  no: next section
        load the number of the system call
        is it above the last of A?  yes: return ENOSYS
        go to the filter
    ...
"""

from __future__ import annotations

import sys

from ocipy.plan.seccomp import ACT_ERRNO, ARCHITECTURES, ENOSYS

# include/uapi/linux/bpf_common.h
_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP = 0x05  # BPF_JMP | BPF_JA
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_JUMP_BITS = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

INSTRUCTION_BYTES = 8  # struct sock_filter
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data

_X86_64, _X32 = ARCHITECTURES["SCMP_ARCH_X86_64"], ARCHITECTURES["SCMP_ARCH_X32"]
_S390 = (ARCHITECTURES["SCMP_ARCH_S390"], ARCHITECTURES["SCMP_ARCH_S390X"])
_X32_BIT = 0x4000_0000  # arch/x86/include/uapi/asm/unistd.h, __X32_SYSCALL_BIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    # code, distance to jump if true, if false, constant
    Instruction: TypeAlias = tuple[int, int, int, int]

_RETURN_ENOSYS = (_RETURN, 0, 0, ACT_ERRNO | ENOSYS)


def enosys_stub(last_numbers: dict[int, int]) -> bytes:
    """Return the stub for the last known system call of each architecture, a SCMP_ARCH_* token.

    b"" for no architecture.
    """
    x32_last = last_numbers.get(_X32)
    stub: list[Instruction] = []
    for token, last in reversed(last_numbers.items()):
        if token == _X32:
            continue
        if token == _X86_64:
            section = _x86_section(last, x32_last)
        else:
            section = _section(last, setup_is_unknown=token in _S390)
        stub = _for_architecture(token, section, len(stub)) + stub
    if x32_last is not None and _X86_64 not in last_numbers:
        stub = _for_architecture(_X86_64, _x86_section(None, x32_last), len(stub)) + stub
    if stub:
        stub.insert(0, (_LOAD_WORD, 0, 0, _ARCHITECTURE))
    return b"".join(_bytes(instruction) for instruction in stub)


def _for_architecture(
    audit_arch: int, section: list[Instruction], following: int
) -> list[Instruction]:
    """Guard a section, and lead from its end to the filter over `following` instructions."""
    section = [*section, (_JUMP, 0, 0, following)]
    return [(_JUMP_EQUAL, 0, len(section), audit_arch), *section]


def _section(last: int, *, setup_is_unknown: bool) -> list[Instruction]:
    section: list[Instruction] = [(_LOAD_WORD, 0, 0, _NUMBER)]
    if setup_is_unknown:
        # s390 passes large numbers through setup(2), number 0; where the kernel does not know
        # them the number stays 0.
        section += [(_JUMP_EQUAL, 0, 1, 0), _RETURN_ENOSYS]
    return [*section, (_JUMP_GREATER, 0, 1, last), _RETURN_ENOSYS]


def _x86_section(last: int | None, x32_last: int | None) -> list[Instruction]:
    """The kernel has one architecture for both; x32 is a bit in the number of the call."""
    load = (_LOAD_WORD, 0, 0, _NUMBER)
    if x32_last is None:
        assert last is not None
        return [load, (_JUMP_BITS, 2, 0, _X32_BIT), (_JUMP_GREATER, 0, 1, last), _RETURN_ENOSYS]
    if last is None:
        return [load, (_JUMP_BITS, 0, 2, _X32_BIT), (_JUMP_GREATER, 0, 1, x32_last), _RETURN_ENOSYS]
    return [
        load,
        (_JUMP_BITS, 0, 1, _X32_BIT),
        (_JUMP_GREATER, 1, 2, x32_last),
        (_JUMP_GREATER, 0, 1, last),
        _RETURN_ENOSYS,
    ]


def _bytes(instruction: Instruction) -> bytes:
    code, if_true, if_false, constant = instruction
    order = sys.byteorder
    return code.to_bytes(2, order) + bytes((if_true, if_false)) + constant.to_bytes(4, order)
