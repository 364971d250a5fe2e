"""The filters that libseccomp makes, run in Python: the answers are those of the profile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.observe.bpf_machine import Program
from ocipy.plan.seccomp import ACTIONS, ARCHITECTURES, plan_seccomp
from ocipy.spawn.seccomp import compile_program
from ocipy.sys import seccomp_native
from tests.unit.host_facts import host_facts
from tests.unit.plan.test_golden_plans import GOLDEN

if TYPE_CHECKING:
    from ocipy.config._generated_types import Config

ALLOW, ERRNO = ACTIONS["SCMP_ACT_ALLOW"], ACTIONS["SCMP_ACT_ERRNO"]


def program(seccomp: dict[str, Any]) -> Program:
    config: Config = {"linux": {"seccomp": seccomp}}  # type: ignore[typeddict-item]
    request = plan_seccomp(config, host_facts())
    assert request is not None
    return Program(compile_program(request))


def ask(machine: Program, name: str, *arguments: int) -> int:
    native = seccomp_native.native_architecture()
    number = seccomp_native.syscall_number(0, name)
    return machine.answer(number, native, (*arguments, *[0] * (6 - len(arguments))))


def test_dockers_profile() -> None:
    text = (GOLDEN / "configs" / "docker-run.json").read_text()
    machine = program(json.loads(text)["linux"]["seccomp"])
    assert ask(machine, "read") == ALLOW
    assert ask(machine, "mount") == ERRNO | 1
    assert ask(machine, "clone3") == ERRNO | 38
    assert ask(machine, "personality", 0) == ALLOW
    assert ask(machine, "personality", 0x123) == ERRNO | 1
    # CLONE_NEWUSER is masked out, whatever else is in the flags.
    assert ask(machine, "clone", 0x1200011) == ALLOW
    assert ask(machine, "clone", 0x10000000) == ERRNO | 1
    native = seccomp_native.native_architecture()
    assert machine.answer(9999, native, (0,) * 6) == ERRNO | 38
    # Another architecture is none of those that the profile has.
    assert machine.answer(1, ARCHITECTURES["SCMP_ARCH_PPC64LE"], (0,) * 6) != ALLOW


@pytest.mark.parametrize(
    ("op", "value", "two", "refused"),
    [
        ("EQ", 5, 0, [5]),
        ("NE", 5, 0, [0, 4, 6, 1 << 40]),
        ("LT", 5, 0, [0, 4]),
        ("LE", 5, 0, [0, 4, 5]),
        ("GT", 5, 0, [6, 1 << 40]),
        ("GE", 5, 0, [5, 6, 1 << 40]),
        ("MASKED_EQ", 4, 4, [4, 5, 6]),
        ("GE", 1 << 40, 0, [1 << 40]),
    ],
)
def test_conditions(op: str, value: int, two: int, refused: list[int]) -> None:
    condition = {"index": 1, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": two}
    machine = program(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [condition]}],
        }
    )
    tried = [0, 4, 5, 6, 1 << 40]
    assert [n for n in tried if ask(machine, "kill", 0, n) != ALLOW] == refused


def test_what_is_no_instruction_of_seccomp() -> None:
    with pytest.raises(ValueError, match="0xffff"):
        Program(b"\xff\xff" + bytes(6)).answer(0, 0, (0,) * 6)
