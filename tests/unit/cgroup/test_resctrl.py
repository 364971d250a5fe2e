"""intelRdt from config to a fake resctrl: the kernels that tests run on have none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ocipy.cgroup import resctrl
from ocipy.errors import StepError, UnsupportedError
from ocipy.plan.intel_rdt import plan_intel_rdt, plan_join_intel_rdt
from ocipy.spawn.undo import Undo
from tests.unit.cgroup.fake_resctrl import FakeResctrl

PID = 4422
L3, MB, L2 = "L3:0=7f0;1=1f", "MB:0=20;1=70", "L2:0=f;1=f"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeResctrl:
    return FakeResctrl(tmp_path / "resctrl", monkeypatch)


def config(**intel_rdt: Any) -> Any:
    return {"linux": {"intelRdt": intel_rdt}}


def make(undo: Undo | None = None, **intel_rdt: Any) -> Undo:
    undo = undo or Undo()
    for step in plan_intel_rdt(config(**intel_rdt), "ctr"):
        resctrl.execute(step, PID, undo)
    return undo


def test_without_intel_rdt_nothing_is_touched(fake: FakeResctrl) -> None:
    """Spec: if intelRdt is not set, the runtime MUST NOT manipulate any resctrl."""
    assert plan_intel_rdt({"ociVersion": "1.3.0", "linux": {}}, "ctr") == []
    assert resctrl.make_record([]) is None


def test_without_clos_id_the_group_is_the_containers(fake: FakeResctrl) -> None:
    make(l3CacheSchema=L3)
    assert fake.groups() == {"ctr"}
    assert fake.writes == [("ctr/schemata", L3), ("ctr/tasks", str(PID))]


def test_an_empty_object_makes_a_group_and_writes_no_schemata(fake: FakeResctrl) -> None:
    make()
    assert fake.writes == [("ctr/tasks", str(PID))]


def test_l3_comes_first_then_mb_and_schemata_last(fake: FakeResctrl) -> None:
    make(schemata=[L2, "MB:0=50"], memBwSchema=MB, l3CacheSchema=L3, closID="new")
    lines = [line for path, line in fake.writes if path == "new/schemata"]
    assert lines == [L3, MB, L2, "MB:0=50"]


def test_a_clos_that_exists_and_has_the_schemata(fake: FakeResctrl) -> None:
    fake.schemata("gold", "L3:0=00007f0;1=1F\nMB:0= 20;1=70\n")
    make(closID="gold", l3CacheSchema="L3:1=1f;0=7f0", memBwSchema=MB)
    assert fake.writes == [("gold/tasks", str(PID))]


def test_a_clos_may_be_asked_for_a_part_of_what_it_has(fake: FakeResctrl) -> None:
    fake.schemata("gold", f"{L3}\n{MB}\n{L2}\n")
    make(closID="gold", schemata=["L2:1=f"])
    assert fake.writes == [("gold/tasks", str(PID))]


def test_a_bandwidth_that_the_kernel_has_rounded_up(fake: FakeResctrl) -> None:
    fake.schemata("gold", "MB:0=30;1=70\n")
    make(closID="gold", memBwSchema="MB:0=25")
    with pytest.raises(StepError):
        make(closID="gold", memBwSchema="MB:0=15")


@pytest.mark.parametrize("asked", ["L3:0=7ff", "L3:2=7f0", "L2:0=f", "L3:0=bogus"])
def test_a_clos_that_exists_with_other_schemata_is_an_error(fake: FakeResctrl, asked: str) -> None:
    fake.schemata("gold", f"{L3}\n{MB}\n")
    with pytest.raises(StepError, match=r"the group has .* is asked for") as caught:
        make(closID="gold", schemata=[asked])
    assert caught.value.pointer == "/linux/intelRdt/closID"
    assert fake.writes == []


def test_a_clos_without_schemata_has_to_exist(fake: FakeResctrl) -> None:
    with pytest.raises(StepError, match="ENOENT"):
        make(closID="gold")
    fake.schemata("gold", f"{L3}\n")
    make(closID="gold")
    assert fake.writes == [("gold/tasks", str(PID))]


def test_the_default_clos(fake: FakeResctrl) -> None:
    make(closID="/", enableMonitoring=True)
    assert fake.writes == [("tasks", str(PID)), ("mon_groups/ctr/tasks", str(PID))]


@pytest.mark.parametrize(("clos", "group"), [({}, "ctr"), ({"closID": "gold"}, "gold")])
def test_monitoring(fake: FakeResctrl, clos: dict[str, Any], group: str) -> None:
    make(**clos, l3CacheSchema=L3, enableMonitoring=True)
    assert fake.groups() == {group, f"{group}/mon_groups/ctr"}
    tasks = [path for path, line in fake.writes if line == str(PID)]
    assert tasks == [f"{group}/tasks", f"{group}/mon_groups/ctr/tasks"]


def test_exec_joins_the_same_groups(fake: FakeResctrl) -> None:
    given = config(closID="gold", l3CacheSchema=L3, enableMonitoring=True)
    make(**given["linux"]["intelRdt"])
    fake.writes.clear()
    for step in plan_join_intel_rdt(given, "ctr"):
        resctrl.execute(step, 77, Undo())
    assert fake.writes == [("gold/tasks", "77"), ("gold/mon_groups/ctr/tasks", "77")]


# -- what delete removes


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"l3CacheSchema": L3}, set()),
        ({"l3CacheSchema": L3, "enableMonitoring": True}, set()),
        ({"closID": "new", "l3CacheSchema": L3}, {"new"}),
        ({"closID": "new", "l3CacheSchema": L3, "enableMonitoring": True}, {"new"}),
        ({"closID": "/", "enableMonitoring": True}, set()),
    ],
)
def test_delete(fake: FakeResctrl, given: dict[str, Any], left: set[str]) -> None:
    record = resctrl.make_record(plan_intel_rdt(config(**given), "ctr"))
    assert record is not None
    make(**given)
    resctrl.remove(record)
    assert fake.groups() == left
    resctrl.remove(record)


def test_a_group_that_was_there_before_stays(fake: FakeResctrl) -> None:
    fake.schemata("ctr", f"{L3}\n")
    record = resctrl.make_record(plan_intel_rdt(config(memBwSchema=MB), "ctr"))
    assert record is not None
    make(memBwSchema=MB)
    resctrl.remove(record)
    assert fake.groups() == {"ctr"}


# -- failures


def test_no_resctrl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resctrl, "mount_point", lambda: "")
    with pytest.raises(UnsupportedError, match="resctrl is not mounted") as caught:
        resctrl.make_record(plan_intel_rdt(config(), "ctr"))
    assert caught.value.pointer == "/linux/intelRdt"


@pytest.mark.parametrize("given", [{}, {"closID": "new"}])
def test_a_failed_create_leaves_nothing(fake: FakeResctrl, given: dict[str, Any]) -> None:
    undo = Undo()
    with pytest.raises(StepError, match="Unknown or unsupported resource name"):
        make(undo, **given, schemata=[L3, "bogus:0=1"], enableMonitoring=True)
    assert undo.run() == []
    assert fake.groups() == set()


def test_a_failed_create_leaves_what_was_there(fake: FakeResctrl) -> None:
    fake.schemata("gold", f"{L3}\n")
    undo = make(closID="gold", enableMonitoring=True)
    assert undo.run() == []
    assert fake.groups() == {"gold"}


def test_too_many_groups(fake: FakeResctrl) -> None:
    fake.limit = 3
    with pytest.raises(StepError, match="Out of CLOSIDs"):
        make(l3CacheSchema=L3)


def test_the_mount_is_found_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        "25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
        "99 25 0:50 / /sys/fs/res\\040ctrl rw shared:9 - resctrl resctrl rw,cdp\n"
    )
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(lines)
    real_open = open

    def open_here(path: str, **how: Any) -> Any:
        return real_open(mountinfo if path == "/proc/self/mountinfo" else path, **how)

    monkeypatch.setattr("builtins.open", open_here)
    assert resctrl.mount_point() == "/sys/fs/res ctrl"
    mountinfo.write_text(lines.splitlines(keepends=True)[0])
    assert resctrl.mount_point() == ""


def test_every_line_is_described() -> None:
    given = config(closID="gold", l3CacheSchema=L3, memBwSchema=MB, enableMonitoring=True)
    described = [step.describe() for step in plan_intel_rdt(given, "ctr")]
    assert L3 in described[0]
    assert "'gold/mon_groups/ctr'" in described[2]
    assert os.sep in described[3]
