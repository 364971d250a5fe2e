"""Device rules: what v1's list becomes, and the writes that lead there."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.devices import (
    Rule,
    device_list,
    effective,
    parse_rules,
    plan_devices,
    transition,
)
from ocipy.cgroup.facts import CgroupFacts
from ocipy.cgroup.paths import Homes
from ocipy.errors import UnsupportedError
from ocipy.plan import _generated_steps as steps
from tests.unit.cgroup.hosts import HYBRID, V1, V2, homes

DENY_ALL = {"allow": False, "access": "rwm"}
ALLOW_ALL = {"allow": True, "access": "rwm"}
FUSE = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
# What runc 1.1.5 allows without any rule, in the order in which it writes it to devices.allow.
STANDARD = [
    "b *:* m",
    "c *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 10:200 rwm",
    "c 136:* rwm",
]


def listed(*rules: Any) -> tuple[bool, list[str]]:
    return device_list(parse_rules(rules, "/devices"))


@pytest.mark.parametrize("rules", [[], [DENY_ALL], [ALLOW_ALL, DENY_ALL], [FUSE, DENY_ALL]])
def test_the_standard_devices_are_always_allowed(rules: list[Any]) -> None:
    assert listed(*rules) == (False, STANDARD)


def test_what_runc_allows() -> None:
    disk = {"allow": True, "type": "b", "major": 8, "minor": 0, "access": "r"}
    default, exceptions = listed(DENY_ALL, FUSE, disk)
    assert default is False
    assert sorted(exceptions) == sorted([*STANDARD, "c 10:229 rwm", "b 8:0 r"])


def test_everything() -> None:
    assert listed(ALLOW_ALL) == (True, [])
    assert listed(DENY_ALL, {"allow": True, "type": "", "access": "mwr"}) == (True, [])


def test_everything_but_one() -> None:
    disk = {"allow": False, "type": "b", "major": 8, "minor": 0, "access": "w"}
    assert listed(ALLOW_ALL, disk) == (True, ["b 8:0 w"])


def test_less_than_everything_is_not_everything() -> None:
    """The kernel takes any line with type "a" for all access to all devices; the config does not
    say that, so it becomes a line for each type."""
    assert listed({"allow": True, "access": "r"})[1][:2] == ["b *:* rm", "c *:* rm"]
    default, exceptions = listed({"allow": True, "type": "a", "major": 7, "access": "rwm"})
    assert default is False
    assert {"b 7:* rwm", "c 7:* rwm"} <= set(exceptions)


def test_later_entries_win() -> None:
    off = FUSE | {"allow": False}
    assert listed(FUSE, off) == (False, STANDARD)
    assert "c 10:229 r" in listed(FUSE, off | {"access": "wm"})[1]
    narrowed = listed(FUSE, {"allow": False, "type": "c", "access": "rw"})[1]
    assert sorted(narrowed) == sorted([*STANDARD, "c 10:229 m"])
    assert "c 10:229 rwm" in listed(off, FUSE)[1]


@pytest.mark.parametrize(
    "rules",
    [
        [{"allow": True, "type": "c", "major": 10, "access": "rw"}, FUSE | {"allow": False}],
        [{"allow": True, "type": "c", "minor": 229, "access": "r"}, FUSE | {"allow": False}],
        [ALLOW_ALL, {"allow": False, "type": "c", "access": "w"}, FUSE],
        [ALLOW_ALL, {"allow": False, "type": "c", "major": 10, "access": "w"}, FUSE],
    ],
)
def test_v1_cannot_punch_a_hole(rules: list[Any]) -> None:
    """The kernel would do nothing, and say nothing; runc has an error, too."""
    with pytest.raises(UnsupportedError, match="cgroup v1 cannot except 'c 10:229") as caught:
        listed(*rules)
    assert caught.value.pointer == f"/devices/{len(rules) - 1}"


# -- devices.list to devices.list


def test_a_new_cgroup_allows_everything_at_first() -> None:
    assert transition(["a *:* rwm"], "deny", ["c 1:3 rwm", "b 8:0 r"]) == [
        ("deny", "a *:* rwm"),
        ("allow", "c 1:3 rwm"),
        ("allow", "b 8:0 r"),
    ]


def test_only_what_differs_and_gains_first() -> None:
    """Nothing that a running container may keep is ever taken from it."""
    old = ["c 1:3 rwm", "c 10:229 rwm", "b 8:0 r"]
    assert transition(old, "deny", ["c 1:3 rwm", "b 8:0 rw", "c 10:229 r"]) == [
        ("allow", "b 8:0 w"),
        ("deny", "c 10:229 wm"),
    ]
    assert transition(old, "deny", old) == []


def test_to_a_default_of_allow() -> None:
    expected = [("allow", "a *:* rwm"), ("deny", "b 8:0 w")]
    assert transition(["c 1:3 rwm"], "allow", ["b 8:0 w"]) == expected
    assert transition(["a *:* rwm"], "allow", ["b 8:0 w"]) == expected


# -- steps


def test_v1_step() -> None:
    (step,) = plan_devices([DENY_ALL], homes(V1), "/linux/resources")  # type: ignore[list-item]
    assert isinstance(step, steps.SetDeviceList)
    assert (step.source, step.path) == ("/linux/resources/devices", "/cg/devices/c")
    assert (step.others, list(step.rules)) == ("deny", STANDARD)


@pytest.mark.parametrize("facts", [V2, HYBRID], ids=["v2", "hybrid-without-devices"])
def test_v2_step(facts: CgroupFacts) -> None:
    (step,) = plan_devices([ALLOW_ALL, DENY_ALL], homes(facts), "")  # type: ignore[list-item]
    assert isinstance(step, steps.AttachDeviceFilter)
    assert list(step.rules)[:2] == ["deny a *:* rwm", "allow c *:* m"]
    assert len(step.program) % 8 == 0


def test_no_way_to_restrict() -> None:
    facts = CgroupFacts()
    with pytest.raises(UnsupportedError, match="controller devices"):
        plan_devices([], Homes(facts, {}), "/linux/resources")


def test_effective_rules() -> None:
    allow, deny = Rule(True, "a", -1, -1, 7), Rule(False, "a", -1, -1, 7)
    one, two = Rule(True, "c", 1, 3, 7), Rule(False, "c", 1, 5, 7)
    assert effective([deny, one, allow, one]) == [allow]
    assert effective([one, deny, one]) == [deny, one]
    assert effective([allow, two, one]) == [allow, two, one]
    assert effective([one]) == [one]
