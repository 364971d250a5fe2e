"""What keeps a process or a cgroup from ending: imported when something has not ended in time."""

from __future__ import annotations

import os

from ocipy.cgroup.freezer import how_to_thaw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in uninterruptible sleep",
    "T": "stopped",
    "t": "stopped by its tracer",
    "Z": "ended, and not yet reaped",
    "I": "idle",
}
_SHOWN_MAX = 8


def describe_process(pid: int) -> str:
    """Return one process as a person needs to see it: pid, name, state, and where it waits.

    Such as "process 7 (cat, state D, in uninterruptible sleep in nfs_wait)".
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return f"process {pid} (it has just ended)"
    comm = text[text.index("(") + 1 : text.rindex(")")]
    state, parent = text[text.rindex(")") + 2 :].split()[:2]
    waits = _wchan(pid)
    what = f"process {pid} ({comm}, state {state}, {_STATES.get(state, 'unknown')}"
    if waits:
        what += f" in {waits}"
    if state == "Z":
        what += f"; its parent is process {parent}"
    return what + ")"


def describe_processes(pids: Iterable[int]) -> str:
    """Return the first of them, described, and how many more there are."""
    listed = list(pids)
    more = f", and {len(listed) - _SHOWN_MAX} more" if len(listed) > _SHOWN_MAX else ""
    return ", ".join(map(describe_process, listed[:_SHOWN_MAX])) + more


def why_it_stays(pid: int, others: Iterable[int], frozen_above: str) -> tuple[str, str]:
    """Return a process that does not end as a sentence's part, and a hint.

    Args:
        pid: of the process.
        others: what else there is in its cgroup.
        frozen_above: the cgroup above its own that is frozen, "" if none is.
    """
    sentence = describe_process(pid)
    rest = [other for other in others if other != pid]
    if rest:
        sentence += f", with {describe_processes(rest)} in its cgroup,"
    if frozen_above:
        return sentence, f"a frozen process does not end; {how_to_thaw(frozen_above)}"
    if unreaped := _unreaped(pid):
        return sentence, (
            "the first of a pid namespace ends when all others in it were reaped, not before: "
            f"{describe_processes(unreaped)}"
        )
    return sentence, f"'cat /proc/{pid}/stack' shows what it waits for in the kernel"


def _unreaped(pid: int) -> list[int]:
    """Return the processes that have ended, but not been reaped, in the pid namespace of `pid`."""
    try:
        namespace = os.readlink(f"/proc/{pid}/ns/pid")
        if namespace == os.readlink("/proc/self/ns/pid"):
            return []
    except OSError:
        return []
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == pid:
            continue
        try:
            if os.readlink(f"/proc/{name}/ns/pid") == namespace and _state(int(name)) == "Z":
                found.append(int(name))
        except OSError:
            continue  # it has just ended
    return sorted(found)


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0].decode()


def _wchan(pid: int) -> str:
    """Return the function of the kernel in which a process sleeps; "" where that is not told."""
    try:
        fd = os.open(f"/proc/{pid}/wchan", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        text = os.read(fd, 256).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)
    return "" if text == "0" else text
