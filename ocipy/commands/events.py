"""`ocipy events [--stats] [--interval DURATION] ID`: resource usage and out-of-memory events.

One JSON object on each line, as runc prints them; until the container has stopped, or once with
--stats. With --lifecycle, what happens to a container, or to all of them, until they are deleted.
"""

from __future__ import annotations

import time

from ocipy.errors import StateError, UsageError
from ocipy.json_text import dumps
from ocipy.state import store
from ocipy.state.status import STOPPED, current_status, require_allowed
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request
    from ocipy.state.record import CgroupRecord
    from ocipy.state.store import ContainerDir

# How soon the end of the container is noticed.
_LOOK_SECONDS = 1.0
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def run(request: Request) -> int:
    if request.flag("lifecycle"):
        return _print_lifecycle(request)
    if not request.args:
        raise UsageError(
            '"events" requires exactly 1 argument(s)',
            hint="usage: ocipy events <container-id>; with --lifecycle the id may be left out",
        )
    directory = store.find(store.root_path(request.root), request.args[0])
    record = store.load_record(directory)
    interval_seconds = parse_duration(request.text("interval"))
    require_allowed("events", current_status(directory, record), directory.id)
    cgroup = record.get("cgroup")
    if not cgroup:
        raise StateError(
            f"container {directory.id} has no cgroup, so nothing is known of its usage"
        )
    if request.flag("stats"):
        _print_stats(directory.id, cgroup)
    else:
        _follow(directory, cgroup, interval_seconds)
    return 0


def _print_lifecycle(request: Request) -> int:
    from ocipy.observe.lifecycle import follow_lifecycle

    container_id = request.args[0] if request.args else ""
    for event in follow_lifecycle(store.root_path(request.root), container_id):
        print_text(dumps(event) + "\n")
    return 0


def _follow(directory: ContainerDir, cgroup: CgroupRecord, interval_seconds: float) -> None:
    from ocipy.cgroup.oom import OomWatch

    try:
        watch = OomWatch(cgroup["paths"])
    except (OSError, KeyError):
        raise StateError("cannot watch for out-of-memory: there is no memory controller") from None
    with watch:
        next_stats = time.monotonic() + interval_seconds
        while True:
            if watch.wait(min(next_stats, time.monotonic() + _LOOK_SECONDS)):
                print_text(dumps({"type": "oom", "id": directory.id}) + "\n")
                continue
            if _has_stopped(directory):
                return
            if time.monotonic() >= next_stats:
                _print_stats(directory.id, cgroup)
                next_stats += interval_seconds


def _has_stopped(directory: ContainerDir) -> bool:
    try:
        return current_status(directory, store.load_record(directory)) == STOPPED
    except store.ContainerNotFoundError:
        return True


def _print_stats(container_id: str, cgroup: CgroupRecord) -> None:
    from ocipy.cgroup.stats import read_stats

    stats = {"type": "stats", "id": container_id, "data": read_stats(cgroup["paths"])}
    print_text(dumps(stats) + "\n")


def parse_duration(text: str, option: str = "interval") -> float:
    """Return the seconds of a duration as Go writes it: "5s", "1m30s", "250ms".

    Raises:
        UsageError: it is none, or not longer than nothing.
    """
    seconds, rest = 0.0, text
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("nuµmsh"))]
        rest = rest[len(unit) :]
        try:
            seconds += float(number) * _SECONDS[unit]
        except (KeyError, ValueError):
            raise UsageError(
                f'invalid value "{text}" for flag -{option}: not a duration',
                hint="a duration reads '5s', '1m30s' or '250ms'",
            ) from None
    if seconds <= 0:
        raise UsageError(f"duration {option} must be greater than 0")
    if seconds * 1e9 >= 1 << 63:  # Go counts nanoseconds
        raise UsageError(f'invalid value "{text}" for flag -{option}: longer than 292 years')
    return seconds
