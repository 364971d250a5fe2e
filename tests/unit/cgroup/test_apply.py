"""Carrying out the steps, on a directory tree that stands for a hierarchy.

What only a kernel does is in tests/integration; here are the orders, the fallbacks and the words.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.cgroup import apply
from ocipy.errors import StepError
from ocipy.plan import _generated_steps as steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Undo:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def push(self, call: Callable[..., object], /, *args: object) -> None:
        self.calls.append((call, *args))

    def run(self) -> None:
        for call, *args in reversed(self.calls):
            call(*args)


def execute(step: Any, undo: Undo | None = None, pid: int = 0) -> None:
    apply.execute(step, pid, undo or Undo())


def files(directory: Path, **contents: str) -> Path:
    """Make files; "_" in a name stands for "."."""
    for name, content in contents.items():
        (directory / name.replace("_", ".")).write_text(content)
    return directory


# -- making


def test_parents_are_made_and_taken_back(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    undo = Undo()
    step = steps.CreateCgroup("", path=f"{tmp_path}/old/new/leaf", mountpoint=str(tmp_path))
    execute(step, undo)
    assert (tmp_path / "old/new/leaf").is_dir()
    undo.run()
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(tmp_path / "old") == []


def test_undo_is_pushed_before_anything_is_made(tmp_path: Path) -> None:
    class Early(Undo):
        def push(self, call: Callable[..., object], /, *args: object) -> None:
            assert os.listdir(tmp_path) == []
            super().push(call, *args)

    undo = Early()
    execute(steps.CreateCgroup("", path=f"{tmp_path}/a/b", mountpoint=str(tmp_path)), undo)
    assert len(undo.calls) == 1


def test_what_others_made_stays(tmp_path: Path) -> None:
    undo = Undo()
    execute(steps.CreateCgroup("", path=f"{tmp_path}/a/b", mountpoint=str(tmp_path)), undo)
    (tmp_path / "a/other").mkdir()
    undo.run()
    assert os.listdir(tmp_path / "a") == ["other"]
    existing = Undo()
    execute(steps.CreateCgroup("", path=f"{tmp_path}/a", mountpoint=str(tmp_path)), existing)
    assert existing.calls == []


def test_a_parent_that_vanishes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A concurrent delete removes the parent that it made, just as we are about to use it."""
    (tmp_path / "a").mkdir()
    real = os.mkdir
    removed: list[str] = []

    def mkdir(path: str, mode: int) -> None:
        if not removed:
            os.rmdir(tmp_path / "a")
            removed.append(path)
        real(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    execute(steps.CreateCgroup("", path=f"{tmp_path}/a/b", mountpoint=str(tmp_path)))
    assert (tmp_path / "a/b").is_dir()


def test_no_permission_is_ignored_only_where_the_plan_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkdir(path: str, mode: int) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "mkdir", mkdir)
    arguments: dict[str, Any] = {"path": f"{tmp_path}/a", "mountpoint": str(tmp_path)}
    execute(steps.CreateCgroup("", **arguments, ignore=("EACCES",)))
    with pytest.raises(StepError, match=r"mkdir: permission denied \(EACCES\)") as caught:
        execute(steps.CreateCgroup("/linux/cgroupsPath", **arguments))
    assert caught.value.pointer == "/linux/cgroupsPath"
    assert "--cgroup-manager=disabled" in caught.value.hint


# -- controllers


def test_controllers_are_enabled_in_every_parent(tmp_path: Path) -> None:
    leaf = tmp_path / "a" / "b"
    leaf.mkdir(parents=True)
    for directory in (tmp_path, tmp_path / "a", leaf):
        files(directory, cgroup_subtree__control="", cgroup_type="domain\n")
        (directory / "cgroup.subtree_control").write_text("")
    step = steps.EnableControllers(
        "", path=str(leaf), mountpoint=str(tmp_path), controllers=["cpu", "io"], required=[]
    )
    execute(step)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +io"
    assert (tmp_path / "a/cgroup.subtree_control").read_text() == "+cpu +io"
    assert (leaf / "cgroup.subtree_control").read_text() == ""


def test_one_controller_does_not_keep_the_others_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    files(tmp_path / "a", cgroup_type="domain\n")
    enabled: list[str] = []
    code = errno.ENOENT

    def write(path: str, value: str) -> None:
        if "io" in value:
            raise OSError(code, "no")
        enabled.append(value)

    monkeypatch.setattr(apply, "write_file", write)
    arguments: dict[str, Any] = {"path": f"{tmp_path}/a", "mountpoint": str(tmp_path)}
    step = steps.EnableControllers("", **arguments, controllers=["cpu", "io"], required=["cpu"])
    execute(step)
    assert enabled == ["+cpu"]
    step.required = []
    code = errno.EBUSY
    execute(step)
    assert enabled == ["+cpu"], "in a cgroup with processes only what is required"
    step.required = ["io"]
    with pytest.raises(StepError, match="EBUSY") as caught:
        execute(step)
    assert str(tmp_path) in caught.value.hint


