"""Hosts with the three layouts of cgroups, and steps reduced to what they write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocipy.cgroup.facts import CgroupFacts, Hierarchy
from ocipy.cgroup.limits import plan_limits
from ocipy.cgroup.paths import Homes, container_cgroups
from ocipy.plan import _generated_steps as steps
from tests.unit.host_facts import host_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocipy.host.facts import HostFacts
    from ocipy.plan.step import Step

V1_CONTROLLERS = (
    "cpu,cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "net_cls,net_prio",
    "rdma",
    "name=systemd",
)
V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc")

V1 = CgroupFacts([Hierarchy(f"/cg/{names}", names.split(",")) for names in V1_CONTROLLERS])
V2 = CgroupFacts(unified=Hierarchy("/cg", V2_CONTROLLERS))
HYBRID = CgroupFacts(
    [Hierarchy(f"/cg/{name}", [name]) for name in ("cpu", "cpuacct", "memory", "pids", "freezer")],
    Hierarchy("/cg/unified", ["hugetlb"]),
)


def host(facts: CgroupFacts, **different: Any) -> HostFacts:
    return host_facts(cgroup=facts, **different)


def homes(facts: CgroupFacts) -> Homes:
    """The homes of the controllers of a container at /c."""
    config: Any = {"linux": {"cgroupsPath": "/c"}}
    return Homes(facts, container_cgroups(config, host(facts), "c"))


def limits(facts: CgroupFacts, resources: Any, **current: str) -> list[Step]:
    """The plan of linux.resources; `current` names files with "_" for "."."""
    files = {name.replace("_", "."): value for name, value in current.items()}
    return plan_limits(resources, homes(facts), "/linux/resources", files)


def writes(plan: Iterable[Step]) -> list[tuple[str, str]]:
    """Return (file name, value) in order, fallbacks apart."""
    found = []
    for step in plan:
        if isinstance(step, steps.WriteCgroupFile):
            found.append((step.path.rpartition("/")[2], step.value))
        elif isinstance(step, steps.WriteDependentCgroupFiles):
            names = [path.rpartition("/")[2] for path in step.paths]
            found += list(zip(names, step.values, strict=True))
    return found
