from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ocipy.cgroup.exec_paths import exec_cgroups
from ocipy.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def record(tmp_path: Path) -> Any:
    paths = {"memory": tmp_path / "memory", "cpu,cpuacct": tmp_path / "cpu", "": tmp_path / "two"}
    for path in paths.values():
        path.mkdir()
    return {"paths": {key: str(path) for key, path in paths.items()}}


def test_the_containers_own(record: Any) -> None:
    assert exec_cgroups(record, []) == record["paths"]
    assert exec_cgroups(None, []) == {}


def test_a_cgroup_that_nobody_had_permitted_is_left_out(record: Any) -> None:
    record["paths"]["pids"] = "/nonexistent"
    assert "pids" not in exec_cgroups(record, [])


def test_below(record: Any) -> None:
    for key, path in exec_cgroups(record, ["sub"]).items():
        assert path == f"{record['paths'][key]}/sub"
    one = exec_cgroups(record, ["cpuacct:/sub"])
    assert one == record["paths"] | {"cpu,cpuacct": f"{record['paths']['cpu,cpuacct']}/sub"}


@pytest.mark.parametrize("option", ["../x", "memory:..", "a/../../b", "nosuch:sub"])
def test_wrong_options(record: Any, option: str) -> None:
    with pytest.raises(UsageError, match="bad --cgroup"):
        exec_cgroups(record, [option])
