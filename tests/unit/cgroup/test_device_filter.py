"""The device filter, run by a small interpreter and compared with what the rules say.

The interpreter knows just the instructions that a filter of this kind may have, and treats anything
else, reads outside of the context and jumps out of the program included, as the verifier would.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from ocipy.cgroup.device_filter import device_filter
from ocipy.cgroup.devices import ANY, Rule, effective, parse_rules

READ, WRITE, MKNOD = 2, 4, 1
KINDS = {"b": 1, "c": 2}


def run(program: bytes, kind: str, major: int, minor: int, access: int) -> int:
    """Return what the kernel would get in r0."""
    context = {0: access << 16 | KINDS[kind], 4: major, 8: minor}
    registers: dict[int, int | None] = dict.fromkeys(range(10))
    code = [program[i : i + 8] for i in range(0, len(program), 8)]
    at = 0
    for _ in range(len(code) + 1):  # no jump leads back, so each runs at most once
        assert 0 <= at < len(code), "runs out of the program"
        opcode, target, source = code[at][0], code[at][1] & 15, code[at][1] >> 4
        offset = int.from_bytes(code[at][2:4], "little", signed=True)
        immediate = int.from_bytes(code[at][4:8], "little")
        at += 1

        def value(register: int) -> int:
            found = registers[register]
            assert found is not None, f"r{register} is read before it is written"
            return found

        if opcode == 0x61:
            assert source == 1, "only the context may be read"
            registers[target] = context[offset]
        elif opcode == 0xB4:
            registers[target] = immediate
        elif opcode == 0xBC:
            registers[target] = value(source)
        elif opcode == 0x54:
            registers[target] = value(target) & immediate
        elif opcode == 0x74:
            registers[target] = value(target) >> immediate
        elif opcode in (0x16, 0x56):
            assert offset >= 0
            if (value(target) == immediate) == (opcode == 0x16):
                at += offset
        elif opcode == 0x95:
            return value(0)
        else:
            raise AssertionError(f"unknown instruction {opcode:#x}")
    raise AssertionError("no end")


def allowed(rules: list[Rule], kind: str, major: int, minor: int, access: int) -> bool:
    """The meaning of a list: for each kind of access, the last rule about it that names the device
    decides; what none names is denied."""
    for bit in (READ, WRITE, MKNOD):
        if access & bit:
            decided = [
                rule.allow
                for rule in rules
                if rule.kind in ("a", kind)
                and rule.major in (ANY, major)
                and rule.minor in (ANY, minor)
                and rule.access & bit
            ]
            if not decided or not decided[-1]:
                return False
    return True


def test_against_the_meaning_of_random_lists() -> None:
    chance = random.Random(4)
    for _ in range(120):
        rules = [
            Rule(
                chance.random() < 0.5,
                chance.choice("abc"),
                chance.choice([ANY, 0, 1, 5]),
                chance.choice([ANY, 0, 3]),
                chance.randrange(1, 8),
            )
            for _ in range(chance.randrange(8))
        ]
        if chance.random() < 0.5:
            rules.insert(chance.randrange(len(rules) + 1), Rule(True, "a", ANY, ANY, 7))
        program = device_filter(effective(rules))
        for kind, major, minor, access in itertools.product("bc", (0, 1, 5), (0, 3), range(1, 8)):
            expected = allowed(rules, kind, major, minor, access)
            got = run(program, kind, major, minor, access)
            assert got == expected, (
                [(r.allow, r.text()) for r in rules],
                kind,
                major,
                minor,
                access,
            )


def filter_of(*rules: Any) -> bytes:
    return device_filter(effective(parse_rules(rules, "/devices")))


def test_default_deny() -> None:
    """GHSA-g54h-m393-cpwq: a list of devices is what is allowed, even an empty one."""
    program = filter_of()
    assert run(program, "c", 1, 1, READ) == 0  # /dev/mem
    assert run(program, "b", 8, 0, READ) == 0
    assert run(program, "c", 1, 3, READ | WRITE) == 1
    assert run(program, "c", 136, 7, READ | WRITE) == 1
    assert run(program, "b", 8, 0, MKNOD) == 1
    assert run(program, "b", 8, 0, MKNOD | READ) == 0


def test_opening_for_both_by_two_entries() -> None:
    entry = {"allow": True, "type": "b", "major": 8, "minor": 0}
    program = filter_of(entry | {"access": "r"}, entry | {"access": "w"})
    assert run(program, "b", 8, 0, READ | WRITE) == 1
    assert run(program, "b", 8, 1, READ) == 0


def test_a_hole_in_a_wildcard() -> None:
    program = filter_of(
        {"allow": True, "type": "b", "major": 8, "access": "rw"},
        {"allow": False, "type": "b", "major": 8, "minor": 1, "access": "w"},
    )
    assert run(program, "b", 8, 1, READ) == 1
    assert run(program, "b", 8, 1, WRITE) == 0
    assert run(program, "b", 8, 2, READ | WRITE) == 1


def test_numbers_above_2_to_the_31() -> None:
    number = 0xFFFFFFFE
    program = filter_of(
        {"allow": True, "type": "c", "major": number, "minor": number, "access": "r"}
    )
    assert run(program, "c", number, number, READ) == 1
    assert run(program, "c", number, 0, READ) == 0


def test_everything_is_short() -> None:
    program = filter_of({"allow": True, "access": "rwm"})
    assert len(program) // 8 == 8
    assert run(program, "b", 7, 7, READ | WRITE | MKNOD) == 1


@pytest.mark.parametrize("access", [READ, WRITE, MKNOD])
def test_an_access_of_nothing_is_judged_as_in_v1(access: int) -> None:
    """access(path, F_OK) asks for nothing: allowed on a device that any entry allows something."""
    program = device_filter([Rule(True, "c", 1, 1, access)])
    assert run(program, "c", 1, 1, 0) == 1
    assert run(program, "c", 1, 2, 0) == 0
