"""A machine for classic BPF as seccomp(2) allows it: programs are judged by what they answer."""

from __future__ import annotations

import struct

X86_64, X86, X32, AARCH64 = 0xC000003E, 0x40000003, 0x4000003E, 0xC00000B7
X32_BIT = 0x40000000

_COMPARE = {0x10: int.__eq__, 0x20: int.__gt__, 0x30: int.__ge__, 0x40: int.__and__}


def answer(program: bytes, number: int, *arguments: int, arch: int = X86_64) -> int:
    """Return SECCOMP_RET_* with its data for one system call.

    Raises:
        AssertionError: the kernel would not have accepted the program.
    """
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    # struct seccomp_data: nr, arch, instruction_pointer, args
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, arch, 0, *padded)
    accumulator, at = 0, 0
    while True:
        assert at * 8 < len(program), "the program runs past its end"
        code, if_true, if_false, constant = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        if code == 0x20:  # ld [k]
            assert constant % 4 == 0, "unaligned load"
            (accumulator,) = struct.unpack_from("=I", data, constant)
        elif code == 0x54:  # and #k
            accumulator &= constant
        elif code == 0x05:  # ja
            at += constant
        elif code & 0x07 == 0x05:  # jeq, jgt, jge, jset
            at += if_true if _COMPARE[code & 0xF0](accumulator, constant) else if_false
        elif code == 0x06:  # ret #k
            return int(constant)
        else:
            raise AssertionError(f"unexpected instruction {code:#x}")
