"""linux.resources to file writes, without the devices. Pure.

Spec (config-linux.md#control-groups). The larger controllers have files of their own: cpu.py,
memory.py and io.py; the small ones are here: pids, hugetlb, net_cls, net_prio, rdma, and unified.
"""

from __future__ import annotations

from ocipy.errors import ConfigError, UnsupportedError, pointer_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocipy.cgroup.paths import Home, Homes
    from ocipy.config._generated_types import HugepageLimit, Network, Pids, Rdma, Resources
    from ocipy.plan.step import Step

_UINT32_MAX = 0xFFFFFFFF


def plan_limits(
    resources: Resources, homes: Homes, at: str, current: Mapping[str, str]
) -> list[Step]:
    """Return the writes that put the limits in force, in runc's order of controllers.

    Args:
        at: JSON pointer of linux.resources, for `source`.
        current: for an update, what is in the files that must be read first, by name; else empty.

    Raises:
        ConfigError: a value that breaks the specification, or that the kernel would not take.
        UnsupportedError: this host has no controller for it, or v2 no such limit.
    """
    plan: list[Step] = []
    cpu = resources.get("cpu", {})
    if cpu.get("cpus") or cpu.get("mems"):
        from ocipy.cgroup.cpu import plan_cpuset

        plan += plan_cpuset(cpu, _home(homes, "cpuset", f"{at}/cpu/cpus"), at)
    memory, zeros = resources.get("memory"), ["swappiness", "useHierarchy"]
    if current:
        zeros.append("disableOOMKiller")
    if memory and _asks(memory, *zeros):
        from ocipy.cgroup.memory import plan_memory

        plan += plan_memory(memory, _home(homes, "memory", f"{at}/memory"), at, current)
    if _asks(cpu, "idle", "burst"):
        from ocipy.cgroup.cpu import plan_cpu

        plan += plan_cpu(cpu, _home(homes, "cpu", f"{at}/cpu"), at, current)
    if pids := resources.get("pids"):
        plan += plan_pids(pids, homes, at)
    if (block_io := resources.get("blockIO")) and any(block_io.values()):
        from ocipy.cgroup.io import plan_io

        home = homes.find("blkio") or _home(homes, "io", f"{at}/blockIO")
        plan += plan_io(block_io, home, at)
    if hugepage_limits := resources.get("hugepageLimits"):
        plan += _plan_hugetlb(hugepage_limits, homes, f"{at}/hugepageLimits")
    if network := resources.get("network"):
        plan += _plan_network(network, homes, f"{at}/network")
    if rdma := resources.get("rdma"):
        plan += _plan_rdma(rdma, homes, f"{at}/rdma")
    if unified := resources.get("unified"):
        plan += _plan_unified(unified, homes, f"{at}/unified")
    return plan


def _asks(values: Mapping[str, object], *zeros: str) -> bool:
    """Is anything asked for of the controller? Zeros count only for the fields in `zeros`."""
    elsewhere = ("cpus", "mems", "checkBeforeUpdate")
    return any(value or field in zeros for field, value in values.items() if field not in elsewhere)


def _home(homes: Homes, controller: str, source: str) -> Home:
    home = homes.find(controller)
    if home is None:
        raise UnsupportedError(
            source,
            f"the cgroup controller {controller} is not available",
            hint="see /proc/cgroups and, for cgroup v2, /sys/fs/cgroup/cgroup.controllers",
        )
    return home


def plan_pids(pids: Pids, homes: Homes, at: str) -> list[Step]:
    """Spec (config-linux.md#pids): a negative limit is none, and 0 "is a valid limit"."""
    source, limit = f"{at}/pids/limit", pids["limit"]
    value = str(limit) if limit >= 0 else "max"
    return [_home(homes, "pids", source).write(source, "pids.max", value)]


