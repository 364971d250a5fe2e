from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.plan import plan_create_cgroup, plan_join_cgroup, plan_late_limits
from ocipy.cgroup.systemd.properties import (
    device_properties,
    limit_properties,
    scope_properties,
)
from ocipy.cgroup.systemd.scope import Scope
from ocipy.cgroup.systemd.variant import parse_variant
from ocipy.cgroup.update import plan_update
from ocipy.errors import ConfigError
from ocipy.plan import _generated_steps as steps
from ocipy.plan.request import CreateRequest
from tests.unit.cgroup.hosts import V2, host, limits, writes

SCOPE = Scope("a.slice", "x-n.scope", "/cg/a.slice/x-n.scope")


def properties(resources: Any) -> list[str]:
    found = limit_properties(limits(V2, resources))
    for text in found:
        parse_variant(text.partition("=")[2])  # systemd will get it
    return found


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (
            {"memory": {"limit": 3000, "reservation": 1000, "swap": 5000}},
            ["MemorySwapMax=uint64 2000", "MemoryMax=uint64 3000", "MemoryLow=uint64 1000"],
        ),
        (
            {"memory": {"limit": -1, "swap": -1}},
            [f"MemorySwapMax=uint64 {2**64 - 1}", f"MemoryMax=uint64 {2**64 - 1}"],
        ),
        ({"pids": {"limit": 77}}, ["TasksMax=uint64 77"]),
        ({"pids": {"limit": -1}}, [f"TasksMax=uint64 {2**64 - 1}"]),
        ({"pids": {"limit": 0}}, ["TasksMax=uint64 1"]),
        ({"cpu": {"shares": 1024}}, ["CPUWeight=uint64 100"]),
        # As runc: rounded up to whole percents of a CPU, of the exact value rounded down.
        (
            {"cpu": {"quota": 12345, "period": 50000}},
            ["CPUQuotaPeriodUSec=uint64 50000", "CPUQuotaPerSecUSec=uint64 250000"],
        ),
        (
            {"cpu": {"quota": 5000}},
            ["CPUQuotaPeriodUSec=uint64 100000", "CPUQuotaPerSecUSec=uint64 50000"],
        ),
        (
            {"cpu": {"quota": -1, "period": 50000}},
            ["CPUQuotaPeriodUSec=uint64 50000", f"CPUQuotaPerSecUSec=uint64 {2**64 - 1}"],
        ),
        (
            {"cpu": {"cpus": "0-2,9", "mems": "0"}},
            ["AllowedCPUs=@ay [7, 2]", "AllowedMemoryNodes=@ay [1]"],
        ),
        ({"cpu": {"idle": 1, "burst": 3}}, []),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}, []),
        ({"blockIO": {"weight": 10}}, ["IOWeight=uint64 1"]),
        (
            {
                "blockIO": {
                    "weightDevice": [{"major": 8, "minor": 0, "weight": 1000}],
                    "throttleReadBpsDevice": [
                        {"major": 8, "minor": 0, "rate": 5},
                        {"major": 8, "minor": 16, "rate": 0},
                    ],
                    "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 7}],
                }
            },
            [
                "IODeviceWeight=@a(st) [('/dev/block/8:0', 10000)]",
                "IOReadBandwidthMax=@a(st) [('/dev/block/8:0', 5), "
                f"('/dev/block/8:16', {2**64 - 1})]",
                "IOWriteIOPSMax=@a(st) [('/dev/block/8:0', 7)]",
            ],
        ),
        (
            {"unified": {"memory.high": "64M", "memory.min": "max", "cpu.weight.nice": "3"}},
            [f"MemoryHigh=uint64 {64 << 20}", f"MemoryMin=uint64 {2**64 - 1}"],
        ),
        (
            {"unified": {"io.max": "8:0 rbps=1 wiops=max"}},
            [
                "IOReadBandwidthMax=@a(st) [('/dev/block/8:0', 1)]",
                f"IOWriteIOPSMax=@a(st) [('/dev/block/8:0', {2**64 - 1})]",
            ],
        ),
    ],
    ids=str,
)
def test_limits(resources: Any, expected: list[str]) -> None:
    assert properties(resources) == expected


@pytest.mark.parametrize(
    "unified", [{"memory.max": "much"}, {"io.max": "8:0 speed=1"}, {"cpuset.cpus": "a"}], ids=str
)
def test_values_that_no_file_could_hold(unified: Any) -> None:
    with pytest.raises(ConfigError, match="is no value for") as caught:
        properties({"unified": unified})
    assert caught.value.pointer.startswith("/linux/resources/unified/")


def annotated(**annotations: str) -> list[str]:
    named = {f"org.systemd.property.{name}": text for name, text in annotations.items()}
    found = scope_properties(SCOPE, "web", named | {"other": "x"}, ["MemoryMax=uint64 1"])
    assert found[0] == "Description='ocipy container web'"
    assert found[-1] == "MemoryMax=uint64 1", "limits come last: they are in the files, too"
    assert {"Delegate=true", "DefaultDependencies=false", "Slice='a.slice'"} <= set(found)
    return found[8:-1]


