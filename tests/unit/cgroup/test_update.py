"""Updates: options to resources, and resources to steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ocipy.cgroup import resctrl
from ocipy.cgroup.update import plan_update, read_current, replaces_devices
from ocipy.commands.events import parse_duration
from ocipy.commands.update import _from_options, _NoUndo, _plan_schemata, parse_size
from ocipy.errors import StateError, UsageError
from ocipy.plan import _generated_steps as steps
from ocipy.request import Request
from tests.unit.cgroup.fake_resctrl import FakeResctrl
from tests.unit.cgroup.hosts import HYBRID, V1, V2, homes, writes

GOLDEN = Path(__file__).parent.parent / "golden" / "resources"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("-1", -1),
        ("1234", 1234),
        ("1b", 1),
        ("64M", 64 << 20),
        ("64m", 64 << 20),
        ("64mb", 64 << 20),
        ("64MiB", 64 << 20),
        ("64 M", 64 << 20),
        ("1.5g", 3 << 29),
        ("2k", 2048),
        ("1T", 1 << 40),
        ("1p", 1 << 50),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size("memory", text) == size


@pytest.mark.parametrize("text", ["1x", "M", "-2", "-1M", "1MM", "1e3", "0x10", "1_000", "١", " 1"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=f"invalid value for memory: invalid size: '{text}'"):
        parse_size("memory", text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("1m30s", 90), ("250ms", 0.25), ("1.5h", 5400), ("3us", 3e-6)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "0s", "5", "-5s", "s", "5x", "1..2s", "soon", "9999999999s", "9" * 400 + "s"]
)
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


def test_options() -> None:
    options: dict[str, Any] = {
        "memory": "64M",
        "memory-swap": "-1",
        "cpu-quota": "-1",
        "cpu-share": "512",
        "cpu-idle": "0",
        "cpuset-cpus": "0-1",
        "pids-limit": 0,
        "blkio-weight": 300,
        "cpu-burst": "",
    }
    request = Request("update", options=options, args=["id"])
    assert _from_options(request) == {
        "memory": {"limit": 64 << 20, "swap": -1},
        "cpu": {"quota": -1, "shares": 512, "idle": 0, "cpus": "0-1"},
        "pids": {"limit": 0},
        "blockIO": {"weight": 300},
    }


@pytest.mark.parametrize(
    ("option", "value"), [("cpu-period", "-1"), ("cpu-share", "x"), ("cpu-quota", "1.5")]
)
def test_options_that_are_no_numbers(option: str, value: str) -> None:
    request = Request("update", options={option: value}, args=["id"])
    with pytest.raises(UsageError, match=f"invalid value for {option}"):
        _from_options(request)


def update(resources: Any, facts: Any = V1, configured: Any = None) -> list[Any]:
    old: Any = configured or {}
    return plan_update(resources, facts, homes(facts).paths, old)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_what_engines_send(path: Path) -> None:
    resources = json.loads(path.read_text())
    plan = update(resources, configured={"devices": resources.get("devices")})
    assert all(isinstance(step.source, str) and step.source.startswith("/") for step in plan)
    assert ("cpu.cfs_quota_us", "25000") in writes(plan)
    assert not any(isinstance(step, steps.SetDeviceList) for step in plan)


def test_devices_are_replaced_only_by_others() -> None:
    deny = {"allow": False, "access": "rwm"}
    allow = {"allow": True, "access": "rwm"}
    assert update({"devices": [deny]}, configured={"devices": [deny]}) == []
    assert update({"devices": []}, configured={"devices": [deny]}) == []
    (step,) = update({"devices": [allow]}, configured={"devices": [deny]})
    assert (step.source, step.others) == ("/devices", "allow")
    (step,) = update({"devices": [allow]}, V2)
    assert isinstance(step, steps.AttachDeviceFilter)


@pytest.mark.parametrize("facts", [V1, V2])
def test_devices_are_replaced_if_nobody_knows_them_any_more(facts: Any) -> None:
    deny: Any = {"devices": [{"allow": False, "access": "rwm"}]}
    plan = plan_update(deny, facts, homes(facts).paths, None)
    assert replaces_devices(plan)
    assert not replaces_devices(plan_update(deny, facts, homes(facts).paths, deny))


@pytest.mark.parametrize(("disabled", "text"), [(True, "1"), (False, "0")])
def test_the_oom_killer_can_be_enabled_again(disabled: bool, text: str) -> None:
    given = {"memory": {"disableOOMKiller": disabled}}
    assert writes(update(given)) == [("memory.oom_control", text)]


def test_a_hybrid_host_enables_what_an_update_needs() -> None:
    resources = {"hugepageLimits": [{"pageSize": "2MB", "limit": 4}]}
    enable, *_ = update(resources, HYBRID)
    assert isinstance(enable, steps.EnableControllers)
    assert enable.required == ["hugetlb"]
    assert not any(isinstance(step, steps.EnableControllers) for step in update(resources, V2))


def test_nothing_to_do() -> None:
    assert update({}) == []
    assert update({"memory": {"limit": 0}, "cpu": {"shares": 0}}, V2) == []


def test_current_values(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("100\n")
    assert read_current({"": str(tmp_path)}) == {
        "": "",
        "cpu.max": "max 100000",
        "memory.max": "100",
    }
    assert read_current({"memory": "/cg/memory"}) == {"": ""}


@pytest.mark.parametrize("given", [{"closID": "gold"}, {}])
def test_schemata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    fake = FakeResctrl(tmp_path / "resctrl", monkeypatch)
    group = given.get("closID", "id")
    fake.schemata(group, "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n")
    config: Any = {"linux": {"intelRdt": given}}
    step = _plan_schemata(["L3:0=f", "MB:0=20"], config, "id")
    assert step is not None
    resctrl.execute(step, 0, _NoUndo())
    assert [line for _, line in fake.writes] == ["L3:0=f", "MB:0=20"]
    assert _plan_schemata([], config, "id") is None


def test_schemata_of_a_container_without() -> None:
    with pytest.raises(StateError, match="non-existent Intel RDT configuration"):
        _plan_schemata(["L3:0=f"], {"linux": {}}, "id")  # type: ignore[typeddict-item]
