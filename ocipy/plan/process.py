"""The container process: who it is, where it runs, what it executes. For create and exec alike."""

from __future__ import annotations

from _struct import pack  # type: ignore[import-not-found, unused-ignore]

from ocipy.config.cpu_list import bit_mask, parse_list
from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan import _generated_steps as steps
from ocipy.sys.constants import CAP_SYS_RESOURCE, RLIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocipy.config._generated_types import Config, Process
    from ocipy.host.facts import HostFacts
    from ocipy.plan.step import Step

# include/uapi/linux/sched.h
_POLICY = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
_SCHED_FLAG = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
# include/uapi/linux/ioprio.h: the class stands above 13 bits of data.
_IO_CLASS = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
# include/uapi/linux/personality.h
_PERSONA = {"LINUX": 0x0000, "LINUX32": 0x0008}
# What execvp(3) searches where PATH is not set.
_DEFAULT_PATH = "/bin:/usr/bin"


def plan_personality(config: Config) -> list[Step]:
    """Return the step for linux.personality; the kernel has no flags to go with it."""
    personality = config.get("linux", {}).get("personality")
    if not personality:
        return []
    if personality.get("flags"):
        raise UnsupportedError("/linux/personality/flags", "no personality flag is supported yet")
    persona = _PERSONA[personality["domain"]]
    return [steps.SetPersonality("/linux/personality", persona=persona)]


def plan_scheduling(process: Process, base: str) -> list[Step]:
    """Return the steps for `scheduler` and `ioPriority` of the process at the pointer `base`."""
    plan: list[Step] = []
    if scheduler := process.get("scheduler"):
        flags = 0
        for name in scheduler.get("flags", []):
            flags |= _SCHED_FLAG[name]
        plan.append(
            steps.SetScheduler(
                f"{base}/scheduler",
                policy=_POLICY[scheduler["policy"]],
                sched_flags=flags,
                nice=scheduler.get("nice", 0),
                priority=scheduler.get("priority", 0),
                runtime_ns=scheduler.get("runtime", 0),
                deadline_ns=scheduler.get("deadline", 0),
                period_ns=scheduler.get("period", 0),
            )
        )
    if io_priority := process.get("ioPriority"):
        value = _IO_CLASS[io_priority["class"]] << 13 | io_priority.get("priority", 0)
        plan.append(steps.SetIoPriority(f"{base}/ioPriority", priority=value))
    return plan


def plan_rlimits(
    process: Process, host: HostFacts, base: str, *, own_user_namespace: bool
) -> tuple[list[Step], list[Step]]:
    """Return the steps of init, before it gives up its privileges, and those of the host.

    Raising a hard limit takes CAP_SYS_RESOURCE outside of every user namespace: from in there init
    could not, and the host does it, once init needs no more descriptors or memory itself.
    """
    outside = own_user_namespace and bool(host.capabilities >> CAP_SYS_RESOURCE & 1)
    step_class = steps.SetRlimitFromOutside if outside else steps.SetRlimit
    plan: list[Step] = []
    for i, limit in enumerate(process.get("rlimits", [])):
        resource = RLIMITS.get(limit["type"])
        if resource is None:
            # Spec (config.md#posix-process): MUST generate an error for a value it cannot map.
            raise ConfigError(f"{base}/rlimits/{i}/type", f"no such limit: {limit['type']!r}")
        plan.append(
            step_class(
                f"{base}/rlimits/{i}",
                kind=limit["type"],
                resource=resource,
                soft=limit["soft"],
                hard=limit["hard"],
            )
        )
    return ([], plan) if outside else (plan, [])


def plan_oom_score(process: Process, base: str) -> list[Step]:
    """Return the host's step for oomScoreAdj: a lower one takes its privileges."""
    # Spec (config.md#linux-process): if it is not set, the runtime MUST NOT change it.
    score = process.get("oomScoreAdj")
    return [] if score is None else [steps.SetOomScoreAdj(f"{base}/oomScoreAdj", score=score)]


