"""The plans of configs that real clients wrote, as text, reviewed like code.

A change of a planner shows in tests/unit/golden/plans as the difference that it makes for Docker,
podman, containerd, Kubernetes and buildah. After looking at it:

    OCIPY_UPDATE_GOLDEN=1 pytest tests/unit/plan/test_golden_plans.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ocipy.cgroup.facts import CgroupFacts, Hierarchy
from ocipy.cgroup.paths import container_cgroups
from ocipy.plan.create import plan_create
from ocipy.plan.describe import plan_to_json, plan_to_text
from ocipy.plan.encode import encode_plan, host_fds_of
from ocipy.plan.exec import ExecRequest, plan_exec
from ocipy.plan.request import CreateRequest
from ocipy.schema.accept import accept
from tests.unit.host_facts import host_facts

GOLDEN = Path(__file__).parent.parent / "golden"
CONFIGS = sorted(path.stem for path in (GOLDEN / "configs").glob("*.json"))
PROCESSES = sorted(path.stem for path in (GOLDEN / "processes").glob("*.json"))
V1 = [
    Hierarchy(f"/sys/fs/cgroup/{name}", name.split(","))
    for name in ("cpuset", "cpu,cpuacct", "memory", "devices", "freezer", "blkio", "pids")
]
V1 += [
    Hierarchy("/sys/fs/cgroup/hugetlb", ["hugetlb"]),
    Hierarchy("/sys/fs/cgroup/net_cls,net_prio", ["net_cls", "net_prio"]),
    Hierarchy("/sys/fs/cgroup/perf_event", ["perf_event"]),
    Hierarchy("/sys/fs/cgroup/rdma", ["rdma"]),
    Hierarchy("/sys/fs/cgroup/systemd", ["name=systemd"]),
]
V2 = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"]
LAYOUTS = {
    "hybrid": CgroupFacts(V1, Hierarchy("/sys/fs/cgroup/unified", [])),
    "v2": CgroupFacts((), Hierarchy("/sys/fs/cgroup", V2)),
}


def read_config(name: str) -> dict[str, Any]:
    text = (GOLDEN / "configs" / f"{name}.json").read_text()
    config: dict[str, Any] = json.loads(text)
    accept(config, text)
    return config


def create_plan(name: str, layout: str) -> Any:
    config: Any = read_config(name)
    host = host_facts(cgroup=LAYOUTS[layout], lsms=("apparmor", "selinux"))
    request = CreateRequest(
        "container",
        bundle="/bundle",
        rootfs="/bundle/rootfs",
        start_fifo="/run/ocipy/container/start",
        cgroup_paths=container_cgroups(config, host, "container"),
        oci_state={"ociVersion": config["ociVersion"], "id": "container", "bundle": "/bundle"},
    )
    return plan_create(config, host, request)


def compare(name: str, text: str) -> None:
    path = GOLDEN / "plans" / f"{name}.txt"
    if os.environ.get("OCIPY_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CONFIGS)
def test_plan_of_create(name: str, layout: str) -> None:
    plan = create_plan(name, layout)
    warnings = "".join(f"warning: {text} ({pointer})\n" for pointer, text in plan.warnings)
    compare(f"{name}.{layout}", plan_to_text(plan.steps) + warnings)


@pytest.mark.parametrize("name", PROCESSES)
def test_plan_of_exec(name: str) -> None:
    config: Any = read_config(name.partition("-")[0] + "-run" if "docker" in name else "podman-run")
    process = json.loads((GOLDEN / "processes" / f"{name}.json").read_text())
    host = host_facts(cgroup=LAYOUTS["v2"], lsms=("apparmor", "selinux"))
    request = ExecRequest("container", pid=4321, cgroup_paths={"": "/sys/fs/cgroup/container"})
    compare(f"exec-{name}", plan_to_text(plan_exec(config, process, host, request).steps))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_input_gives_the_same_bytes(name: str) -> None:
    plans = [create_plan(name, "v2").steps for _ in range(2)]
    assert plans[0] == plans[1]
    fds = {fd: 10 + i for i, (_, fd) in enumerate(host_fds_of(plans[0]))}
    assert encode_plan(plans[0], fds) == encode_plan(plans[1], fds)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_step_names_what_asked_for_it(name: str) -> None:
    """Its source leads to a value of the config, or is "": the specification itself asks."""
    config = read_config(name)
    for step in plan_to_json(create_plan(name, "hybrid").steps):
        value: Any = config
        for part in str(step["source"]).split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            assert isinstance(value, dict | list), step
            if isinstance(value, list):
                value = value[int(part)]
            elif part in value:
                value = value[part]
            else:
                # A default of the specification, at the place where the config could say else.
                value = {}


def test_a_plan_is_json() -> None:
    steps = plan_to_json(create_plan("docker-run", "v2").steps)
    assert json.loads(json.dumps(steps)) == steps
    assert [step["step"] for step in steps] == list(range(len(steps)))
    assert steps[-1]["operation"] == "exec"
    assert steps[-1]["source"] == "/process/args"
