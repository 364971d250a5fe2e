"""The steps that make a container's cgroup, limit it, and put the container's process into it.

Pure. Theory of operation. Three lists, for three moments:

    plan_create_cgroup   before the clone      check, create, enable controllers, limits, devices
    plan_enter_cgroup    init's first steps    it moves itself into each hierarchy of v1
    plan_join_cgroup     while init waits      the host moves it, where it cannot do so itself
    plan_late_limits     after the last fork   a limit on processes that leaves no room for init's

In v2 the process is cloned into its cgroup (clone_into_cgroup_path), so that no moment exists in
which it runs outside. Limits are in force before the process is. Into a cgroup that was there
before us the host moves it: recent kernels (6.18, not 6.1) kill what is cloned into a cgroup whose
cgroup.kill was ever written, however long ago. Such a move costs 10 ms (docs/decisions/0021).

With the systemd driver all of it is in the second list: systemd makes a scope for processes that
are there, and init waits meanwhile. What follows is the same, in the scope's directory.
"""

from __future__ import annotations

from ocipy.cgroup.paths import SOURCE, Homes
from ocipy.plan import _generated_steps as steps
from ocipy.plan.step import HostFd
from ocipy.sys.constants import O_WRONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocipy.cgroup.facts import CgroupFacts
    from ocipy.config._generated_types import Config, IdMapping, Resources
    from ocipy.host.facts import HostFacts
    from ocipy.plan.request import CreateRequest
    from ocipy.plan.step import Step

# Who may not make cgroups and has not asked for one runs without, as with runc.
_NO_PERMISSION = ("EACCES", "EPERM", "EROFS")
# init itself, the process it forks to join namespaces, and one that execs a hook.
_INIT_PROCESSES = 3


