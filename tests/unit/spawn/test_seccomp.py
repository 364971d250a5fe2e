"""Profiles are compiled by libseccomp and run by a BPF machine: what does each call get?"""

from __future__ import annotations

import glob
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan.seccomp import plan_seccomp
from ocipy.spawn.seccomp import compile_filter
from ocipy.sys import seccomp_native
from tests.conftest import REPOSITORY
from tests.unit.host_facts import host_facts
from tests.unit.spawn.bpf_machine import X32_BIT, X86, X86_64, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    seccomp_native.native_architecture() != X86_64, reason="the numbers here are those of x86_64"
)

ALLOW, LOG, TRAP, KILL_PROCESS = 0x7FFF0000, 0x7FFC0000, 0x00030000, 0x80000000
KILL_THREAD, NOTIFY = 0, 0x7FC00000
EPERM, ENOSYS, EACCES = 0x00050001, 0x00050026, 0x0005000D
READ, WRITE, OPENAT, PERSONALITY, CLONE3, OPENAT2 = 0, 1, 257, 135, 435, 437
BIG = 0x1_0000_0001


def rule(names: str, action: str, **more: Any) -> dict[str, Any]:
    return {"names": names.split(), "action": f"SCMP_ACT_{action}", **more}


def condition(index: int, op: str, value: int, value_two: int = 0) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": value_two}


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., bytes]:
    """Return a function from the default action, rules and other members to a BPF program."""

    def compiled(default: str, *rules: dict[str, Any], **more: Any) -> bytes:
        profile: Any = {"defaultAction": f"SCMP_ACT_{default}", "syscalls": list(rules), **more}
        config: Any = {"linux": {"seccomp": profile}}
        request = plan_seccomp(config, host_facts())
        assert request is not None
        return compile_filter(request, str(tmp_path))

    return compiled


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("KILL", KILL_THREAD),
        ("KILL_THREAD", KILL_THREAD),
        ("KILL_PROCESS", KILL_PROCESS),
        ("TRAP", TRAP),
        ("ERRNO", EPERM),
        ("TRACE", 0x7FF00001),
        ("LOG", LOG),
        ("NOTIFY", NOTIFY),
    ],
)
def test_actions(program: Callable[..., bytes], action: str, expected: int) -> None:
    filter_ = program("ALLOW", rule("personality", action), listenerPath="/agent")
    assert answer(filter_, PERSONALITY) == expected
    assert answer(filter_, READ) == ALLOW


@pytest.mark.parametrize("action", ["KILL", "KILL_PROCESS", "TRAP", "ERRNO", "TRACE", "LOG"])
def test_default_actions(program: Callable[..., bytes], action: str) -> None:
    filter_ = program(action, rule("read openat2", "ALLOW"))
    expected = answer(program("ALLOW", rule("personality", action)), PERSONALITY)
    assert answer(filter_, PERSONALITY) == expected
    assert answer(filter_, READ) == ALLOW


def test_errno_ret(program: Callable[..., bytes]) -> None:
    filter_ = program(
        "ERRNO",
        rule("read", "ALLOW"),
        rule("clone3", "ERRNO", errnoRet=38),
        rule("personality", "TRACE", errnoRet=0xABCD),
        defaultErrnoRet=13,
    )
    assert answer(filter_, WRITE) == EACCES
    assert answer(filter_, CLONE3) == ENOSYS
    assert answer(filter_, PERSONALITY) == 0x7FF0ABCD


def test_errno_ret_0_pretends_success(program: Callable[..., bytes]) -> None:
    filter_ = program("ALLOW", rule("personality", "ERRNO", errnoRet=0))
    assert answer(filter_, PERSONALITY) == 0x00050000


@pytest.mark.parametrize(
    ("op", "matching", "others"),
    [
        ("NE", (4, 6, BIG), (5,)),
        ("LT", (0, 4), (5, 6, BIG)),
        ("LE", (0, 5), (6, BIG)),
        ("EQ", (5,), (4, 6, (1 << 32) + 5)),
        ("GE", (5, 6, BIG), (4,)),
        ("GT", (6, BIG), (4, 5)),
    ],
)
def test_operators(
    program: Callable[..., bytes], op: str, matching: tuple[int, ...], others: tuple[int, ...]
) -> None:
    filter_ = program("ERRNO", rule("openat", "ALLOW", args=[condition(2, op, 5)]))
    for value in matching:
        assert answer(filter_, OPENAT, 0, 0, value) == ALLOW, value
    for value in others:
        assert answer(filter_, OPENAT, 0, 0, value) == EPERM, value


