"""linux.intelRdt: which group of resctrl the container's processes are in, and with what.

A resctrl group is a directory, like a cgroup: its `schemata` file says what share of caches and
of memory bandwidth its processes get. Which group it is to be, and whose it is, is decided here;
whether it exists already, and with which shares, shows when the steps are carried out, by
ocipy.cgroup.resctrl.
"""

from __future__ import annotations

from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config, IntelRdt
    from ocipy.plan.step import Step

_SOURCE = "/linux/intelRdt"


def plan_intel_rdt(config: Config, container_id: str) -> list[Step]:
    """Return the steps that make the groups and put the process into them; [] without intelRdt.

    Spec (config-linux.md#intelrdt).
    """
    given = config.get("linux", {}).get("intelRdt")
    if given is None:
        return []
    # Spec: value / means that the container MUST be assigned to the default CLOS.
    group = (given.get("closID") or container_id).strip("/")
    schemata = _schemata(given)
    if not given.get("closID"):
        # Spec: if closID is not set, runtimes MUST use the container ID.
        make: Step = steps.CreateResctrlGroup(_SOURCE, group=group, schemata=schemata)
    elif schemata:
        make = steps.ShareResctrlGroup(f"{_SOURCE}/closID", group=group, schemata=schemata)
    else:
        # Spec: without schemata the directory MUST be there, pre-configured.
        make = steps.CheckResctrlGroup(f"{_SOURCE}/closID", group=group)
    plan = [make, steps.JoinResctrlGroup(_SOURCE, group=group)]
    if given.get("enableMonitoring"):
        source, monitoring = f"{_SOURCE}/enableMonitoring", f"{group}/mon_groups/{container_id}"
        monitoring = monitoring.lstrip("/")
        plan.append(steps.CreateMonitoringGroup(source, group=monitoring))
        plan.append(steps.JoinResctrlGroup(source, group=monitoring))
    return plan


def plan_join_intel_rdt(config: Config, container_id: str) -> list[Step]:
    """Return the steps that put the process of an `exec` where the container's are."""
    return [
        step
        for step in plan_intel_rdt(config, container_id)
        if isinstance(step, steps.JoinResctrlGroup)
    ]


def _schemata(given: IntelRdt) -> list[str]:
    # Spec: l3CacheSchema first, then memBwSchema, and the lines of schemata last.
    lines = (given.get("l3CacheSchema"), given.get("memBwSchema"), *given.get("schemata", ()))
    return [line for line in lines if line]