def test_what_is_enabled_need_not_be_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of the tree was delegated to us; above it we may only read."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "cgroup.subtree_control").write_text("io pids\n")
    (tmp_path / "a/cgroup.subtree_control").write_text("\n")
    files(tmp_path / "a/b", cgroup_type="domain\n")
    written: list[str] = []

    def write(path: str, value: str) -> None:
        if path == f"{tmp_path}/cgroup.subtree_control":
            raise PermissionError(errno.EACCES, "no")
        written.append(value)

    monkeypatch.setattr(apply, "write_file", write)
    arguments: dict[str, Any] = {"path": f"{tmp_path}/a/b", "mountpoint": str(tmp_path)}
    step = steps.EnableControllers("", **arguments, controllers=["io", "pids"], required=["pids"])
    execute(step)
    assert written == ["+io +pids"]
    step.controllers = step.required = ["memory"]
    with pytest.raises(StepError, match=r"EACCES.*\+memory"):
        execute(step)


def test_below_a_threaded_cgroup(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "cgroup.subtree_control").write_text("")
    files(tmp_path / "a", cgroup_type="domain invalid\n")
    arguments: dict[str, Any] = {"path": f"{tmp_path}/a", "mountpoint": str(tmp_path)}
    step = steps.EnableControllers("", **arguments, controllers=["pids"], required=["memory"])
    with pytest.raises(StepError, match="below a threaded cgroup there is no memory"):
        execute(step)
    step.required = ["pids"]
    execute(step)
    assert (tmp_path / "a/cgroup.type").read_text().startswith("threaded")


# -- writing


def test_nothing_is_ever_created(tmp_path: Path) -> None:
    files(tmp_path, cgroup_controllers="cpu memory\n")
    with pytest.raises(StepError, match="ENOENT") as caught:
        execute(steps.WriteCgroupFile("/x", path=f"{tmp_path}/memory.max", value="1"))
    assert caught.value.hint == "this kernel has no memory.max"
    with pytest.raises(StepError) as caught:
        execute(steps.WriteCgroupFile("/x", path=f"{tmp_path}/io.max", value="1"))
    assert caught.value.hint == f"the controller io is not enabled in {tmp_path}"
    execute(steps.WriteCgroupFile("", path=f"{tmp_path}/x", value="1", ignore=("ENOENT",)))
    assert os.listdir(tmp_path) == ["cgroup.controllers"]


def test_the_fallback_is_for_a_missing_file(tmp_path: Path) -> None:
    files(tmp_path, io_weight="")
    step = steps.WriteCgroupFile(
        "",
        path=f"{tmp_path}/io.bfq.weight",
        value="500",
        fallback_path=f"{tmp_path}/io.weight",
        fallback_value="4950",
    )
    execute(step)
    assert (tmp_path / "io.weight").read_text() == "4950"
    (tmp_path / "io.bfq.weight").write_text("")
    execute(step)
    assert (tmp_path / "io.bfq.weight").read_text() == "500"


def test_no_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / "pids.max").symlink_to("elsewhere")
    with pytest.raises(StepError, match="ELOOP"):
        execute(steps.WriteCgroupFile("", path=f"{tmp_path}/pids.max", value="1"))
    assert (tmp_path / "elsewhere").read_text() == "kept"


def kernel(
    monkeypatch: pytest.MonkeyPatch, refuse: Callable[[dict[str, int], str, int], int]
) -> Any:
    """Let write_file ask `refuse` for an errno; return the values and the order of the writes."""
    values: dict[str, int] = {}
    order: list[str] = []

    def write(path: str, value: str) -> None:
        name = path.rpartition("/")[2]
        if code := refuse(values, name, int(value)):
            raise OSError(code, os.strerror(code))
        values[name] = int(value)
        order.append(name)

    monkeypatch.setattr(apply, "write_file", write)
    return values, order


def swap_below_memory(values: dict[str, int], name: str, value: int) -> int:
    after = values | {name: value}
    return errno.EINVAL if after.get("swap", 1 << 60) < after.get("memory", 0) else 0


@pytest.mark.parametrize(
    ("before", "memory", "swap", "expected"),
    [
        ({}, 100, 200, ["memory", "swap"]),
        ({"memory": 100, "swap": 200}, 300, 400, ["swap", "memory"]),
        ({"memory": 300, "swap": 400}, 100, 200, ["memory", "swap"]),
        ({"memory": 100, "swap": 200}, 150, 180, ["memory", "swap"]),
    ],
)
def test_dependent_files_in_the_order_that_the_kernel_takes(
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, int],
    memory: int,
    swap: int,
    expected: list[str],
) -> None:
    values, order = kernel(monkeypatch, swap_below_memory)
    values.update(before)
    execute(
        steps.WriteDependentCgroupFiles(
            "", paths=["/m/memory", "/m/swap"], values=[str(memory), str(swap)]
        )
    )
    assert order == expected
    assert values == {"memory": memory, "swap": swap}


