"""Rules of `process`, in a config and in `exec --process`: config.md#process.

See ocipy.config.rules for what a rule is.
"""

from __future__ import annotations

from ocipy.config.cpu_list import list_problem
from ocipy.errors import ConfigError, UnsupportedError
from ocipy.sys.constants import CAPABILITIES, RLIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocipy.config._generated_types import Process
    from ocipy.config.found import Found, Remark

CAPABILITY_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")

# -1 in the kernel's types: "leave it" to chown(2), "no such id" elsewhere.
_NO_ID = (1 << 32) - 1
_MAX_UMASK = 0o777
_MAX_GROUPS = 65536  # NGROUPS_MAX, setgroups(2)
_MAX_WINDOW = (1 << 16) - 1

# sched_setattr(2): SCHED_DEADLINE works in units of 1024 nanoseconds.
_MIN_DEADLINE_RUNTIME_NS = 1024


def cwd(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#process): cwd MUST be an absolute path."""
    if process["cwd"][:1] != "/":
        problem = f'cwd must be an absolute path, "{process["cwd"]}" is not'
        yield ConfigError(f"{at}/cwd", problem)


def args(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#process): at least one entry is REQUIRED in args (not on Windows)."""
    if not process.get("args"):
        hint = "commandLine is for Windows" if "commandLine" in process else ""
        pointer = f"{at}/args" if "args" in process else at
        yield ConfigError(pointer, "args must not be empty", hint=hint or "add the program to run")


def environment(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#process): env as environ has it; as runc: NAME=VALUE, or an error."""
    for i, entry in enumerate(process.get("env", ())):
        if entry.find("=") < 1:
            # Not all of it: whatever it is, it may be secret, and it may be long.
            problem = f'invalid environment variable "{entry[:40]}": '
            problem += "its name is empty" if "=" in entry else 'it has no "="'
            yield ConfigError(f"{at}/env/{i}", problem, hint="entries have the form NAME=VALUE")


def user(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#posix-platform-user): uid and gid are REQUIRED; without `user` both are 0."""
    given = process.get("user")
    if given is None:
        return
    for key in ("uid", "gid"):
        if key not in given:
            # Nobody who has forgotten it means root.
            problem = f'the required field "{key}" is missing'
            yield ConfigError(f"{at}/user", problem, hint='root is {"uid": 0, "gid": 0}')
        elif given[key] == _NO_ID:
            yield ConfigError(f"{at}/user/{key}", f"{_NO_ID} is no {key}: to the kernel it is -1")
    for i, gid in enumerate(given.get("additionalGids", ())):
        if gid == _NO_ID:
            pointer = f"{at}/user/additionalGids/{i}"
            yield ConfigError(pointer, f"{_NO_ID} is no gid: to the kernel it is -1")
    if len(given.get("additionalGids", ())) > _MAX_GROUPS:
        problem = f"{len(given['additionalGids'])} groups; Linux takes at most {_MAX_GROUPS}"
        yield ConfigError(f"{at}/user/additionalGids", problem)
    umask = given.get("umask", 0)
    if umask > _MAX_UMASK:
        hint = "umasks are written in decimal: 18 is 0022"
        yield ConfigError(f"{at}/user/umask", f"{umask} is 0{umask:o}, more than 0777", hint=hint)


def console_size(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#process): consoleSize MUST be ignored without a terminal."""
    if not process.get("terminal") or "consoleSize" not in process:
        return
    for key in ("height", "width"):
        number = process["consoleSize"][key]
        if number > _MAX_WINDOW:
            pointer = f"{at}/consoleSize/{key}"
            yield ConfigError(pointer, f"{number} is not in the range 0 to {_MAX_WINDOW}")


def rlimits(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#posix-process): unknown and duplicate types MUST generate an error."""
    seen: set[str] = set()
    for i, entry in enumerate(process.get("rlimits", ())):
        name, here = entry["type"], f"{at}/rlimits/{i}"
        if name not in RLIMITS:
            from ocipy.schema.suggest import did_you_mean

            hint = did_you_mean(name, RLIMITS)
            yield ConfigError(f"{here}/type", f'Linux has no limit "{name}"', hint=hint)
        elif name in seen:
            yield ConfigError(f"{here}/type", f"a second entry for {name}")
        seen.add(name)
        if entry["soft"] > entry["hard"]:
            # setrlimit(2) refuses it: EINVAL.
            problem = f"the soft limit {entry['soft']} is above the hard one, {entry['hard']}"
            yield ConfigError(f"{here}/soft", problem)


def capability_names(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#linux-process): what maps to no capability MUST be logged as a warning."""
    given = process.get("capabilities")
    if given is None:
        return
    seen: set[str] = set()
    for key in CAPABILITY_SETS:
        names: list[str] = given.get(key, [])  # type: ignore[assignment]
        for i, name in enumerate(names):
            if name not in CAPABILITIES and name not in seen:
                from ocipy.schema.suggest import did_you_mean

                seen.add(name)
                hint = did_you_mean(name, CAPABILITIES)
                problem = f'unknown capability "{name}" is ignored'
                yield (f"{at}/capabilities/{key}/{i}", f"{problem}; {hint}" if hint else problem)


def oom_score_adj(process: Process, at: str) -> Iterator[Found]:
    """proc(5): /proc/PID/oom_score_adj takes -1000 to 1000."""
    score = process.get("oomScoreAdj", 0)
    if not -1000 <= score <= 1000:
        yield ConfigError(f"{at}/oomScoreAdj", f"{score} is not in the range -1000 to 1000")


def scheduler(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#linux-process), sched_setattr(2): what goes with which policy."""
    given = process.get("scheduler")
    if given is None:
        return
    here, policy = f"{at}/scheduler", given["policy"]
    if policy == "SCHED_ISO":
        yield UnsupportedError(f"{here}/policy", "SCHED_ISO is reserved; no Linux has it")
    nice = given.get("nice", 0)
    if policy in ("SCHED_OTHER", "SCHED_BATCH") and not -20 <= nice <= 19:
        yield ConfigError(f"{here}/nice", f"{nice} is not in the range -20 to 19")
    priority = given.get("priority", 0)
    if policy in ("SCHED_FIFO", "SCHED_RR"):
        if not 1 <= priority <= 99:
            pointer = f"{here}/priority" if "priority" in given else here
            yield ConfigError(pointer, f"{policy} needs a priority from 1 to 99, not {priority}")
    elif priority:
        yield ConfigError(f"{here}/priority", f"{policy} has no priority, only FIFO and RR have")
    runtime, deadline = given.get("runtime", 0), given.get("deadline", 0)
    period = given.get("period", 0)
    if policy != "SCHED_DEADLINE":
        for key in ("runtime", "deadline", "period"):
            if given.get(key):
                problem = f"{policy} has no {key}, only SCHED_DEADLINE has"
                yield ConfigError(f"{here}/{key}", problem)
    elif not _MIN_DEADLINE_RUNTIME_NS <= runtime <= deadline <= (period or deadline):
        problem = "SCHED_DEADLINE needs 1024 <= runtime <= deadline <= period (in nanoseconds)"
        yield ConfigError(here, problem)


def io_priority(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#linux-process): priority is REQUIRED, 0 to 7."""
    given = process.get("ioPriority")
    if given is None:
        return
    priority = given.get("priority")
    if priority is None:
        yield ConfigError(f"{at}/ioPriority", 'the required field "priority" is missing')
    elif not 0 <= priority <= 7:
        yield ConfigError(f"{at}/ioPriority/priority", f"{priority} is not in the range 0 to 7")


def exec_cpu_affinity(process: Process, at: str) -> Iterator[Found]:
    """Spec (config.md#linux-process): comma-separated lists, with dashes to represent ranges."""
    given = process.get("execCPUAffinity", {})
    for key in ("initial", "final"):
        numbers: str = given.get(key, "")  # type: ignore[assignment]
        if problem := list_problem(numbers):
            yield ConfigError(f"{at}/execCPUAffinity/{key}", problem)


RULES = (
    cwd,
    args,
    environment,
    user,
    console_size,
    rlimits,
    capability_names,
    oom_score_adj,
    scheduler,
    io_priority,
    exec_cpu_affinity,
)


def accept_process(value: object, text: str) -> list[Remark]:
    """Return the warnings about the process of `exec --process`; `text` is what it was parsed from.

    Raises:
        ConfigError: it does not keep to the specification; pointers start at the process.
    """
    from ocipy.schema import _generated_validate as compiled
    from ocipy.schema.accept import judge

    rules = [lambda given, rule=rule: rule(given, "") for rule in RULES]
    return judge(value, text, compiled.process, "Process", rules)