def test_masked_equal_compares_what_the_mask_leaves(program: Callable[..., bytes]) -> None:
    # Docker's rule for clone: no new namespaces. value is the mask, valueTwo what must remain.
    filter_ = program("ERRNO", rule("clone", "ALLOW", args=[condition(0, "MASKED_EQ", 0x7E020000)]))
    assert answer(filter_, 56, 0x11) == ALLOW
    assert answer(filter_, 56, 0x10000011) == EPERM
    filter_ = program("ERRNO", rule("read", "ALLOW", args=[condition(1, "MASKED_EQ", 0xF0, 0x20)]))
    assert answer(filter_, READ, 0, 0x2F) == ALLOW
    assert answer(filter_, READ, 0, 0x3F) == EPERM


def test_values_have_64_bits(program: Callable[..., bytes]) -> None:
    value = 0xFFFF_FFFF_0000_0001
    filter_ = program("ERRNO", rule("read", "ALLOW", args=[condition(5, "EQ", value)]))
    assert answer(filter_, READ, 0, 0, 0, 0, 0, value) == ALLOW
    assert answer(filter_, READ, 0, 0, 0, 0, 0, 1) == EPERM


def test_all_conditions_must_hold(program: Callable[..., bytes]) -> None:
    args = [condition(0, "EQ", 1), condition(1, "EQ", 2)]
    filter_ = program("ERRNO", rule("read", "ALLOW", args=args))
    assert answer(filter_, READ, 1, 2) == ALLOW
    assert answer(filter_, READ, 1, 0) == EPERM
    assert answer(filter_, READ, 0, 2) == EPERM


def test_of_conditions_on_the_same_argument_any_is_enough(program: Callable[..., bytes]) -> None:
    args = [condition(0, "EQ", 1), condition(0, "EQ", 2)]
    filter_ = program("ERRNO", rule("read", "ALLOW", args=args))
    assert [answer(filter_, READ, value) for value in (1, 2, 3)] == [ALLOW, ALLOW, EPERM]


def test_a_rule_twice_is_one_rule(program: Callable[..., bytes]) -> None:
    once = program("ERRNO", rule("read", "ALLOW"))
    assert program("ERRNO", rule("read read", "ALLOW"), rule("read", "ALLOW")) == once


def test_rules_that_say_what_happens_anyway_are_left_out(program: Callable[..., bytes]) -> None:
    filter_ = program("ERRNO", rule("read", "ERRNO"), rule("write", "ERRNO", errnoRet=1))
    assert answer(filter_, READ) == EPERM


def test_unknown_names_are_tolerated(program: Callable[..., bytes]) -> None:
    filter_ = program("ERRNO", rule("brand_new_call read", "ALLOW"), rule("no_such", "KILL"))
    assert answer(filter_, READ) == ALLOW


def test_sub_architectures(program: Callable[..., bytes]) -> None:
    read_x86, socketcall_x86 = 3, 102
    filter_ = program(
        "ERRNO",
        rule("read socketcall", "ALLOW"),
        architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    )
    assert answer(filter_, READ) == ALLOW
    assert answer(filter_, read_x86, arch=X86) == ALLOW
    assert answer(filter_, socketcall_x86, arch=X86) == ALLOW
    assert answer(filter_, X32_BIT | READ) == ALLOW
    assert answer(filter_, 4, arch=X86) == EPERM


def test_architectures_that_are_not_listed_are_killed(program: Callable[..., bytes]) -> None:
    filter_ = program("ALLOW", rule("personality", "ERRNO"))
    assert answer(filter_, 3, arch=X86) == KILL_THREAD
    assert answer(filter_, X32_BIT | READ) == KILL_THREAD