def plan_user(process: Process, base: str, *, may_set_groups: bool) -> list[Step]:
    """Return the steps that make init the user; capabilities outlive the change."""
    user = process.get("user", {})
    plan: list[Step] = []
    # Without one: not whatever our caller has, but runc's.
    plan.append(steps.SetUmask(f"{base}/user/umask", umask=user.get("umask", 0o022)))
    groups = user.get("additionalGids", [])
    plan.append(
        steps.SetUser(
            f"{base}/user",
            uid=user.get("uid", 0),
            gid=user.get("gid", 0),
            groups=b"".join(pack("<I", gid) for gid in groups),
            set_groups=may_set_groups,
        )
    )
    return plan


def plan_cwd(process: Process, base: str) -> tuple[Step, list[Step]]:
    """Return the step before and the ones after init has become the user.

    Root may have to make the directory; the user may be allowed where root is not, on a network
    file system.
    """
    cwd = process.get("cwd", "/")
    before = steps.ChangeDirectory(f"{base}/cwd", path=cwd, create=True, defer=True)
    after: list[Step] = []
    if process.get("user", {}).get("uid", 0) != 0:
        after.append(steps.ChangeDirectory(f"{base}/cwd", path=cwd, create=False, defer=False))
    return before, after


def process_env(process: Process, extra: Sequence[str] = ()) -> list[str]:
    """Return the environment of the process, as runc makes it: of several values the last counts.

    A HOME that is missing or empty is left open ("HOME="): init looks it up in the container's
    /etc/passwd.
    """
    values: dict[str, str] = {}
    for entry in (*process.get("env", []), *extra):
        name = entry.partition("=")[0]
        values.pop(name, None)
        values[name] = entry
    if values.get("HOME", "HOME=") == "HOME=":
        values["HOME"] = "HOME="
    return list(values.values())


def plan_home(process: Process, env: Sequence[str], base: str) -> list[Step]:
    """Return the step that looks HOME up, where process_env() has left it open."""
    if "HOME=" not in env:
        return []
    return [steps.FindHome(f"{base}/env", uid=process.get("user", {}).get("uid", 0))]


def plan_executable(process: Process, env: Sequence[str], base: str) -> Step:
    """Return the step that finds the program. Spec (config.md#posix-process): as execvp(3) does."""
    name = process["args"][0]
    if "/" in name:
        candidates = [name]
    else:
        path = next((e[5:] for e in env if e.startswith("PATH=")), _DEFAULT_PATH)
        candidates = [f"{part or '.'}/{name}" for part in path.split(":")] if name else []
    return steps.FindExecutable(f"{base}/args/0", name=name, candidates=candidates)


def plan_label(process: Process, host: HostFacts, base: str) -> tuple[list[Step], list[Step]]:
    """Return the steps that open the label file early, and those that write it before the exec."""
    opening: list[Step] = []
    writing: list[Step] = []
    for field, lsm, attribute, prefix in (
        ("apparmorProfile", "apparmor", "attr/apparmor/exec", "exec "),
        ("selinuxLabel", "selinux", "attr/exec", ""),
    ):
        label = process.get(field)
        if not label:
            continue
        source = f"{base}/{field}"
        if lsm not in host.lsms:
            raise UnsupportedError(
                source,
                f"{lsm} is not active on this host, so {label!r} cannot be applied",
                hint=f"remove {field}, or boot with lsm=...,{lsm}",
            )
        opening.append(steps.OpenExecLabel(source, attribute=attribute))
        writing.append(steps.WriteExecLabel(source, label=f"{prefix}{label}", place="start"))
    return opening, writing


def parse_cpus(text: str, pointer: str) -> bytes:
    """Return the CPU mask, as sched_setaffinity(2) wants it, of a list such as "0-3,7".

    Raises:
        ConfigError: not a list of CPUs, or a number from 65536 on.
    """
    try:
        cpus = parse_list(text)
    except ValueError as error:
        problem = f"not a list of CPUs: {error}"
        raise ConfigError(pointer, problem, hint='such as "0-3,7"') from None
    if not cpus:
        raise ConfigError(pointer, "an empty list of CPUs")
    if cpus[-1] >= 65536:
        raise ConfigError(pointer, f"not a CPU: {cpus[-1]}")
    return bit_mask(cpus)
