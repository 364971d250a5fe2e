"""Where a container's cgroup is: Spec (config-linux.md#cgroups-path)."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.facts import CgroupFacts, Hierarchy
from ocipy.cgroup.paths import Homes, container_cgroups, limits_without_cgroup
from ocipy.errors import ConfigError
from tests.unit.cgroup.hosts import HYBRID, V1, V2, homes, host

NESTED_V1 = CgroupFacts(
    [Hierarchy("/cg/memory", ["memory"], "/own/m"), Hierarchy("/cg/pids", ["pids"], "")],
    Hierarchy("/cg/unified", [], "/own/u"),
)
NESTED_V2 = CgroupFacts(unified=Hierarchy("/cg", ["pids"], "/user.slice/session.scope"))


def paths(facts: CgroupFacts, cgroups_path: str | None) -> dict[str, str]:
    config: Any = (
        {"linux": {}} if cgroups_path is None else {"linux": {"cgroupsPath": cgroups_path}}
    )
    return container_cgroups(config, host(facts), "id")


@pytest.mark.parametrize(
    "path", ["/a/b", "//a/b", "/a//b/", "/./a/b", "/a/b/."], ids=lambda path: path
)
def test_absolute_is_below_the_mount_point(path: str) -> None:
    assert paths(NESTED_V2, path) == {"": "/cg/a/b"}
    assert paths(NESTED_V1, path) == {
        "memory": "/cg/memory/a/b",
        "pids": "/cg/pids/a/b",
        "": "/cg/unified/a/b",
    }


def test_controllers_that_share_a_hierarchy_share_a_key() -> None:
    assert paths(V1, "/a")["cpu,cpuacct"] == "/cg/cpu,cpuacct/a"


def test_relative_is_below_our_own_cgroup_in_v1() -> None:
    assert paths(NESTED_V1, "a/b") == {
        "memory": "/cg/memory/own/m/a/b",
        "pids": "/cg/pids/a/b",
        "": "/cg/unified/own/u/a/b",
    }


def test_relative_is_beside_our_own_cgroup_in_v2() -> None:
    assert paths(NESTED_V2, "a/b") == {"": "/cg/user.slice/a/b"}
    assert paths(V2, "a/b") == {"": "/cg/a/b"}


@pytest.mark.parametrize("path", [None, ""])
def test_without_a_path_the_id_is_taken(path: str | None) -> None:
    assert paths(NESTED_V2, path) == {"": "/cg/user.slice/id"}
    assert paths(NESTED_V1, path)["memory"] == "/cg/memory/own/m/id"


def test_a_systemd_name_is_a_relative_path_for_cgroupfs() -> None:
    assert paths(V2, "system.slice:docker:1") == {"": "/cg/system.slice:docker:1"}


@pytest.mark.parametrize(
    "path", ["/a/../b", "..", "/..", "a/..", "/a\0b", "/a\nb", "/", "/.", "//"]
)
def test_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="invalid cgroups path") as caught:
        paths(V2, path)
    assert caught.value.pointer == "/linux/cgroupsPath"


def test_dots_in_a_name_are_no_parent() -> None:
    assert paths(V2, "/..a/b..") == {"": "/cg/..a/b.."}


def test_homes() -> None:
    def place(homes: Homes, controller: str) -> tuple[int, str] | None:
        home = homes.find(controller)
        return (home.version, home.path) if home else None

    assert place(homes(V1), "cpuacct") == (1, "/cg/cpu,cpuacct/c")
    assert place(homes(V2), "memory") == (2, "/cg/c")
    assert place(homes(V2), "devices") is None
    assert place(homes(HYBRID), "memory") == (1, "/cg/memory/c")
    assert place(homes(HYBRID), "hugetlb") == (2, "/cg/unified/c")
    assert place(homes(HYBRID), "io") is None


@pytest.mark.parametrize(
    ("resources", "named"),
    [
        ({}, ""),
        ({"devices": [{"allow": False, "access": "rwm"}]}, ""),
        ({"memory": {"limit": 0}, "pids": {"limit": -1}, "unified": {}, "hugepageLimits": []}, ""),
        ({"memory": {"limit": 5}, "cpu": {"shares": 0, "cpus": "0"}}, "memory, cpu"),
        ({"pids": {"limit": 0}}, "pids"),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, "hugepageLimits"),
    ],
)
def test_limits_without_cgroup(resources: Any, named: str) -> None:
    warning = limits_without_cgroup({"linux": {"resources": resources}})  # type: ignore[typeddict-item]
    assert warning == (
        f"without a cgroup there are no limits: {named} (/linux/resources)" if named else ""
    )
