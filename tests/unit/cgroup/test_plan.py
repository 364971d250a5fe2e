"""The steps for a container's cgroup in the three layouts, and those of real engines' configs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ocipy.cgroup.facts import CgroupFacts
from ocipy.cgroup.paths import container_cgroups
from ocipy.cgroup.plan import (
    clone_into_cgroup_path,
    is_optional,
    plan_create_cgroup,
    plan_enter_cgroup,
    plan_join_cgroup,
    plan_late_limits,
)
from ocipy.errors import UnsupportedError
from ocipy.plan import _generated_steps as steps
from ocipy.plan.describe import plan_to_json, plan_to_text
from ocipy.plan.request import CreateRequest
from tests.unit.cgroup.hosts import HYBRID, V1, V2, V2_CONTROLLERS, host, writes

GOLDEN = Path(__file__).parent.parent / "golden"


def request(config: Any, facts: CgroupFacts, **different: Any) -> CreateRequest:
    paths = container_cgroups(config, host(facts, **different), "id")
    return CreateRequest("id", bundle="/b", rootfs="/b/rootfs", cgroup_paths=paths)


def create(config: Any, facts: CgroupFacts, **different: Any) -> list[Any]:
    asked = request(config, facts, **different)
    return plan_create_cgroup(config, host(facts, **different), asked)


def names(plan: list[Any]) -> list[str]:
    return [step.operation for step in plan]


PLAIN: Any = {"linux": {"cgroupsPath": "/a/b"}}


def test_v2() -> None:
    plan = create(PLAIN, V2)
    assert names(plan) == [
        "check_cgroup",
        "create_cgroup",
        "enable_controllers",
        "attach_device_filter",
    ]
    assert plan[1] == steps.CreateCgroup("/linux/cgroupsPath", path="/cg/a/b", mountpoint="/cg")
    assert plan[2].controllers == V2_CONTROLLERS
    assert plan[2].required == []
    assert plan_join_cgroup(PLAIN, host(V2), request(PLAIN, V2)) == []
    assert clone_into_cgroup_path(PLAIN, host(V2), request(PLAIN, V2)) == "/cg/a/b"


def test_v2_moves_the_process_into_a_cgroup_that_was_there_before() -> None:
    asked = request(PLAIN, V2)
    asked.cgroup_existed = True
    assert clone_into_cgroup_path(PLAIN, host(V2), asked) == ""
    joins = plan_join_cgroup(PLAIN, host(V2), asked)
    assert [getattr(step, "path", "") for step in joins] == ["/cg/a/b"]


def test_v1() -> None:
    plan = create(PLAIN, V1)
    made = [step.path for step in plan if isinstance(step, steps.CreateCgroup)]
    assert made == [f"{hierarchy.mountpoint}/a/b" for hierarchy in V1.v1]
    assert names(plan).count("inherit_cpuset") == 1
    assert names(plan)[-1] == "set_device_list"
    entered: list[Any] = plan_enter_cgroup(PLAIN, host(V1), request(PLAIN, V1))
    assert [step.tasks_fd.path for step in entered] == [f"{path}/tasks" for path in made]
    assert plan_join_cgroup(PLAIN, host(V1), request(PLAIN, V1)) == []
    assert clone_into_cgroup_path(PLAIN, host(V1), request(PLAIN, V1)) == ""


def test_hybrid_joins_both_and_leaves_the_host_s_controllers_alone() -> None:
    assert "enable_controllers" not in names(create(PLAIN, HYBRID))
    asked = request(PLAIN, HYBRID)
    assert len(plan_enter_cgroup(PLAIN, host(HYBRID), asked)) == len(HYBRID.v1)
    assert clone_into_cgroup_path(PLAIN, host(HYBRID), asked) == "/cg/unified/a/b"
    assert plan_join_cgroup(PLAIN, host(HYBRID), asked) == []
    asked.cgroup_existed = True
    joins = plan_join_cgroup(PLAIN, host(HYBRID), asked)
    assert [getattr(step, "path", "") for step in joins] == ["/cg/unified/a/b"]
    huge: Any = {
        "linux": {
            "cgroupsPath": "/a",
            "resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]},
        }
    }
    enable = next(s for s in create(huge, HYBRID) if isinstance(s, steps.EnableControllers))
    assert (list(enable.controllers), list(enable.required)) == (["hugetlb"], ["hugetlb"])


def test_limits_come_after_the_controllers_and_the_filter_last() -> None:
    config: Any = {
        "linux": {
            "cgroupsPath": "/a",
            "resources": {
                "memory": {"limit": 5},
                "cpu": {"shares": 3, "cpus": "0"},
                "unified": {"io.max": "x"},
            },
        }
    }
    plan = create(config, V2)
    assert names(plan)[2] == "enable_controllers"
    assert plan[2].required == ["cpu", "cpuset", "io", "memory"]
    assert names(plan)[-1] == "attach_device_filter"


def test_cpusets_are_filled_before_they_are_narrowed() -> None:
    config: Any = {"linux": {"cgroupsPath": "/a", "resources": {"cpu": {"cpus": "0"}}}}
    plan = create(config, V1)
    assert names(plan).index("inherit_cpuset") < names(plan).index("write_cgroup_file")


@pytest.mark.parametrize("facts", [V1, V2, HYBRID], ids=["v1", "v2", "hybrid"])
@pytest.mark.parametrize(("limit", "late"), [(0, True), (1, True), (3, False), (-1, False)])
def test_a_tight_limit_on_processes_waits_for_init(facts: Any, limit: int, late: bool) -> None:
    config: Any = {"linux": {"cgroupsPath": "/a", "resources": {"pids": {"limit": limit}}}}
    asked = request(config, facts)
    text = "max" if limit < 0 else str(limit)
    assert (("pids.max", text) in writes(create(config, facts))) is not late
    assert writes(plan_late_limits(config, host(facts), asked)) == (
        [("pids.max", text)] if late else []
    )


def test_no_cgroup_at_all() -> None:
    asked = CreateRequest("id", bundle="/b", rootfs="/b/rootfs")
    config: Any = {"linux": {"resources": {"pids": {"limit": 0}}}}
    assert plan_create_cgroup(config, host(V2), asked) == []
    assert plan_join_cgroup(config, host(V1), asked) == []
    assert plan_late_limits(config, host(V2), asked) == []
    assert clone_into_cgroup_path(config, host(V2), asked) == ""


# -- without privileges


def test_without_privileges_a_cgroup_nobody_asked_for_may_fail() -> None:
    config: Any = {"linux": {}}
    assert is_optional(config, host(V2, capabilities=0))
    plan = create(config, V2, capabilities=0)
    assert names(plan) == ["check_cgroup", "create_cgroup", "enable_controllers"]
    assert "EACCES" in plan[1].ignore
    joins: list[Any] = plan_join_cgroup(
        config, host(V1, capabilities=0), request(config, V1, capabilities=0)
    )
    assert {"EACCES", "ENOENT"} <= set(joins[0].ignore)


def test_without_privileges_a_cgroup_that_is_named_must_be_made() -> None:
    plan = create({"linux": {"cgroupsPath": "/a"}}, V2, capabilities=0)
    assert plan[1].ignore == ()


# -- delegation


def delegating(**linux: Any) -> Any:
    return {
        "process": {"user": {"uid": 1000, "gid": 0}},
        "mounts": [{"destination": "/sys/fs/cgroup", "source": "cgroup", "options": ["nosuid"]}],
        "linux": {"cgroupsPath": "/a", "namespaces": [{"type": "cgroup"}], **linux},
    }


def delegation(config: Any, facts: CgroupFacts = V2) -> list[Any]:
    return [step for step in create(config, facts) if isinstance(step, steps.DelegateCgroup)]


def test_a_writable_cgroup_belongs_to_its_user() -> None:
    (step,) = delegation(delegating())
    assert (step.path, step.uid) == ("/cg/a", 1000)
    assert step.files == V2.delegate_files
    config = delegating(
        namespaces=[{"type": "cgroup"}, {"type": "user"}],
        uidMappings=[
            {"containerID": 0, "hostID": 5, "size": 1},
            {"containerID": 900, "hostID": 100000, "size": 200},
        ],
    )
    assert delegation(config)[0].uid == 100100


def test_not_delegated() -> None:
    assert delegation(delegating(), V1) == []
    assert delegation(delegating(namespaces=[])) == []
    assert (
        delegation(delegating(namespaces=[{"type": "cgroup", "path": "/proc/1/ns/cgroup"}])) == []
    )
    read_only = delegating()
    read_only["mounts"][0]["options"].append("ro")
    assert delegation(read_only) == []
    elsewhere = delegating()
    elsewhere["mounts"][0]["destination"] = "/cgroup"
    assert delegation(elsewhere) == []
    root = delegating()
    root["process"]["user"]["uid"] = 0
    assert delegation(root) == []
    assert delegation(delegating(namespaces=[{"type": "cgroup"}, {"type": "user"}])) == []


# -- the configs of real engines


@pytest.mark.parametrize("facts", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize(
    "path", sorted((GOLDEN / "configs").glob("*.json")), ids=lambda path: path.stem
)
def test_configs_of_engines_can_be_planned(path: Path, facts: CgroupFacts) -> None:
    config = json.loads(path.read_text())
    plan = create(config, facts)
    assert plan_to_text(plan).count("\n") == len(plan)
    for step in plan_to_json(plan):
        assert step["place"] == "host"
        assert str(step["source"]).startswith(("/linux", "/process/user"))
    privileged = "privileged" in path.stem
    (filter_step,) = [
        s for s in plan if isinstance(s, steps.AttachDeviceFilter | steps.SetDeviceList)
    ]
    if isinstance(filter_step, steps.SetDeviceList):
        assert (filter_step.others == "allow") == privileged
    else:
        assert (filter_step.rules == ["allow a *:* rwm"]) == privileged


def test_what_a_host_lacks_is_refused_before_anything_is_made() -> None:
    config: Any = {"linux": {"resources": {"network": {"classID": 5}}}}
    with pytest.raises(UnsupportedError):
        create(config, V2)