def test_dependent_files_that_no_order_satisfies(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, swap_below_memory)
    step = steps.WriteDependentCgroupFiles(
        "/memory", paths=["/m/memory", "/m/swap"], values=["100", "50"]
    )
    with pytest.raises(StepError, match=r"EINVAL.*/m/swap"):
        execute(step)


@pytest.mark.parametrize(
    ("bad", "field"),
    [("cpu.rt_period_us", "realtimePeriod"), ("cpu.rt_runtime_us", "realtimeRuntime")],
)
def test_of_dependent_files_the_field_is_named_that_was_refused(
    monkeypatch: pytest.MonkeyPatch, bad: str, field: str
) -> None:
    kernel(monkeypatch, lambda values, name, value: errno.EINVAL if name == bad else 0)
    step = steps.WriteDependentCgroupFiles(
        "/linux/resources/cpu/realtimePeriod",
        paths=["/c/cpu.rt_period_us", "/c/cpu.rt_runtime_us"],
        values=["1", "2"],
    )
    with pytest.raises(StepError, match="EINVAL") as caught:
        execute(step)
    assert caught.value.pointer == f"/linux/resources/cpu/{field}"


def test_dependent_files_with_another_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, lambda values, name, value: errno.EBUSY if name == "b" else 0)
    step = steps.WriteDependentCgroupFiles("", paths=["/m/a", "/m/b"], values=["1", "2"])
    with pytest.raises(StepError, match="EBUSY"):
        execute(step)
    step.ignore = ("EBUSY",)
    execute(step)


# -- cpuset, join, check


def test_cpusets_are_inherited_where_empty(tmp_path: Path) -> None:
    for path, cpus, mems in (("", "0-7\n", "0\n"), ("a", "0-3\n", "\n"), ("a/b", "\n", "\n")):
        (tmp_path / path).mkdir(exist_ok=True)
        files(tmp_path / path, cpuset_cpus=cpus, cpuset_mems=mems)
    execute(steps.InheritCpuset("", path=f"{tmp_path}/a/b", mountpoint=str(tmp_path)))
    assert (tmp_path / "a/cpuset.cpus").read_text() == "0-3\n"
    assert (tmp_path / "a/cpuset.mems").read_text()[0] == "0"
    assert (tmp_path / "a/b/cpuset.cpus").read_text().startswith("0-3")
    assert (tmp_path / "a/b/cpuset.mems").read_text()[0] == "0"


def test_join(tmp_path: Path) -> None:
    files(tmp_path, cgroup_procs="")
    execute(steps.JoinCgroup("", path=str(tmp_path)), pid=42)
    assert (tmp_path / "cgroup.procs").read_text() == "42"
    with pytest.raises(StepError, match="ENOENT"):
        execute(steps.JoinCgroup("", path=f"{tmp_path}/no"), pid=42)
    execute(steps.JoinCgroup("", path=f"{tmp_path}/no", ignore=("ENOENT",)), pid=42)


def test_a_cgroup_with_processes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c/sub").mkdir(parents=True)
    execute(steps.CheckCgroup("", path=f"{tmp_path}/nothing"))
    files(tmp_path / "c", cgroup_procs="", cgroup_events="populated 0\nfrozen 0\n")
    execute(steps.CheckCgroup("", path=f"{tmp_path}/c"))
    files(tmp_path / "c/sub", cgroup_procs="1\n2\n")
    with pytest.raises(StepError, match=r"container's cgroup is not empty: 2 process\(es\) found"):
        execute(steps.CheckCgroup("", path=f"{tmp_path}/c"))


@pytest.mark.parametrize(
    ("name", "content"),
    [("cgroup.events", "populated 0\nfrozen 1\n"), ("freezer.state", "FROZEN\n")],
)
def test_a_frozen_cgroup_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(StepError, match="container's cgroup unexpectedly frozen"):
        execute(steps.CheckCgroup("", path=str(tmp_path)))


def test_memory_in_use_above_the_new_limit(tmp_path: Path) -> None:
    step = steps.CheckMemoryUsage("/memory/limit", path=str(tmp_path), limit=100)
    execute(step)
    files(tmp_path, memory_current="99\n")
    execute(step)
    files(tmp_path, memory_current="100\n")
    with pytest.raises(StepError, match="rejecting memory limit 100 <= usage 100") as caught:
        execute(step)
    assert caught.value.pointer == "/memory/limit"


def test_a_v1_device_list(tmp_path: Path) -> None:
    files(tmp_path, devices_list="c 1:3 rwm\n", devices_allow="", devices_deny="")
    execute(
        steps.SetDeviceList("", path=str(tmp_path), others="deny", rules=["c 1:3 rw", "c 1:5 r"])
    )
    assert (tmp_path / "devices.allow").read_text() == "c 1:5 r"
    assert (tmp_path / "devices.deny").read_text() == "c 1:3 m"
