"""plan_create(): everything that makes a container, in the order in which it happens.

Pure: config, host facts and the request in, steps out. Read it from top to bottom; each planner it
calls is one file of this directory.
"""

from __future__ import annotations

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
from ocipy.plan.capabilities import plan_capabilities
from ocipy.plan.devices import plan_devices
from ocipy.plan.hooks import plan_container_hooks, plan_host_hooks
from ocipy.plan.identity import plan_identity, plan_seccomp_filter, plan_seccomp_listener
from ocipy.plan.idmap import plan_id_maps
from ocipy.plan.masks import plan_masks
from ocipy.plan.mounts import (
    notify_directory,
    plan_inherited_mounts,
    plan_late_mounts,
    plan_mounts,
)
from ocipy.plan.namespaces import plan_cgroup_namespace, plan_enter, plan_namespaces
from ocipy.plan.process import (
    plan_executable,
    plan_home,
    plan_label,
    plan_oom_score,
    plan_personality,
    plan_rlimits,
    plan_scheduling,
    process_env,
)
from ocipy.plan.rootfs import plan_pivot, plan_root_read_only, plan_rootfs
from ocipy.plan.seccomp import plan_seccomp
from ocipy.plan.step import HostFd, Step
from ocipy.plan.sysctls import plan_names, plan_sysctls
from ocipy.plan.terminal import plan_terminal
from ocipy.sys.constants import CAP_SYS_ADMIN, CLONE_NEWNET, CLONE_NEWUSER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config, Process
    from ocipy.host.facts import HostFacts
    from ocipy.plan.capabilities import CapabilityMasks
    from ocipy.plan.request import CreateRequest
    from ocipy.plan.seccomp import SeccompRequest

# docs/decisions/0009: mount_setattr(2).
KERNEL_MIN = (5, 12)

# A create without process makes everything but that; `start` refuses it. Spec (runtime.md#start).
_NO_PROCESS: Process = {"cwd": "/", "args": [], "user": {"uid": 0, "gid": 0}}


class Plan:
    """What was decided.

    Attributes:
        steps: in the order of execution.
        cgroup_path: the cgroup v2 directory that init is born in (CLONE_INTO_CGROUP), or "".
        warnings: (pointer, text) of what is done differently from what was asked.
        seccomp: what the filter of the LoadSeccomp step is compiled from.
        first_start_step: index of the first step after `start`.
    """

    __slots__ = ("cgroup_path", "first_start_step", "seccomp", "steps", "warnings")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.cgroup_path = ""
        self.seccomp: SeccompRequest | None = None
        self.first_start_step = 0
        self.warnings: list[tuple[str, str]] = []