def plan_create_cgroup(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the steps before the clone; none if `request.cgroup_paths` is empty (no cgroup).

    Raises:
        ConfigError, UnsupportedError: a limit that is wrong, or that this host does not have.
    """
    paths = request.cgroup_paths
    if not paths:
        return []
    if request.scope is not None:
        return [steps.CheckCgroup(SOURCE, path=request.scope.path)]
    facts = host.cgroup
    optional = is_optional(config, host)
    plan: list[Step] = []
    for controllers, path in paths.items():
        mountpoint = mountpoint_of(facts, controllers)
        ignore = _NO_PERMISSION if optional else ()
        if controllers in ("", "freezer") or "pids" in controllers.split(","):
            plan.append(steps.CheckCgroup(SOURCE, path=path))
        plan.append(steps.CreateCgroup(SOURCE, path=path, mountpoint=mountpoint, ignore=ignore))
        if "cpuset" in controllers.split(","):
            # Above the limits, which must be within the parents' sets.
            plan.append(steps.InheritCpuset(SOURCE, path=path, mountpoint=mountpoint))
    resources = config.get("linux", {}).get("resources", {})
    homes = Homes(facts, paths)
    plan += _plan_controllers(resources, homes)
    plan += _plan_early_limits(config, host, request)
    if host.privileged:
        # Others have no device nodes to open but what root gave them, and may load no filter.
        from ocipy.cgroup.devices import plan_devices

        plan += plan_devices(resources.get("devices", []), homes, "/linux/resources")
    return plan + _plan_delegation(config, host, paths)


def _plan_controllers(resources: Resources, homes: Homes) -> list[Step]:
    facts, paths = homes.facts, homes.paths
    if facts.unified is None or "" not in paths:
        return []
    required = required_controllers(resources, homes)
    # All of v2's are enabled, for whoever looks for their numbers. A hybrid host uses v1.
    enabled = facts.unified.controllers if facts.mode == "v2" else required
    if not enabled:
        return []
    return [
        steps.EnableControllers(
            SOURCE,
            path=paths[""],
            mountpoint=facts.unified.mountpoint,
            controllers=enabled,
            required=required,
        )
    ]


def _plan_early_limits(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the writes of all limits but those of plan_late_limits()."""
    resources = config.get("linux", {}).get("resources", {})
    if not resources:
        return []
    from ocipy.cgroup.limits import plan_limits

    homes = Homes(host.cgroup, request.cgroup_paths)
    late = plan_late_limits(config, host, request)
    plan = plan_limits(resources, homes, "/linux/resources", {})
    return [step for step in plan if step not in late]


def _plan_scope(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the steps that have systemd make the scope, and then limit it as any cgroup."""
    from ocipy.cgroup.systemd.properties import (
        device_properties,
        limit_properties,
        scope_properties,
    )

    scope = request.scope
    assert scope is not None
    resources = config.get("linux", {}).get("resources", {})
    homes = Homes(host.cgroup, request.cgroup_paths)
    limits = _plan_early_limits(config, host, request)
    properties = limit_properties(limits)
    devices: list[Step] = []
    if host.privileged:
        from ocipy.cgroup.devices import plan_devices

        rules = resources.get("devices", [])
        properties = device_properties(rules, "/linux/resources") + properties
        devices = plan_devices(rules, homes, "/linux/resources")
    annotations = config.get("annotations", {})
    return [
        steps.StartSystemdUnit(
            SOURCE,
            unit=scope.unit,
            properties=scope_properties(scope, request.container_id, annotations, properties),
            bus=scope.bus,
        ),
        *_plan_controllers(resources, homes),
        *limits,
        *devices,
        *_plan_delegation(config, host, request.cgroup_paths),
    ]


def enter_cgroups(paths: Mapping[str, str]) -> list[Step]:
    """Return the steps by which init moves itself into the v1 cgroups among `paths`."""
    return [
        steps.EnterCgroup(SOURCE, tasks_fd=HostFd(f"{path}/tasks", flags=O_WRONLY))
        for controllers, path in paths.items()
        if controllers
    ]


def plan_enter_cgroup(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the steps by which init moves itself into its cgroups."""
    return [] if is_optional(config, host) else enter_cgroups(request.cgroup_paths)


def plan_join_cgroup(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the steps that put the process, once it is there, into the cgroups that are left.

    None where the process is cloned into its cgroup, or enters it. With the systemd driver that is
    made here, around the process.
    """
    if request.scope is not None:
        return _plan_scope(config, host, request)
    ignore = (*_NO_PERMISSION, "ENOENT") if is_optional(config, host) else ()
    cloned_into = clone_into_cgroup_path(config, host, request)
    entered = [] if is_optional(config, host) else [key for key in request.cgroup_paths if key]
    return [
        steps.JoinCgroup(SOURCE, path=path, ignore=ignore)
        for controllers, path in request.cgroup_paths.items()
        if controllers not in entered and path != cloned_into
    ]


def plan_late_limits(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the limits that init itself could not live with; to be set when it forks no more."""
    resources = config.get("linux", {}).get("resources", {})
    limit = resources.get("pids", {}).get("limit", -1)
    if not request.cgroup_paths or not 0 <= limit < _INIT_PROCESSES:
        return []
    from ocipy.cgroup.limits import plan_pids

    plan = plan_pids(
        resources["pids"], Homes(host.cgroup, request.cgroup_paths), "/linux/resources"
    )
    if request.scope is not None:
        from ocipy.cgroup.systemd.properties import limit_properties

        pids = steps.SetUnitProperties(
            plan[0].source,
            unit=request.scope.unit,
            properties=limit_properties(plan),
            bus=request.scope.bus,
        )
        plan = [pids, *plan]
    return plan


def clone_into_cgroup_path(config: Config, host: HostFacts, request: CreateRequest) -> str:
    """Return the directory for CLONE_INTO_CGROUP, "" where there is none, or not yet.

    It may be missing, or refuse, only if is_optional(): then the clone is done without.
    """
    if request.cgroup_existed or request.scope is not None:
        return ""
    return request.cgroup_paths.get("", "")


def is_optional(config: Config, host: HostFacts) -> bool:
    """May the container run without a cgroup of its own, if we have no permission to make one?"""
    return not (host.privileged or config.get("linux", {}).get("cgroupsPath"))


def mountpoint_of(facts: CgroupFacts, controllers: str) -> str:
    """Return the mount point of the hierarchy that a key of `cgroup_paths` stands for."""
    if not controllers:
        assert facts.unified is not None
        return facts.unified.mountpoint
    hierarchy = facts.v1_hierarchy(controllers.partition(",")[0])
    assert hierarchy is not None
    return hierarchy.mountpoint


# Which v2 controllers a field needs. Where others cannot be enabled, it does not matter.
_CONTROLLERS = (
    ("memory", "memory"),
    ("pids", "pids"),
    ("blockIO", "io"),
    ("hugepageLimits", "hugetlb"),
    ("rdma", "rdma"),
)


def required_controllers(resources: Resources, homes: Homes) -> list[str]:
    """Return the controllers of v2 without which these limits cannot be set."""
    cpu = resources.get("cpu", {})
    required = {controller for field, controller in _CONTROLLERS if resources.get(field)}
    if any(cpu.get(field) for field in ("shares", "quota", "period", "burst", "idle")):
        required.add("cpu")
    if cpu.get("cpus") or cpu.get("mems"):
        required.add("cpuset")
    required.update(key.partition(".")[0] for key in resources.get("unified", {}))
    return sorted(name for name in required if (home := homes.find(name)) and home.version == 2)


def _plan_delegation(config: Config, host: HostFacts, paths: Mapping[str, str]) -> list[Step]:
    """Spec (config-linux.md#cgroup-ownership): only in v2, only with a new cgroup namespace, and
    "if and only if the cgroup filesystem is to be mounted read/write"."""
    linux = config.get("linux", {})
    namespaces = {ns["type"]: ns.get("path", "") for ns in linux.get("namespaces", [])}
    if host.cgroup.mode != "v2" or namespaces.get("cgroup") != "":
        return []
    writable = any(
        mount["destination"].rstrip("/") == "/sys/fs/cgroup"
        and mount.get("source") == "cgroup"
        and "ro" not in mount.get("options", [])
        for mount in config.get("mounts", [])
    )
    if not writable:
        return []
    uid = config.get("process", {}).get("user", {}).get("uid", 0)
    if "user" in namespaces:
        if namespaces["user"]:
            return []  # whom the id belongs to is not in the config
        host_uid = _host_id(uid, linux.get("uidMappings", []))
        if host_uid is None:
            return []  # it cannot run as that user, which another step will say
        uid = host_uid
    if uid == host.euid:
        return []
    return [
        steps.DelegateCgroup(
            "/process/user/uid", path=paths[""], uid=uid, files=host.cgroup.delegate_files
        )
    ]


def _host_id(container_id: int, mappings: list[IdMapping]) -> int | None:
    for mapping in mappings:
        offset = container_id - mapping["containerID"]
        if 0 <= offset < mapping["size"]:
            return mapping["hostID"] + offset
    return None