def test_annotations() -> None:
    assert annotated() == []
    found = annotated(TimeoutStopUSec="uint64 5", CollectMode="'inactive-or-failed'")
    assert found == ["TimeoutStopUSec=uint64 5", "CollectMode='inactive-or-failed'"]
    assert annotated(TimeoutStopSec="7") == ["TimeoutStopUSec=uint64 7000000"]
    assert annotated(TimeoutStopSec="0.5") == ["TimeoutStopUSec=uint64 500000"]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ({"A1b": "1"}, "not the name of a systemd property"),
        ({"ab": "1"}, "not the name of a systemd property"),
        ({"Slice": "a.slice"}, "cannot be read"),
        ({"TimeoutStopSec": "'a'"}, "not a number of seconds"),
        ({"TimeoutStopSec": "true"}, "not a number of seconds"),
    ],
    ids=str,
)
def test_wrong_annotations(annotation: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        annotated(**annotation)
    assert caught.value.pointer == f"/annotations/org.systemd.property.{next(iter(annotation))}"


def test_devices() -> None:
    policy, allow = device_properties(
        [
            {"allow": False, "access": "rwm"},
            {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
            {"allow": True, "type": "b", "major": 8, "access": "r"},
        ],
        "/linux/resources",
    )
    assert policy == "DevicePolicy='strict'"
    kind, entries = parse_variant(allow.partition("=")[2])
    assert kind == "a(ss)"
    assert isinstance(entries, list)
    assert {
        ("/dev/char/10:229", "rw"),
        ("block-8", "r"),
        ("char-*", "m"),
        ("/dev/char/1:3", "rwm"),
        ("char-136", "rwm"),
    } <= set(entries)


@pytest.mark.parametrize(
    "rules",
    [
        [{"allow": True, "access": "rwm"}],
        [
            {"allow": True, "access": "rwm"},
            {"allow": False, "type": "c", "major": 1, "minor": 3, "access": "r"},
        ],
        # Part of what a wildcard gives, which a list of what is allowed cannot take away.
        [
            {"allow": True, "type": "c", "major": 7, "access": "r"},
            {"allow": False, "type": "c", "major": 7, "minor": 1, "access": "r"},
        ],
        [{"allow": True, "type": "c", "minor": 3, "access": "r"}],
    ],
    ids=["all", "all but", "part", "any major"],
)
def test_devices_that_are_left_to_our_own_filter(rules: Any) -> None:
    expected = ["DevicePolicy='auto'", "DeviceAllow=@a(ss) []"]
    assert device_properties(rules, "/linux/resources") == expected


def plans(linux: Any, **different: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """The three lists of ocipy.cgroup.plan for a container with a scope."""
    request = CreateRequest(
        "web", bundle="/b", rootfs="/b/r", cgroup_paths={"": SCOPE.path}, scope=SCOPE
    )
    config: Any = {"linux": linux}
    facts = host(V2, **different)
    made = plan_create_cgroup(config, facts, request)
    return made, plan_join_cgroup(config, facts, request), plan_late_limits(config, facts, request)


def test_the_scope_is_made_around_the_process_that_waits() -> None:
    before, around, late = plans({"resources": {"memory": {"limit": 3000}}})
    assert [type(step) for step in before] == [steps.CheckCgroup]
    assert [type(step) for step in around] == [
        steps.StartSystemdUnit,
        steps.EnableControllers,
        steps.WriteCgroupFile,
        steps.AttachDeviceFilter,
    ]
    assert around[0].unit == "x-n.scope"
    assert "MemoryMax=uint64 3000" in around[0].properties
    assert "DevicePolicy='strict'" in around[0].properties
    assert not late


def test_without_privileges_devices_are_not_mentioned() -> None:
    _, around, _ = plans({}, capabilities=0, euid=1000)
    assert not [text for text in around[0].properties if text.startswith("Device")]
    assert steps.AttachDeviceFilter not in map(type, around)


def test_a_limit_on_processes_that_leaves_no_room_for_init() -> None:
    _, around, late = plans({"resources": {"pids": {"limit": 1}}})
    assert not [text for text in around[0].properties if "TasksMax" in text]
    assert [type(step) for step in late] == [steps.SetUnitProperties, steps.WriteCgroupFile]
    assert late[0].properties == ["TasksMax=uint64 1"]


def test_update() -> None:
    resources: Any = {
        "memory": {"limit": 3000, "checkBeforeUpdate": True},
        "devices": [{"allow": True, "access": "rwm"}],
    }
    plan = plan_update(resources, V2, {"": "/none"}, {}, "x-n.scope", "unix:path=/b")
    check, told, *rest = plan
    assert isinstance(check, steps.CheckMemoryUsage), "systemd would not ask"
    assert isinstance(told, steps.SetUnitProperties)
    assert (told.unit, told.bus) == ("x-n.scope", "unix:path=/b")
    assert told.properties == [
        "MemoryMax=uint64 3000",
        "DevicePolicy='auto'",
        "DeviceAllow=@a(ss) []",
    ]
    assert ("memory.max", "3000") in writes(rest)
    assert not plan_update({}, V2, {"": "/none"}, {}, "x-n.scope")
