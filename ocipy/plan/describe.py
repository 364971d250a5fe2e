"""A plan in words: for `ocipy plan`, golden plans, and "cannot ..." in error messages."""

from __future__ import annotations

from ocipy.plan.step import HostFd
from ocipy.sys.constants import (
    CAPABILITIES,
    CLONE_FLAG,
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    MS_SLAVE,
    MS_UNBINDABLE,
    RLIM_INFINITY,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ocipy.plan.step import Step

_PROPAGATION = (
    (MS_SHARED, "shared"),
    (MS_SLAVE, "slave"),
    (MS_PRIVATE, "private"),
    (MS_UNBINDABLE, "unbindable"),
)
# include/uapi/linux/mount.h, MOUNT_ATTR_*
_ATTRIBUTES = (
    (0x1, "ro"),
    (0x2, "nosuid"),
    (0x4, "nodev"),
    (0x8, "noexec"),
    (0x10, "noatime"),
    (0x20, "strictatime"),
    (0x80, "nodiratime"),
    (0x200000, "nosymfollow"),
)


def _namespaces(flags: int) -> str:
    return ", ".join(kind for kind, flag in CLONE_FLAG.items() if flags & flag) or "none"


def _propagation(flags: int) -> str:
    word = " ".join(name for flag, name in _PROPAGATION if flags & flag)
    return f"r{word}" if word and flags & MS_REC else word


def _capabilities(mask: int) -> str:
    names = [name for number, name in enumerate(CAPABILITIES) if mask >> number & 1]
    if len(names) == len(CAPABILITIES):
        return "all"
    return " ".join(names) or "none"


def _file_type(mode: int) -> str:
    kind = {0o020000: "c", 0o060000: "b", 0o010000: "p"}.get(mode & 0o170000, "?")
    return f"{kind} {mode & 0o7777:#o}"


_FORMATS: dict[str, Callable[[Any], str]] = {
    "namespaces": _namespaces,
    "propagation": _propagation,
    "attributes": lambda mask: " ".join(name for bit, name in _ATTRIBUTES if mask & bit),
    "capabilities": _capabilities,
    "device": _file_type,
    "rlim": lambda value: "unlimited" if value == RLIM_INFINITY else str(value),
    "octal": lambda value: f"{value:#o}",
    "hex": lambda value: f"{value:#x}",
    "last_fd": lambda count: str(2 + count),
    "origin": lambda text: f" (from {text})" if text else "",
    "comma": ", ".join,
    "command": " ".join,
}


class _Argument:
    """An argument that knows the format words of operations.toml."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __format__(self, word: str) -> str:
        if word:
            return _FORMATS[word](self.value)
        return str(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


def describe_step(step: Step) -> str:
    """Return what a step does, as a verb phrase: "mount tmpfs on '/dev'"."""
    values = {name: _Argument(getattr(step, name)) for name, _ in step.kinds}
    return step.template.format(**values)


# Of arguments that no description has: the format word for each name.
_WORDS = {
    "attr_set": "attributes",
    "recursive_set": "attributes",
    "recursive_clear": "attributes",
    "propagation": "propagation",
}
# Lists on one line: an environment or a filter would fill the screen. JSON has all of it.
_SHOWN = 8


def describe_calls(step: Step) -> str:
    """Return the system calls of a step with their arguments: "sethostname(name='demo')".

    Where a step makes several, they share the arguments: `fsopen, fsmount, move_mount(...)`.
    """
    from string import Formatter

    words = {name: word for _, name, word, _ in Formatter().parse(step.template) if name}
    shown = []
    for name, _ in step.kinds:
        value = getattr(step, name)
        if value is None or value == "" or value == () or value == []:
            continue
        word = words.get(name) or _WORDS.get(name)
        if value is False or (value == 0 and name in _WORDS):
            continue
        if word and word not in ("comma", "command", "origin"):
            text = f"{_Argument(value):{word}}" or "0"
        elif isinstance(value, list | tuple):
            text = ", ".join(map(repr, value[:_SHOWN]))
            text = f"[{text}{f', and {len(value) - _SHOWN} more' if len(value) > _SHOWN else ''}]"
        elif isinstance(value, bytes):
            text = f"{len(value)} bytes"
        else:
            text = repr(value)
        shown.append(f"{name}={text}")
    return f"{', '.join(step.calls)}({', '.join(shown)})"


def _plain(value: object) -> object:
    if isinstance(value, HostFd):
        return repr(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, tuple):
        return list(value)
    return value


def plan_to_json(plan: Sequence[Step]) -> list[dict[str, object]]:
    """Return one object for each step: where, what, why, with which arguments and calls."""
    return [
        {
            "step": index,
            "place": step.place,
            "operation": step.operation,
            "description": describe_step(step),
            "source": step.source,
            "arguments": {name: _plain(getattr(step, name)) for name, _ in step.kinds},
            "calls": list(step.calls),
            "spec": step.spec,
        }
        for index, step in enumerate(plan)
    ]


def plan_to_text(plan: Sequence[Step], *, with_calls: bool = False) -> str:
    """Return a line for each step: number, place, description, the field that asked for it.

    With `with_calls`, a second line has the system calls that carry it out, and what they are
    given.
    """
    lines = []
    for index, step in enumerate(plan):
        lines.append(f"{index:4} {_line(step)}")
        if with_calls:
            lines.append(f"{'':10} {describe_calls(step)}")
    return "\n".join(lines) + "\n"


def plan_difference(ours: Sequence[Step], theirs: Sequence[Step]) -> list[str]:
    """Return the steps that only one of two plans has, as diff(1) -u shows lines; [] if none."""
    import difflib

    pairs = ([_line(step) for step in ours], [_line(step) for step in theirs])
    return list(difflib.unified_diff(*pairs, lineterm="", n=1))[2:]


def _line(step: Step) -> str:
    source = f"  [{step.source}]" if step.source else ""
    return f"{step.place:5} {describe_step(step)}{source}"
