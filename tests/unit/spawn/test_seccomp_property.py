"""Random profiles, random calls: the compiled filter answers as the profile reads."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocipy.plan.seccomp import ACTIONS, ENOSYS, OPERATORS, plan_seccomp
from ocipy.spawn.seccomp import compile_filter
from ocipy.sys import seccomp_native
from tests.unit.host_facts import host_facts
from tests.unit.spawn.bpf_machine import X86_64, answer

pytestmark = pytest.mark.skipif(
    seccomp_native.native_architecture() != X86_64, reason="the numbers here are those of x86_64"
)

NAMES = ("read", "write", "openat", "ioctl", "personality", "prctl", "clone", "statx")
ARGUMENTS = st.sampled_from([0, 1, 2, 5, 0x7F, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 64) - 1])
# libseccomp 2.5.4 gets some pairs of rules for one call wrong whose values differ in the upper
# half: of "below 7" and "at most 1 << 32" it forgets the second. runc and crun have that from it.
LOWER_HALF = st.sampled_from([0, 1, 2, 5, 0x7F, 1 << 31, (1 << 32) - 1])
ACTION = st.sampled_from(sorted(set(ACTIONS) - {"SCMP_ACT_NOTIFY"}))


@st.composite
def rules(draw: st.DrawFn, name: str) -> list[dict[str, Any]]:
    """Rules for one call with one action: what two actions for it mean is up to libseccomp."""
    action = draw(ACTION)
    found = []
    count = draw(st.integers(1, 3))
    values = ARGUMENTS if count == 1 else LOWER_HALF
    for _ in range(count):
        indices = draw(st.lists(st.integers(0, 5), max_size=3, unique=True))
        args = [
            {
                "index": index,
                "op": draw(st.sampled_from(sorted(OPERATORS))),
                "value": draw(values),
                "valueTwo": draw(values),
            }
            for index in indices
        ]
        found.append({"names": [name], "action": action, "args": args})
    return found


@st.composite
def profiles(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    syscalls = [rule for name in names for rule in draw(rules(name))]
    return {"defaultAction": draw(ACTION), "syscalls": draw(st.permutations(syscalls))}


def holds(condition: dict[str, Any], arguments: tuple[int, ...]) -> bool:
    argument: int = arguments[condition["index"]]
    value: int = condition["value"]
    answers: dict[str, bool] = {
        "SCMP_CMP_NE": argument != value,
        "SCMP_CMP_LT": argument < value,
        "SCMP_CMP_LE": argument <= value,
        "SCMP_CMP_EQ": argument == value,
        "SCMP_CMP_GE": argument >= value,
        "SCMP_CMP_GT": argument > value,
        # libseccomp compares what the mask leaves of both.
        "SCMP_CMP_MASKED_EQ": argument & value == condition["valueTwo"] & value,
    }
    return answers[condition["op"]]


def action_of(name: str) -> int:
    data = 1 if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else 0
    return ACTIONS[name] | data


def meaning(profile: dict[str, Any], name: str, arguments: tuple[int, ...]) -> int:
    for rule in profile["syscalls"]:
        if name in rule["names"] and all(holds(arg, arguments) for arg in rule["args"]):
            return action_of(rule["action"])
    return action_of(profile["defaultAction"])


# The same examples each time: for some profiles that nobody would write libseccomp needs minutes.
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    profile=profiles(),
    calls=st.lists(
        st.tuples(st.sampled_from(NAMES), st.tuples(*[ARGUMENTS] * 6)), min_size=1, max_size=20
    ),
)
def test_the_filter_means_what_the_profile_says(
    profile: dict[str, Any], calls: list[tuple[str, tuple[int, ...]]]
) -> None:
    config: Any = {"linux": {"seccomp": profile}}
    request = plan_seccomp(config, host_facts())
    assert request is not None
    # A root that cannot be made, so that nothing is cached.
    program = compile_filter(request, f"{os.devnull}/root")
    numbers = {name: seccomp_native.syscall_number(0, name) for name in NAMES}
    last = max(numbers[name] for rule in profile["syscalls"] for name in rule["names"])
    permissive = profile["defaultAction"] in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
    for name, arguments in calls:
        expected = meaning(profile, name, arguments)
        if numbers[name] > last and not permissive:
            expected = ACTIONS["SCMP_ACT_ERRNO"] | ENOSYS
        assert answer(program, numbers[name], *arguments) == expected, (name, arguments)