def plan_create(config: Config, host: HostFacts, request: CreateRequest) -> Plan:
    """Return the plan that makes a container.

    Raises:
        ConfigError: a rule that only shows while planning; UnsupportedError: the host cannot do it.
    """
    _require_kernel(host)
    if not host.capabilities >> CAP_SYS_ADMIN & 1:
        from ocipy.plan.user_namespace import require_user_namespace

        require_user_namespace(config)
    plan = Plan()
    namespaces = plan_namespaces(config, host)
    process = config.get("process", _NO_PROCESS)
    masks = plan_capabilities(process, host, own_user_namespace=namespaces.has(CLONE_NEWUSER))
    if masks.unavailable:
        names = ", ".join(masks.unavailable)
        plan.warnings.append(("/process/capabilities", f"this host cannot give {names}: left out"))
    add = plan.steps.extend

    # Outside: the cgroup, then a process in new namespaces, then what only the host may do to it.
    add(plan_create_cgroup(config, host, request))
    plan.cgroup_path = clone_into_cgroup_path(config, host, request)
    clone_flags, entering = plan_enter(config, namespaces)
    plan.steps.append(steps.SpawnInit("/linux/namespaces", clone_flags=clone_flags))
    add(plan_enter_cgroup(config, host, request))
    joining = plan_join_cgroup(config, host, request)
    if entering:
        add([entering[0], *joining] if joining else [])
        add(entering[1:])
    settling = [*([] if entering else joining), *plan_id_maps(config, host, namespaces)]
    settling += _intel_rdt(config, request.container_id)
    settling += _network_devices(config)
    # Who has no cgroup is found by the pid in the record: nothing that may take its time, such as a
    # hook, before that is written, or else nobody would know of an init whose ocipy was killed.
    in_cgroup = request.cgroup_paths and not is_optional(config, host)
    if settling or not in_cgroup:
        reason = "cgroup, id maps and network devices" if settling else "its pid in the record"
        plan.steps.append(steps.AwaitHost("", reason=reason))
        add(settling)

    # Inside: the namespaces' own settings.
    mounts = plan_mounts(config, host, request)
    if namespaces.has(CLONE_NEWUSER):
        add(plan_inherited_mounts(mounts, config))
        plan.steps.append(steps.BecomeRoot("/linux/uidMappings"))
    add(plan_cgroup_namespace(namespaces))
    if not request.no_new_keyring:
        plan.steps.append(steps.JoinSessionKeyring("", keyring=f"_ses.{request.container_id}"))
    if not process.get("terminal"):
        plan.steps.append(steps.NewSession(""))
    plan.steps.append(steps.OpenProc(""))
    if namespaces.new & CLONE_NEWNET:
        plan.steps.append(steps.BringUpLoopback(namespaces.sources[CLONE_NEWNET]))

    # The file system, up to the moment where it becomes the root.
    add(plan_rootfs(config, host, request))
    add(mounts)
    add(plan_devices(config, host, request))
    host_hooks = plan_host_hooks(config)
    if host_hooks:
        plan.steps.append(steps.AwaitHost("/hooks", reason="hooks"))
        add(host_hooks)
    add(plan_container_hooks(config, request, "createContainer", "creating"))
    add(plan_names(config))
    add(plan_sysctls(config))
    if process.get("terminal"):
        add(plan_terminal(process, "/process", console=True))
        plan.steps.append(steps.ControlTerminal("/process/terminal"))
    add(plan_label(process, host, "/process")[0])
    add(plan_pivot(config, host, request))
    if not process.get("terminal"):
        plan.steps.append(steps.ReopenNull(""))
    add(plan_late_mounts(config, host, request))
    add(plan_masks(config))
    add(plan_root_read_only(config))

    # The process, up to the moment of `created`.
    add(plan_personality(config))
    add(_memory_policy(config))
    add(plan_scheduling(process, "/process"))
    env = process_env(process, _caller_env(config, request))
    plan.seccomp = seccomp = plan_seccomp(config, host)
    inside, outside = plan_rlimits(
        process, host, "/process", own_user_namespace=namespaces.has(CLONE_NEWUSER)
    )
    add(inside)
    add(plan_identity(process, host, masks, seccomp, "/process"))
    if process["args"]:
        add(plan_home(process, env, "/process"))
        plan.steps.append(plan_executable(process, env, "/process"))
    add(plan_seccomp_listener(process, masks, seccomp, "/process"))
    plan.steps.append(steps.AwaitHost("", reason="limits, terminal, and the record"))
    add([*outside, *plan_oom_score(process, "/process")])
    add(plan_late_limits(config, host, request))
    if process.get("terminal"):
        plan.steps.append(steps.SendTerminal("/process/terminal"))
    plan.steps.append(steps.RecordCreated(""))

    if request.start_fifo:
        fifo, report = HostFd(request.start_fifo, "fifo"), HostFd(request.report_fifo, "fifo")
        plan.steps.append(steps.AwaitStart("", fifo=fifo, report=report))
    plan.first_start_step = len(plan.steps)
    add(plan_start(config, host, request, masks, seccomp))
    return plan


def _require_kernel(host: HostFacts) -> None:
    """Raise UnsupportedError on a kernel without mount_setattr(2), on which every mount depends."""
    numbers = host.kernel.split("-")[0].split(".")
    version = tuple(int(number) for number in numbers[:2] if number.isdigit())
    if version < KERNEL_MIN:
        least = ".".join(map(str, KERNEL_MIN))
        raise UnsupportedError("", f"Linux {host.kernel} is too old: ocipy needs {least} or later")


def plan_start(
    config: Config,
    host: HostFacts,
    request: CreateRequest,
    masks: CapabilityMasks,
    seccomp: SeccompRequest | None,
) -> list[Step]:
    """Return what init does after `start`; nothing without a process, and `start` refuses."""
    process = config.get("process", _NO_PROCESS)
    if not process["args"]:
        return []
    _, writing_label = plan_label(process, host, "/process")
    return [
        *plan_container_hooks(config, request, "startContainer", "created"),
        *writing_label,
        steps.KeepDescriptors("", count=request.preserve_fds + request.listen_fds, place="start"),
        *plan_seccomp_filter(process, masks, seccomp, "/process"),
        steps.Exec(
            "/process/args",
            argv=process["args"],
            env=process_env(process, _caller_env(config, request)),
            place="start",
        ),
    ]


def _caller_env(config: Config, request: CreateRequest) -> list[str]:
    """Return what of the caller's environment is for the container process, as it has it there."""
    env = []
    if request.listen_fds:
        # sd_listen_fds(3): the container process is pid 1 of its pid namespace.
        env = [f"LISTEN_FDS={request.listen_fds}", "LISTEN_PID=1"]
        if request.listen_fd_names:
            env.append(f"LISTEN_FDNAMES={request.listen_fd_names}")
    if request.notify_directory:
        env.append(f"NOTIFY_SOCKET={notify_directory(config, request)}/notify.sock")
    return env


def _intel_rdt(config: Config, container_id: str) -> list[Step]:
    if "intelRdt" not in config.get("linux", {}):
        return []
    from ocipy.plan.intel_rdt import plan_intel_rdt

    return plan_intel_rdt(config, container_id)


def _network_devices(config: Config) -> list[Step]:
    if not config.get("linux", {}).get("netDevices"):
        return []
    from ocipy.plan.network_devices import plan_network_devices

    return plan_network_devices(config)


def _memory_policy(config: Config) -> list[Step]:
    if not config.get("linux", {}).get("memoryPolicy"):
        return []
    from ocipy.plan.memory_policy import plan_memory_policy

    return plan_memory_policy(config)
