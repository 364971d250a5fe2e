"""scheduler, ioPriority and execCPUAffinity as numbers for the kernel."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.facts import CgroupFacts, Hierarchy
from ocipy.plan._generated_steps import ForkInit, SetCpuAffinity, SetIoPriority, SetScheduler
from ocipy.plan.exec import ExecRequest, plan_exec
from ocipy.plan.process import plan_scheduling
from tests.unit.host_facts import host_facts


def plan(**process: Any) -> Any:
    given: Any = {"cwd": "/", "args": ["x"], **process}
    (step,) = plan_scheduling(given, "/process")
    return step


def test_every_field_reaches_the_step() -> None:
    scheduler = {
        "policy": "SCHED_DEADLINE",
        "nice": 5,
        "priority": 7,
        "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN"],
        "runtime": 1_000_000,
        "deadline": 2_000_000,
        "period": 3_000_000,
    }
    assert plan(scheduler=scheduler) == SetScheduler(
        "/process/scheduler",
        policy=6,
        sched_flags=0x01 | 0x02 | 0x04,
        nice=5,
        priority=7,
        runtime_ns=1_000_000,
        deadline_ns=2_000_000,
        period_ns=3_000_000,
    )


@pytest.mark.parametrize(
    ("policy", "number"),
    [("OTHER", 0), ("FIFO", 1), ("RR", 2), ("BATCH", 3), ("IDLE", 5), ("DEADLINE", 6)],
)
def test_policies(policy: str, number: int) -> None:
    assert plan(scheduler={"policy": f"SCHED_{policy}"}).policy == number


@pytest.mark.parametrize(("name", "number"), [("RT", 1), ("BE", 2), ("IDLE", 3)])
def test_io_priority(name: str, number: int) -> None:
    priority = {"class": f"IOPRIO_CLASS_{name}", "priority": 6}
    assert plan(ioPriority=priority) == SetIoPriority(
        "/process/ioPriority", priority=number << 13 | 6
    )


def test_exec_cpu_affinity() -> None:
    """Spec (config.md#linux-process): initial from the start, final once in the cgroup."""
    process: Any = {
        "cwd": "/",
        "args": ["/bin/true"],
        "execCPUAffinity": {"initial": "0-1", "final": "7"},
    }
    config: Any = {"linux": {"namespaces": [{"type": "pid"}]}}
    cgroup = CgroupFacts(unified=Hierarchy("/sys/fs/cgroup", ["cpu"]))
    asked = ExecRequest("ctr", pid=10, cgroup_paths={"": "/sys/fs/cgroup/ctr"})
    plan = plan_exec(config, process, host_facts(cgroup=cgroup), asked).steps
    affinities = [step for step in plan if isinstance(step, SetCpuAffinity)]
    assert affinities == [
        SetCpuAffinity("/execCPUAffinity/initial", mask=b"\3" + b"\0" * 7, cpus="0-1"),
        SetCpuAffinity("/execCPUAffinity/final", mask=b"\x80" + b"\0" * 7, cpus="7"),
    ]
    fork = next(i for i, step in enumerate(plan) if isinstance(step, ForkInit))
    assert all(plan.index(step) < fork for step in affinities)
