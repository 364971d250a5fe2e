"""Classic BPF, run in Python: what the kernel would answer to a system call under a filter.

include/uapi/linux/filter.h and bpf_common.h; only what seccomp(2) takes. A filter is data: an array
of struct sock_filter (code, jump if true, jump if false, constant).
"""

from __future__ import annotations

from struct import iter_unpack, pack

_DATA = "=iIQ6Q"  # struct seccomp_data: number, architecture, instruction pointer, arguments

_LD_W_ABS, _LD_IMM, _LD_MEM, _LDX_IMM, _LDX_MEM = 0x20, 0x00, 0x60, 0x01, 0x61
_LD_LEN, _LDX_LEN, _ST, _STX, _TAX, _TXA = 0x80, 0x81, 0x02, 0x03, 0x07, 0x87
_RET_K, _RET_A, _JA = 0x06, 0x16, 0x05
_JUMPS = {0x15: "eq", 0x25: "gt", 0x35: "ge", 0x45: "set"}
_WORD = 0xFFFF_FFFF


class Program:
    """A filter that can be asked."""

    def __init__(self, code: bytes) -> None:
        self._instructions = list(iter_unpack("=HBBI", code))

    def answer(self, number: int, architecture: int, arguments: tuple[int, ...]) -> int:
        """Return SECCOMP_RET_* and its data for one system call; `number` as in seccomp_data.

        Raises:
            ValueError: an instruction that seccomp(2) would not have taken.
        """
        data = pack(_DATA, number, architecture, 0, *arguments)
        a = x = at = 0
        memory = [0] * 16
        while True:
            code, if_true, if_false, k = self._instructions[at]
            at += 1
            if code == _LD_W_ABS:
                a = int.from_bytes(data[k : k + 4], "little")
            elif code in (_RET_K, _RET_A):
                return int(k) if code == _RET_K else a
            elif code == _JA:
                at += k
            elif code & ~0x08 in _JUMPS:
                value = x if code & 0x08 else k
                at += if_true if _holds(_JUMPS[code & ~0x08], a, value) else if_false
            elif code & 0x07 == 0x04:
                a = _arithmetic(code & 0xF0, a, x if code & 0x08 else k)
            elif code in (_LD_IMM, _LDX_IMM, _LD_LEN, _LDX_LEN):
                value = k if code in (_LD_IMM, _LDX_IMM) else len(data)
                a, x = (value, x) if code in (_LD_IMM, _LD_LEN) else (a, value)
            elif code in (_LD_MEM, _LDX_MEM):
                a, x = (memory[k], x) if code == _LD_MEM else (a, memory[k])
            elif code in (_ST, _STX):
                memory[k] = a if code == _ST else x
            elif code in (_TAX, _TXA):
                a, x = (a, a) if code == _TAX else (x, x)
            else:
                raise ValueError(f"no instruction of seccomp: {code:#x}")


def _holds(kind: str, a: int, value: int) -> bool:
    if kind == "eq":
        return a == value
    if kind == "gt":
        return a > value
    if kind == "ge":
        return a >= value
    return bool(a & value)


def _arithmetic(operation: int, a: int, value: int) -> int:
    results = {
        0x00: lambda: a + value,
        0x10: lambda: a - value,
        0x20: lambda: a * value,
        0x30: lambda: a // value if value else 0,
        0x40: lambda: a | value,
        0x50: lambda: a & value,
        0x60: lambda: a << (value & 31),
        0x70: lambda: a >> (value & 31),
        0x80: lambda: -a,
        0xA0: lambda: a ^ value,
    }
    if operation not in results:
        raise ValueError(f"no arithmetic of seccomp: {operation:#x}")
    return results[operation]() & _WORD