def _plan_hugetlb(limits: Sequence[HugepageLimit], homes: Homes, at: str) -> list[Step]:
    """Spec (config-linux.md#huge-page-limits): reservations, where the kernel accounts for them.

    As runc, the limit on page faults is set to the same: it covers what was not reserved.
    """
    plan = []
    for i, limit in enumerate(limits):
        home = _home(homes, "hugetlb", f"{at}/{i}")
        size, value = limit["pageSize"], limit["limit"]
        number, unit = size[:-2], size[-2:]
        if unit not in ("KB", "MB", "GB") or not (number.isascii() and number.isdigit()):
            raise ConfigError(f"{at}/{i}/pageSize", f"not a size such as '2MB': {size!r}")
        if value < 0:
            raise ConfigError(f"{at}/{i}/limit", f"not a number of bytes: {value}")
        suffix = "limit_in_bytes" if home.version == 1 else "max"
        source = f"{at}/{i}/limit"
        plan.append(home.write(source, f"hugetlb.{size}.{suffix}", value))
        # Since Linux 5.7.
        plan.append(home.write(source, f"hugetlb.{size}.rsvd.{suffix}", value, ignore=("ENOENT",)))
    return plan


def _plan_network(network: Network, homes: Homes, at: str) -> list[Step]:
    """Zero means no class."""
    plan: list[Step] = []
    if class_id := network.get("classID", 0):
        source = f"{at}/classID"
        if not 0 <= class_id <= _UINT32_MAX:
            raise ConfigError(source, f"not a 32-bit number: {class_id}")
        plan.append(_home_v1(homes, "net_cls", source).write(source, "net_cls.classid", class_id))
    for i, entry in enumerate(network.get("priorities", [])):
        source, name, priority = f"{at}/priorities/{i}", entry["name"], entry["priority"]
        if not 0 <= priority <= _UINT32_MAX:
            raise ConfigError(f"{source}/priority", f"not a 32-bit number: {priority}")
        if not name or any(character.isspace() for character in name):
            raise ConfigError(f"{source}/name", f"not the name of a network interface: {name!r}")
        home = _home_v1(homes, "net_prio", source)
        plan.append(home.write(source, "net_prio.ifpriomap", f"{name} {priority}"))
    return plan


def _home_v1(homes: Homes, controller: str, source: str) -> Home:
    if homes.find(controller) is None and homes.facts.mode == "v2":
        raise UnsupportedError(source, f"cgroup v2 has no controller {controller}")
    return _home(homes, controller, source)


def _plan_rdma(rdma: Mapping[str, Rdma], homes: Homes, at: str) -> list[Step]:
    plan = []
    for device, limits in rdma.items():
        source = f"{at}/{pointer_token(device)}"
        line = device
        for field, key in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object")):
            value = limits.get("hcaHandles") if field == "hcaHandles" else limits.get("hcaObjects")
            if value is None:
                continue
            if not 0 <= value <= _UINT32_MAX:
                raise ConfigError(f"{source}/{field}", f"not a 32-bit number: {value}")
            line += f" {key}={value}"
        # Spec (config-linux.md#rdma): "You MUST specify at least one".
        if line == device:
            raise ConfigError(source, "neither hcaHandles nor hcaObjects is given")
        plan.append(_home(homes, "rdma", source).write(source, "rdma.max", line))
    return plan


def _plan_unified(unified: Mapping[str, str], homes: Homes, at: str) -> list[Step]:
    """Spec (config-linux.md#unified): "Configuration unknown to the runtime MUST still be written"
    and an error where "a cgroup controller ... is not present"."""
    plan = []
    home = homes.unified()
    for key, value in unified.items():
        source = f"{at}/{pointer_token(key)}"
        controller, dot, parameter = key.partition(".")
        if not (controller and dot and parameter) or "/" in key:
            raise ConfigError(
                source, f"not the name of a file of cgroup v2: {key!r}", hint="such as 'memory.max'"
            )
        if home is None or homes.facts.mode == "v1":
            raise UnsupportedError(source, "this host has no cgroup v2")
        if controller != "cgroup" and not homes.facts.unified_has(controller):
            raise UnsupportedError(source, f"the controller {controller} is not available in v2")
        plan.append(home.write(source, key, value))
    return plan
