"""plan_exec(): one more process in a container that runs: joins instead of creations.

Pure. The order is that of create, without what the container has already: no mounts, no hooks. And
the container has processes already, which may be hostile: until it enters their pid namespace they
neither see this one nor can trace it. That is among its last steps; see _entered_after().
"""

from __future__ import annotations

from ocipy.cgroup.plan import enter_cgroups
from ocipy.plan import _generated_steps as steps
from ocipy.plan.capabilities import plan_capabilities
from ocipy.plan.identity import plan_identity, plan_seccomp_filter, plan_seccomp_listener
from ocipy.plan.process import (
    parse_cpus,
    plan_executable,
    plan_home,
    plan_label,
    plan_oom_score,
    plan_personality,
    plan_rlimits,
    plan_scheduling,
    process_env,
)
from ocipy.plan.seccomp import permits, plan_seccomp
from ocipy.plan.step import HostFd, Step
from ocipy.plan.terminal import plan_terminal
from ocipy.sys.constants import CLONE_FLAG, CLONE_NEWNS, CLONE_NEWUSER, NAMESPACE_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocipy.config._generated_types import Config, Process
    from ocipy.host.facts import HostFacts
    from ocipy.plan.seccomp import SeccompRequest

# What init does between a seccomp filter and the program, with the arguments; see fork_init,
# control_terminal. CLONE_PARENT | SIGCHLD, TIOCSCTTY.
_LAST_CALLS = (
    ("clone", (0x8000 | 17, 0, 0, 0, 0, 0)),
    ("sendmsg", ()),
    ("setsid", ()),
    ("ioctl", (0, 0x540E, 0)),
    ("exit_group", (0,)),
)


class ExecRequest:
    """The command line of `exec`, resolved.

    Attributes:
        container_id: of the container.
        pid: of its init, on the host; its namespaces are joined.
        cgroup_paths: hierarchies to the absolute directories that the process goes into.
        cgroup_made: the cgroup v2 directory is the one that was made for the container, and by us.
        attach: where only a user's systemd may move processes into the cgroup: the step that has it
            do so; else None.
        preserve_fds: how many descriptors from 3 on it inherits.
        join_keyring: whether the container has a session keyring of its own.
    """

    __slots__ = (
        "attach",
        "cgroup_made",
        "cgroup_paths",
        "container_id",
        "join_keyring",
        "pid",
        "preserve_fds",
    )

    def __init__(
        self,
        container_id: str,
        *,
        pid: int,
        cgroup_paths: Mapping[str, str],
        cgroup_made: bool = True,
        preserve_fds: int = 0,
        join_keyring: bool = True,
        attach: Step | None = None,
    ) -> None:
        self.container_id = container_id
        self.pid = pid
        self.cgroup_paths = cgroup_paths
        self.cgroup_made = cgroup_made
        self.preserve_fds = preserve_fds
        self.join_keyring = join_keyring
        self.attach = attach


class ExecPlan:
    """What was decided; see Plan in create.py."""

    __slots__ = ("cgroup_path", "seccomp", "steps", "warnings")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.cgroup_path = ""
        self.seccomp: SeccompRequest | None = None
        self.warnings: list[tuple[str, str]] = []


def plan_joins(config: Config, host: HostFacts, pid: int) -> list[steps.JoinNamespace]:
    """Return the joins of every namespace of the container, in an order that works."""
    joins = []
    for i, namespace in enumerate(config.get("linux", {}).get("namespaces", [])):
        kind = namespace["type"]
        fd = HostFd(f"/proc/{pid}/ns/{NAMESPACE_FILE[kind]}", "namespace")
        joins.append(
            steps.JoinNamespace(f"/linux/namespaces/{i}", ns_fd=fd, clone_flag=CLONE_FLAG[kind])
        )
    # As in namespaces.py: the user namespace last with privileges, first without. The mount
    # namespace comes after the others, whose files may be hidden in it.
    joins.sort(
        key=lambda step: (
            (step.clone_flag == CLONE_NEWUSER) == host.privileged,
            step.clone_flag == CLONE_NEWNS,
        )
    )
    return joins


