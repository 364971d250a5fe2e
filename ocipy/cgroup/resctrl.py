"""resctrl, the file system by which the kernel shares out caches and memory bandwidth.

Its groups are directories, much like cgroups: mkdir(2) makes one, `schemata` says what it gets, and
a pid written to `tasks` puts a process, and what it forks, into it. rmdir(2) removes a group that
has processes, with its monitoring groups; the processes fall back to the group above.

Spec (config-linux.md#intelrdt). Kernel: Documentation/filesystems/resctrl.rst.
"""

from __future__ import annotations

import errno
import os

from ocipy.cgroup.files import read_file
from ocipy.errors import StepError, UnsupportedError
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    from ocipy.cgroup.apply import Undo
    from ocipy.plan.step import Step

    class ResctrlRecord(TypedDict):
        """The groups that `delete` removes, absolute paths; in the order of removal."""

        made: list[str]


# resctrl counts a percentage, or with mba_MBps megabytes, in decimal; all else are masks.
_DECIMAL = ("MB", "SMBA")


def mount_point() -> str:
    """Return where resctrl is mounted, "" if it is not.

    Spec: where no mounted resctrl is available in the runtime mount namespace, the runtime MUST
    generate an error.
    """
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mountinfo:
        for line in mountinfo:
            before, _, after = line.partition(" - ")
            if after.startswith("resctrl "):
                return _unescape(before.split(" ")[4])
    return ""


def _unescape(path: str) -> str:
    """proc(5): space, tab, newline and backslash are written as octal numbers."""
    for code, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        path = path.replace(f"\\{code}", character)
    return path


def make_record(plan: Sequence[Step]) -> ResctrlRecord | None:
    """Return what is to be removed with the container; to be saved before anything is made.

    None if the plan has no step for resctrl.

    Raises:
        UnsupportedError: there is no resctrl.
    """
    if not any(isinstance(step, steps.JoinResctrlGroup) for step in plan):
        return None
    root = mount_point()
    if not root:
        raise UnsupportedError(
            "/linux/intelRdt",
            "resctrl is not mounted on this host",
            hint="on a processor that has it: mount -t resctrl resctrl /sys/fs/resctrl",
        )
    made = []
    # Spec: a sub-directory that the runtime has made is removed if closID is not set, and a
    # monitoring group always. That one goes first.
    for step in reversed(plan):
        if isinstance(step, steps.CreateMonitoringGroup):
            made.append(_path(root, step.group))
        elif isinstance(step, steps.CreateResctrlGroup):
            path = _path(root, step.group)
            if not os.path.isdir(path):
                made.append(path)
    return {"made": made}


def remove(record: ResctrlRecord) -> None:
    """Remove the groups of a container; those that are gone are fine."""
    for path in record["made"]:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            continue


def execute(step: Step, pid: int, undo: Undo) -> None:
    """Carry out one of the steps that plan_intel_rdt() makes.

    Raises:
        StepError: the kernel refuses, or a group is not as the config says.
    """
    root = mount_point()
    try:
        if isinstance(step, steps.CreateResctrlGroup):
            path = _path(root, step.group)
            _create(path, undo)
            _write_schemata(path, step.schemata)
        elif isinstance(step, steps.ShareResctrlGroup):
            path = _path(root, step.group)
            if _create(path, undo):
                _write_schemata(path, step.schemata)
            else:
                _compare_schemata(step, root, path, step.schemata)
        elif isinstance(step, steps.CheckResctrlGroup):
            if not os.path.isdir(_path(root, step.group)):
                raise _missing(step)
        elif isinstance(step, steps.CreateMonitoringGroup):
            _create(_path(root, step.group), undo)
        else:
            assert isinstance(step, steps.JoinResctrlGroup)
            _write_line(f"{_path(root, step.group)}/tasks", str(pid))
    except OSError as error:
        raise StepError(
            step,
            error.filename or "resctrl",
            error.errno or errno.EIO,
            detail=_last_status(root),
        ) from None


def _path(root: str, group: str) -> str:
    return f"{root}/{group}" if group else root


def _create(path: str, undo: Undo) -> bool:
    """Make a group; return whether it was not there before."""
    if os.path.isdir(path):
        return False
    undo.push(remove, {"made": [path]})
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:  # another container of that class was quicker
        return False
    return True


def _write_schemata(path: str, lines: Sequence[str]) -> None:
    for line in lines:
        try:
            _write_line(f"{path}/schemata", line)
        except OSError as error:
            error.filename = f"schemata {line!r}"
            raise


def _write_line(path: str, line: str) -> None:
    """Write one line; resctrl refuses one without its end."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.write(fd, os.fsencode(f"{line}\n"))
    finally:
        os.close(fd)


def _compare_schemata(step: Step, root: str, path: str, lines: Sequence[str]) -> None:
    """Spec: if the directory exists, compare with its schemata, and fail if they do not match."""
    present = _parse(read_file(f"{path}/schemata").splitlines())
    for line in lines:
        for (resource, domain), value in _parse([line]).items():
            has = present.get((resource, domain))
            if has is None or has not in (value, _rounded(root, resource, value)):
                raise StepError(
                    step,
                    "schemata",
                    0,
                    detail=f"the group has {_shown(present, resource)}, and {line!r} is asked for",
                    hint="a closID that exists is shared: leave its schemata out, or ask for those "
                    "it has",
                )


def _parse(lines: Sequence[str]) -> dict[tuple[str, str], int | str]:
    """Return (resource, domain): value of lines such as "L3:0=7f0;1=1f"."""
    values: dict[tuple[str, str], int | str] = {}
    for line in lines:
        resource, _, domains = line.strip().partition(":")
        for entry in domains.split(";"):
            domain, _, value = entry.partition("=")
            base = 10 if resource.strip() in _DECIMAL else 16
            number: int | str = value.strip()
            try:
                number = int(value, base)
            except ValueError:
                pass  # not one of the formats we know: compared as text
            values[resource.strip(), domain.strip()] = number
    return values


def _shown(present: dict[tuple[str, str], int | str], resource: str) -> str:
    domains = [
        f"{domain}={value if resource in _DECIMAL or isinstance(value, str) else f'{value:x}'}"
        for (other, domain), value in present.items()
        if other == resource
    ]
    return f"'{resource}:{';'.join(domains)}'" if domains else f"no {resource}"


def _rounded(root: str, resource: str, value: int | str) -> int | str:
    """The kernel rounds a bandwidth up to the next step that the processor has."""
    if resource not in _DECIMAL or isinstance(value, str):
        return value
    try:
        step = int(read_file(f"{root}/info/{resource}/bandwidth_gran"))
    except (OSError, ValueError):
        return value
    return -(-value // step) * step if step > 0 else value


def _last_status(root: str) -> str:
    """What the kernel has to say about the last write that it refused."""
    try:
        status = read_file(f"{root}/info/last_cmd_status").strip()
    except OSError:
        return ""
    return "" if status == "ok" else status


def _missing(step: steps.CheckResctrlGroup) -> StepError:
    return StepError(
        step,
        "stat",
        errno.ENOENT,
        hint="a closID without schemata names a group that exists; give schemata to have it made",
    )