def test_the_native_architecture_is_implied(program: Callable[..., bytes]) -> None:
    filter_ = program("ERRNO", rule("read", "ALLOW"), architectures=["SCMP_ARCH_X86"])
    assert answer(filter_, READ) == ALLOW


@pytest.mark.parametrize(
    ("default", "more", "expected"),
    [
        ("ERRNO", {}, ENOSYS),
        ("KILL_PROCESS", {}, ENOSYS),
        ("TRAP", {}, ENOSYS),
        ("ERRNO", {"defaultErrnoRet": 13}, ENOSYS),
        ("ERRNO", {"defaultErrnoRet": 38}, ENOSYS),
        ("ALLOW", {}, ALLOW),
        ("LOG", {}, LOG),
        ("TRACE", {}, 0x7FF00001),
    ],
)
def test_calls_newer_than_the_profile(
    program: Callable[..., bytes], default: str, more: dict[str, int], expected: int
) -> None:
    rules = rule("read openat2", "TRAP" if default != "TRAP" else "ALLOW")
    filter_ = program(default, rules, **more)
    assert answer(filter_, OPENAT2 + 1) == expected
    # In the gap below the newest call that it names, the profile decides.
    gap = answer(filter_, OPENAT2 - 1)
    assert gap == answer(filter_, PERSONALITY)
    assert gap != ENOSYS or more == {"defaultErrnoRet": 38}


def test_the_newest_call_of_a_profile_may_be_a_refused_one(program: Callable[..., bytes]) -> None:
    filter_ = program("ERRNO", rule("read", "ALLOW"), rule("openat2", "ERRNO"))
    assert answer(filter_, OPENAT2) == EPERM
    assert answer(filter_, OPENAT2 + 1) == ENOSYS


def test_a_contradiction_is_an_error(program: Callable[..., bytes]) -> None:
    args = [condition(0, "EQ", 1)]
    with pytest.raises(ConfigError, match="read: an earlier rule") as caught:
        program("ERRNO", rule("read", "ALLOW", args=args), rule("read", "TRAP", args=args))
    assert caught.value.pointer == "/linux/seccomp/syscalls/1"


def test_another_byte_order_is_an_error(program: Callable[..., bytes]) -> None:
    with pytest.raises(UnsupportedError, match="SCMP_ARCH_PPC64 has another byte order") as caught:
        program("ERRNO", rule("read", "ALLOW"), architectures=["SCMP_ARCH_PPC64"])
    assert caught.value.pointer == "/linux/seccomp/architectures"


def test_an_architecture_unknown_to_libseccomp_is_an_error(program: Callable[..., bytes]) -> None:
    if seccomp_native.knows_architecture(0x4000_002A):
        pytest.skip("this libseccomp knows SCMP_ARCH_SH")
    with pytest.raises(UnsupportedError, match=r"libseccomp .* does not know SCMP_ARCH_SH"):
        program("ERRNO", rule("read", "ALLOW"), architectures=["SCMP_ARCH_SH"])


def test_a_filter_too_long_for_the_kernel_is_an_error(program: Callable[..., bytes]) -> None:
    # Each half of each value takes an instruction of its own; 4096 is BPF_MAXINSNS.
    args = [[condition(0, "EQ", value << 32 | value)] for value in range(2100)]
    with pytest.raises(ConfigError, match="the kernel takes 4096"):
        program("ERRNO", *(rule("read", "ALLOW", args=some) for some in args))


def test_profiles_of_real_clients(program: Callable[..., bytes]) -> None:
    compiled = 0
    for path in glob.glob(f"{REPOSITORY}/tests/unit/golden/configs/*.json"):
        with open(path, encoding="utf-8") as file:
            profile = json.load(file).get("linux", {}).get("seccomp")
        if profile is None:
            continue
        default = profile.pop("defaultAction").removeprefix("SCMP_ACT_")
        filter_ = program(default, *profile.pop("syscalls"), **profile)
        name = os.path.basename(path)
        assert answer(filter_, READ) == ALLOW, name
        assert answer(filter_, 5000) == ENOSYS, name
        assert answer(filter_, 139) in (EPERM, ENOSYS), f"{name}: sysfs(2)"
        compiled += 1
    assert compiled > 10