def plan_exec(config: Config, process: Process, host: HostFacts, request: ExecRequest) -> ExecPlan:
    """Return the plan that runs `process` in the container of `config`.

    Raises:
        ConfigError: a rule that only shows while planning; pointers start at the process.
    """
    plan = ExecPlan()
    add = plan.steps.extend
    joins = plan_joins(config, host, request.pid)
    own_user_namespace = any(step.clone_flag == CLONE_NEWUSER for step in joins)
    masks = plan_capabilities(process, host, own_user_namespace=own_user_namespace)
    if masks.unavailable:
        names = ", ".join(masks.unavailable)
        plan.warnings.append(("/capabilities", f"this host cannot give {names}: left out"))
    affinity = process.get("execCPUAffinity", {})

    # Outside: a process that is put into the cgroup before it enters anything.
    # Only where nobody has written to cgroup.kill yet: see ocipy/cgroup/plan.py.
    unified = request.cgroup_paths.get("", "")
    plan.cgroup_path = unified if request.cgroup_made and not request.attach else ""
    plan.steps.append(steps.SpawnInit("", clone_flags=0))
    add(_affinity(affinity.get("initial"), "initial"))
    joining: list[Step] = _join_intel_rdt(config, request.container_id)
    if request.attach:
        joining.append(request.attach)
    elif unified and not plan.cgroup_path:
        joining.append(steps.JoinCgroup("", path=unified, ignore=()))
    add(enter_cgroups(request.cgroup_paths))
    if joining:
        plan.steps.append(steps.AwaitHost("", reason="put into the cgroup"))
        add(joining)
    # Spec (config.md#linux-process): `final` once the process is in the container's cgroup.
    add(_affinity(affinity.get("final"), "final"))

    # In: all namespaces but those of pids and time, which only children enter.
    label = plan_label(process, host, "")
    if any(label):
        plan.steps.append(steps.OpenProc(""))
    add(joins)
    if own_user_namespace:
        plan.steps.append(steps.BecomeRoot(""))
    if any(step.clone_flag == CLONE_NEWNS for step in joins):
        plan.steps.append(steps.OpenRoot("", path="/"))
    else:
        # Without a mount namespace of its own the container has a changed root.
        plan.steps += [steps.OpenRoot("", path=f"/proc/{request.pid}/root"), steps.ChangeRoot("")]
    if request.join_keyring:
        plan.steps.append(steps.JoinSessionKeyring("", keyring=f"_ses.{request.container_id}"))
    add(plan_terminal(process, "", console=False) if process.get("terminal") else [])
    if not process.get("terminal"):
        plan.steps.append(steps.ReopenNull(""))

    # The process.
    seccomp = plan_seccomp(config, host)
    plan.seccomp = seccomp
    entering = _enter_pid_namespace(process, label)
    after = _entered_after(process, seccomp, labelled=any(label))
    add(entering if after == "nothing" else [])
    add(plan_personality(config))
    add(_memory_policy(config))
    add(plan_scheduling(process, ""))
    env = process_env(process)
    inside, outside = plan_rlimits(process, host, "", own_user_namespace=own_user_namespace)
    add(inside)
    add(plan_identity(process, host, masks, seccomp, ""))
    add(plan_home(process, env, ""))
    plan.steps.append(plan_executable(process, env, ""))
    listener = plan_seccomp_listener(process, masks, seccomp, "")
    add(entering if after == "privileges" and listener else [])
    add(listener)
    plan.steps.append(steps.AwaitHost("", reason="limits and terminal"))
    add([*outside, *plan_oom_score(process, "")])
    if process.get("terminal"):
        plan.steps.append(steps.SendTerminal("/terminal"))
    plan.steps.append(steps.KeepDescriptors("", count=request.preserve_fds, place="start"))
    add(entering if after == "privileges" and not listener else [])
    add(plan_seccomp_filter(process, masks, seccomp, ""))
    add(entering if after == "filter" else [])
    plan.steps.append(steps.Exec("/args", argv=process["args"], env=env, place="start"))
    return plan


def _enter_pid_namespace(process: Process, label: tuple[list[Step], list[Step]]) -> list[Step]:
    """Return the fork into the namespaces of pids and time, and what is not inherited across it."""
    session = (
        steps.ControlTerminal("/terminal") if process.get("terminal") else steps.NewSession("")
    )
    opening, writing = label
    return [steps.ForkInit("", clone_flags=0), session, *opening, *writing]


def _entered_after(process: Process, seccomp: SeccompRequest | None, *, labelled: bool) -> str:
    """Return after what the process enters the pid namespace: "nothing", "privileges" or "filter".

    There it is at the mercy of a container with CAP_SYS_PTRACE (CVE-2016-9962): so as late as
    possible, best as nothing but the program to be. A scheduling policy may not be inherited, or
    forbid to fork; and after the filter it must permit what is left to do.
    """
    scheduler = process.get("scheduler", {})
    flags = scheduler.get("flags", [])
    if scheduler.get("policy") == "SCHED_DEADLINE" or "SCHED_FLAG_RESET_ON_FORK" in flags:
        return "nothing"
    if seccomp is not None and not labelled and permits(seccomp, _LAST_CALLS):
        return "filter"
    return "privileges"


def _join_intel_rdt(config: Config, container_id: str) -> list[Step]:
    if "intelRdt" not in config.get("linux", {}):
        return []
    from ocipy.plan.intel_rdt import plan_join_intel_rdt

    return plan_join_intel_rdt(config, container_id)


def _memory_policy(config: Config) -> list[Step]:
    if not config.get("linux", {}).get("memoryPolicy"):
        return []
    from ocipy.plan.memory_policy import plan_memory_policy

    return plan_memory_policy(config)


def _affinity(cpus: str | None, moment: str) -> Sequence[Step]:
    if not cpus:
        return []
    pointer = f"/execCPUAffinity/{moment}"
    return [steps.SetCpuAffinity(pointer, mask=parse_cpus(cpus, pointer), cpus=cpus)]
