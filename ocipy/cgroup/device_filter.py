"""Device rules to an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE. Pure.

Theory of operation. The kernel runs the program whenever a process of the cgroup opens a device or
makes a node of one, with a context of three numbers: type and wanted access, major, minor. It
answers 1 (yes) or 0 (no).

An entry decides about single kinds of access, and the last that names the device wins. So the
program goes through the entries backwards and keeps in r3 the kinds that nothing has decided yet:
an entry that denies one of them ends it with no; one that allows some takes those out, and ends it
with yes when none is left. So opening for reading and writing may be allowed by two entries, one
for each.

    r2 type     r3 access not yet decided     r4 major     r5 minor     r1 scratch
"""

from __future__ import annotations

from ocipy.cgroup.devices import ALL_ACCESS, ANY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocipy.cgroup.devices import Rule

# include/uapi/linux/bpf.h: class, operation and operand of each instruction used.
_LOAD_WORD = 0x61  # BPF_LDX | BPF_MEM | BPF_W
_MOVE, _MOVE_REGISTER = 0xB4, 0xBC  # BPF_ALU | BPF_MOV | BPF_K, BPF_X
_AND, _SHIFT_RIGHT = 0x54, 0x74  # BPF_ALU | BPF_AND, BPF_RSH | BPF_K
# BPF_JMP32: a number above 2^31 is not taken for a negative one. Since Linux 5.1.
_IF_EQUAL, _IF_NOT_EQUAL = 0x16, 0x56
_EXIT = 0x95
_TYPE = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR


def device_filter(rules: Sequence[Rule]) -> bytes:
    """Return the program, eight bytes for each instruction, in little-endian order.

    Both architectures that ocipy supports are little-endian.
    """
    program = [
        _instruction(_LOAD_WORD, 2, 1, 0, 0),
        _instruction(_MOVE_REGISTER, 3, 2),
        _instruction(_AND, 2, immediate=0xFFFF),
        _instruction(_SHIFT_RIGHT, 3, immediate=16),
        _instruction(_LOAD_WORD, 4, 1, 4),
        _instruction(_LOAD_WORD, 5, 1, 8),
    ]
    for rule in reversed(rules):
        program += _rule(rule)
        if rule.is_reset:
            return b"".join(program)
    return b"".join([*program, *_answer(0)])


def _rule(rule: Rule) -> list[bytes]:
    if rule.allow and rule.access == ALL_ACCESS:
        decide = _answer(1)
    elif rule.allow:
        decide = [
            _instruction(_AND, 3, immediate=ALL_ACCESS & ~rule.access),
            _instruction(_IF_NOT_EQUAL, 3, offset=2, immediate=0),
            *_answer(1),
        ]
    elif rule.access == ALL_ACCESS:
        decide = _answer(0)
    else:
        decide = [
            _instruction(_MOVE_REGISTER, 1, 3),
            _instruction(_AND, 1, immediate=rule.access),
            _instruction(_IF_EQUAL, 1, offset=2, immediate=0),
            *_answer(0),
        ]
    wanted = []
    if rule.kind in _TYPE:
        wanted.append((2, _TYPE[rule.kind]))
    if rule.major != ANY:
        wanted.append((4, rule.major))
    if rule.minor != ANY:
        wanted.append((5, rule.minor))
    # Each comparison jumps over those that follow it, and over the decision.
    length = len(wanted) + len(decide)
    compare = [
        _instruction(_IF_NOT_EQUAL, register, offset=length - i - 1, immediate=number)
        for i, (register, number) in enumerate(wanted)
    ]
    return compare + decide


def _answer(value: int) -> list[bytes]:
    return [_instruction(_MOVE, 0, immediate=value), _instruction(_EXIT)]


def _instruction(
    opcode: int, target: int = 0, source: int = 0, offset: int = 0, immediate: int = 0
) -> bytes:
    return (
        bytes((opcode, target | source << 4))
        + offset.to_bytes(2, "little")
        + (immediate & 0xFFFFFFFF).to_bytes(4, "little")
    )
