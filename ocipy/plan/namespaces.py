"""Namespaces: which to make, which to join, and in what order.

Pure: nothing here reads a file, the clock, the environment or the kernel.

Theory of operation. Where no namespace is joined and no time namespace is made, one clone3(2) makes
them all and its child execs ocipy-init in them. Otherwise a first init is cloned without any; it
joins, makes the time namespace and sets its clocks, and forks itself with the flags of the new ones
(fork_init): a pid or time namespace is entered by children only, and what is made together with a
new user namespace belongs to it.

The cgroup namespace is made later than the others: its root is the cgroup in which the process that
makes it stands at that moment, so that init must have been moved into its cgroup before.
"""

from __future__ import annotations

from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan import _generated_steps as steps
from ocipy.plan.step import HostFd
from ocipy.sys.constants import (
    CLONE_FLAG,
    CLONE_NEWCGROUP,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.host.facts import HostFacts
    from ocipy.plan.step import Step

_CLOCKS = (("monotonic", "monotonic"), ("boottime", "boottime"))


class Namespaces:
    """The decisions: `new` and `joined` are CLONE_NEW* flags, `joins` the steps in join order."""

    __slots__ = ("joined", "joins", "new", "sources")

    def __init__(
        self, new: int, joined: int, joins: list[steps.JoinNamespace], sources: dict[int, str]
    ) -> None:
        self.new = new
        self.joined = joined
        self.joins = joins
        self.sources = sources

    def has(self, flag: int) -> bool:
        """Whether the container has its own namespace of this type, new or joined."""
        return bool((self.new | self.joined) & flag)

    @property
    def needs_fork(self) -> bool:
        """Whether one clone3(2) cannot do it: see the theory of operation."""
        return bool(self.joins) or bool(self.new & CLONE_NEWTIME)


def plan_namespaces(config: Config, host: HostFacts) -> Namespaces:
    """Return the namespaces to make and the ones to join, in join order."""
    new, joined, sources = 0, 0, {}
    joins: list[steps.JoinNamespace] = []
    for i, namespace in enumerate(config.get("linux", {}).get("namespaces", [])):
        kind, source = namespace["type"], f"/linux/namespaces/{i}"
        flag = CLONE_FLAG[kind]
        # Spec (config-linux.md#namespaces): duplicated types MUST generate an error.
        if (new | joined) & flag:
            raise ConfigError(source, f"a second {kind!r} namespace")
        if not flag & host.clone_flags:
            raise UnsupportedError(source, f"Linux {host.kernel} has no {kind} namespaces")
        sources[flag] = source
        if path := namespace.get("path"):
            joined |= flag
            fd = HostFd(path, "namespace")
            joins.append(steps.JoinNamespace(source, ns_fd=fd, clone_flag=flag))
        else:
            new |= flag
    # setns(2) wants CAP_SYS_ADMIN over the owner of the target. A privileged runtime would lose it
    # by joining a user namespace, so joins that last; a rootless one gains it there: first.
    joins.sort(key=lambda step: (step.clone_flag == CLONE_NEWUSER) == host.privileged)
    return Namespaces(new, joined, joins, sources)


def plan_enter(config: Config, namespaces: Namespaces) -> tuple[int, list[Step]]:
    """Return the flags of the first clone3(2), and what init does to enter the rest."""
    later = CLONE_NEWCGROUP | CLONE_NEWTIME
    if not namespaces.needs_fork:
        return namespaces.new & ~later, []
    # The cgroup is joined by the host while init waits: a cgroup namespace made later needs it.
    plan: list[Step] = [
        steps.AwaitHost("/linux/cgroupsPath", reason="put into the cgroup"),
        *namespaces.joins,
    ]
    if namespaces.new & CLONE_NEWTIME:
        source = namespaces.sources[CLONE_NEWTIME]
        plan.append(steps.Unshare(source, clone_flag=CLONE_NEWTIME))
        lines = time_offset_lines(config)
        if lines:
            plan.append(steps.SetTimeOffsets("/linux/timeOffsets", lines=lines))
    plan.append(steps.ForkInit("/linux/namespaces", clone_flags=namespaces.new & ~later))
    return 0, plan


def time_offset_lines(config: Config) -> str:
    """Return what time_namespaces(7) wants in timens_offsets: "CLOCK SECONDS NANOSECONDS" lines."""
    offsets = config.get("linux", {}).get("timeOffsets", {})
    lines = ""
    for name, clock in _CLOCKS:
        if name in offsets:
            offset = offsets[name]  # type: ignore[literal-required, unused-ignore]
            lines += f"{clock} {offset.get('secs', 0)} {offset.get('nanosecs', 0)}\n"
    return lines


def plan_cgroup_namespace(namespaces: Namespaces) -> list[Step]:
    """Return the step that makes the cgroup namespace, once init stands in its cgroup."""
    if not namespaces.new & CLONE_NEWCGROUP:
        return []
    source = namespaces.sources[CLONE_NEWCGROUP]
    return [steps.Unshare(source, clone_flag=CLONE_NEWCGROUP)]
