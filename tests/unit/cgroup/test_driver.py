"""What a record says of a cgroup before it is made, and what is removed of it in the end.

A tree of directories stands for the hierarchies: rmdir(2) refuses what is not empty there, too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ocipy.cgroup.driver import Cgroup, make_record, open_cgroup
from ocipy.cgroup.facts import CgroupFacts, Hierarchy
from ocipy.errors import StateError


def two_hierarchies(root: Path) -> CgroupFacts:
    for name in ("pids", "memory"):
        (root / name).mkdir()
    return CgroupFacts([Hierarchy(f"{root}/{name}", [name]) for name in ("pids", "memory")])


def test_record(tmp_path: Path) -> None:
    facts = two_hierarchies(tmp_path)
    (tmp_path / "pids/docker").mkdir()
    (tmp_path / "memory/docker/c").mkdir(parents=True)
    paths = {"pids": f"{tmp_path}/pids/docker/c", "memory": f"{tmp_path}/memory/docker/c"}
    assert make_record(paths, facts) == {
        "driver": "cgroupfs",
        "paths": paths,
        "made": [f"{tmp_path}/pids/docker/c"],
    }


def test_parents_are_noted_deepest_first(tmp_path: Path) -> None:
    facts = two_hierarchies(tmp_path)
    record = make_record({"pids": f"{tmp_path}/pids/a/b"}, facts)
    assert record is not None
    assert record["made"] == [f"{tmp_path}/pids/a/b", f"{tmp_path}/pids/a"]


def test_no_record_without_a_cgroup(tmp_path: Path) -> None:
    assert make_record({}, CgroupFacts()) is None


def remove(root: Path, paths: list[str], made: list[str]) -> list[str]:
    """Remove, and return what is left below `root`."""
    cgroup = Cgroup(
        {str(i): f"{root}/{path}" for i, path in enumerate(paths)},
        [f"{root}/{path}" for path in made],
    )
    cgroup.remove(0.2)
    return sorted(
        os.path.relpath(f"{directory}/{name}", root)
        for directory, names, _ in os.walk(root)
        for name in names
    )


def kernel_says_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's word for a cgroup that has others in it is EBUSY, that of others ENOTEMPTY."""
    real = os.rmdir

    def rmdir(path: str) -> None:
        try:
            real(path)
        except OSError as error:
            if error.errno == 39:
                raise OSError(16, "busy") from None
            raise

    monkeypatch.setattr(os, "rmdir", rmdir)


def test_what_the_container_made_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel_says_busy(monkeypatch)
    (tmp_path / "a/c/sub/sub").mkdir(parents=True)
    (tmp_path / "a/c/other").mkdir()
    assert remove(tmp_path, ["a/c"], ["a/c", "a"]) == []


def test_what_was_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel_says_busy(monkeypatch)
    (tmp_path / "a/c").mkdir(parents=True)
    (tmp_path / "b/c").mkdir(parents=True)
    assert remove(tmp_path, ["a/c", "b/c"], ["b/c"]) == ["a", "a/c", "b"]


def test_a_parent_that_others_use_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel_says_busy(monkeypatch)
    (tmp_path / "a/c").mkdir(parents=True)
    (tmp_path / "a/other").mkdir()
    assert remove(tmp_path, ["a/c"], ["a/c", "a"]) == ["a", "a/other"]


def test_what_is_gone_is_no_problem(tmp_path: Path) -> None:
    assert remove(tmp_path, ["a/c"], ["a/c", "a"]) == []


def test_a_record_of_before_there_was_a_list(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    record: Any = {"driver": "cgroupfs", "paths": {"": f"{tmp_path}/c"}}
    open_cgroup(record).remove(0.2)
    assert os.listdir(tmp_path) == []


def test_a_cgroup_that_stays_busy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/cgroup.procs").write_text("")

    def rmdir(path: str) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "rmdir", rmdir)
    with pytest.raises(StateError, match=f"cannot remove the cgroup {tmp_path}/c"):
        Cgroup({"": f"{tmp_path}/c"}, [f"{tmp_path}/c"]).remove(0.05)


def test_processes_of_sub_cgroups_count(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "cgroup.procs").write_text("7\n0\n")
    (tmp_path / "sub/cgroup.procs").write_text("5\n7\n")
    assert Cgroup({"": str(tmp_path)}, []).pids() == [5, 7]
    assert Cgroup({}, []).pids() == []
    assert Cgroup({"": f"{tmp_path}/gone"}, []).pids() == []


@pytest.mark.parametrize(
    ("files", "frozen"),
    [
        ({"cgroup.freeze": "1\n"}, True),
        ({"cgroup.freeze": "0\n"}, False),
        ({}, False),
    ],
)
def test_frozen_v2(tmp_path: Path, files: dict[str, str], frozen: bool) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert Cgroup({"": str(tmp_path)}, []).is_frozen() is frozen


@pytest.mark.parametrize(
    ("state", "own", "frozen"),
    [
        ("THAWED", "0", False),
        ("FROZEN", "1", True),
        ("FREEZING", "1", True),
        # A cgroup above it was frozen: the container is not paused.
        ("FROZEN", "0", False),
    ],
)
def test_frozen_v1(tmp_path: Path, state: str, own: str, frozen: bool) -> None:
    (tmp_path / "freezer.state").write_text(f"{state}\n")
    (tmp_path / "freezer.self_freezing").write_text(f"{own}\n")
    assert Cgroup({"freezer": str(tmp_path)}, []).is_frozen() is frozen


def test_no_freezer() -> None:
    with pytest.raises(StateError, match="freezer"):
        Cgroup({"pids": "/nonexistent"}, []).freeze()
