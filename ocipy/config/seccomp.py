"""Rules of `linux.seccomp`: config-linux.md#seccomp. See ocipy.config.rules for what a rule is."""

from __future__ import annotations

from ocipy.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocipy.config._generated_types import Linux
    from ocipy.config.found import Found

# What carries a value: the errno of the one, a message to the tracer of the other; and the largest
# there is room for (seccomp(2)). The kernel silently cuts an errno down to MAX_ERRNO.
_WITH_ERRNO = {"SCMP_ACT_ERRNO": 4095, "SCMP_ACT_TRACE": 65535}
_NOTIFY = "SCMP_ACT_NOTIFY"

# A system call has six arguments.
_LAST_ARGUMENT = 5


def errno_values(linux: Linux, at: str) -> Iterator[Found]:
    """Spec: when the action does not support an errno, the runtime MUST fail."""
    profile = linux.get("seccomp")
    if profile is None:
        return
    here = f"{at}/seccomp"
    if "defaultErrnoRet" in profile:
        pointer = f"{here}/defaultErrnoRet"
        yield from _errno_value(profile["defaultAction"], profile["defaultErrnoRet"], pointer)
    for i, entry in enumerate(profile.get("syscalls", ())):
        if "errnoRet" in entry:
            pointer = f"{here}/syscalls/{i}/errnoRet"
            yield from _errno_value(entry["action"], entry["errnoRet"], pointer)


def _errno_value(action: str, value: int, pointer: str) -> Iterator[Found]:
    if action not in _WITH_ERRNO:
        hint = "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do: leave it out"
        yield ConfigError(pointer, f"{action} takes no errno", hint=hint)
    elif value > _WITH_ERRNO[action]:
        problem = f"{value} is larger than {_WITH_ERRNO[action]}, the most that {action} can return"
        yield ConfigError(pointer, problem)


def system_calls(linux: Linux, at: str) -> Iterator[Found]:
    """Spec: names MUST contain at least one entry; an argument's index is one of six."""
    for i, entry in enumerate(linux.get("seccomp", {}).get("syscalls", ())):
        here = f"{at}/seccomp/syscalls/{i}"
        if "" in entry["names"]:
            pointer = f"{here}/names/{entry['names'].index('')}"
            yield ConfigError(pointer, "the name of a system call is empty")
        for j, argument in enumerate(entry.get("args", ())):
            if argument["index"] > _LAST_ARGUMENT:
                pointer = f"{here}/args/{j}/index"
                yield ConfigError(pointer, f"{argument['index']} is not in the range 0 to 5")


def listener(linux: Linux, at: str) -> Iterator[Found]:
    """Spec: listenerMetadata MUST NOT be set without listenerPath. As runc: NOTIFY needs it."""
    profile = linux.get("seccomp")
    if profile is None:
        return
    here = f"{at}/seccomp"
    path = profile.get("listenerPath")
    if profile.get("listenerMetadata") and not path:
        yield ConfigError(f"{here}/listenerMetadata", "listenerMetadata without listenerPath")
    if profile["defaultAction"] == _NOTIFY:
        # The runtime's own system calls would wait for an agent that has no descriptor yet.
        problem = f"{_NOTIFY} cannot be used as default action"
        yield ConfigError(f"{here}/defaultAction", problem)
    for i, entry in enumerate(profile.get("syscalls", ())):
        if entry["action"] != _NOTIFY:
            continue
        if "sendmsg" in entry["names"]:
            # ocipy-init hands the descriptor over with it, and would wait for who is to receive it.
            # In runc that is write(2).
            pointer = f"{here}/syscalls/{i}/names/{entry['names'].index('sendmsg')}"
            yield ConfigError(pointer, f"{_NOTIFY} cannot be used for the sendmsg syscall")
        if not path:
            pointer = f"{here}/syscalls/{i}/action"
            yield ConfigError(pointer, f"{_NOTIFY} needs /linux/seccomp/listenerPath")
            return


RULES = (errno_values, system_calls, listener)
