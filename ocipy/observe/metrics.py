"""What a node's containers cost and how often they fail: counters in the state root, on request.

`--metrics`, or $OCIPY_METRICS that is not empty, makes a command add itself to ROOT/.@metrics once
it has ended; without either nothing of this module is loaded. `ocipy metrics` prints them as
Prometheus reads them (https://prometheus.io/docs/instrumenting/exposition_formats/).

There is no daemon, so the counters are a file: read, changed and replaced under a lock. That they
cannot be kept is never a failure of the command that they are about.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time

from ocipy import log
from ocipy.errors import OcipyError
from ocipy.state import store
from ocipy.state.status import CREATED, CREATING, PAUSED, RUNNING, STOPPED, current_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocipy.request import Request

# Hidden from those who list the root, and no container: no id has an "@" in it.
DIRECTORY = ".@metrics"
_COUNTERS = "counters.json"
_VERSION = 1
_MAX_BYTES = 1 << 20
# How long counters wait for those of other commands; after that this one is not counted.
_LOCK_SECONDS = 2.0

# Upper bounds in seconds; a start takes some ten milliseconds, and under load some hundred.
BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# Those that a client calls in the life of a container; what only people call says nothing.
COUNTED = "create start run exec kill delete pause resume update".split()
BUG = "E900"


def run_counted(request: Request, run: Callable[[Request], int]) -> int:
    """Run a command and count it; returns and raises what `run` does."""
    if request.command not in COUNTED:
        return run(request)
    begin = time.monotonic()
    code = ""
    try:
        return run(request)
    except OcipyError as error:
        code = error.code
        raise
    except Exception:
        code = BUG
        raise
    finally:
        end = request.started_at or time.monotonic()
        # In the foreground, what follows the start is the time of the program.
        try:
            _add(store.root_path(request.root), request.command, end - begin, code)
        except (OSError, ValueError, OcipyError) as error:
            log.debug(f"metrics are not kept: {error}")


def _add(root: str, command: str, seconds: float, code: str) -> None:
    os.makedirs(f"{root}/{DIRECTORY}", mode=0o700, exist_ok=True)
    directory = _open(root)
    try:
        if not _lock(directory):
            log.debug("metrics are not kept: others write them all the time")
            return
        counters = _read(directory)
        of_command = counters["commands"].setdefault(command, _new_counters())
        if code:
            failures = of_command["failures"]
            failures[code] = failures.get(code, 0) + 1
        else:
            of_command["seconds"] += seconds
            of_command["buckets"][_bucket(seconds)] += 1
        _replace(directory, counters)
    finally:
        os.close(directory)


def _new_counters() -> dict[str, Any]:
    return {"seconds": 0.0, "buckets": [0] * (len(BOUNDS) + 1), "failures": {}}


def _bucket(seconds: float) -> int:
    for index, bound in enumerate(BOUNDS):
        if seconds <= bound:
            return index
    return len(BOUNDS)


def _open(root: str) -> int:
    """Return a descriptor of ROOT/.@metrics. Raises OSError unless it is ours and nobody else's."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    directory = os.open(f"{root}/{DIRECTORY}", flags)
    status = os.fstat(directory)
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o022 == 0:
        return directory
    os.close(directory)
    raise PermissionError(f"{root}/{DIRECTORY} can be written by others")


def _lock(directory: int) -> bool:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.002)
        else:
            return True


def _read(directory: int) -> dict[str, Any]:
    """Return the counters; new ones, as after a reboot, where the file is not whole."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(_COUNTERS, flags, dir_fd=directory)
    except OSError:
        return _empty()
    with open(fd, "rb") as file:
        content = file.read(_MAX_BYTES)
    try:
        counters = json.loads(content)
        if not _is_whole(counters):
            return _empty()
    except (ValueError, RecursionError):
        return _empty()
    return dict(counters)


def _empty() -> dict[str, Any]:
    return {"version": _VERSION, "since": time.time(), "commands": {}}


def _is_whole(counters: Any) -> bool:
    try:
        return (
            counters["version"] == _VERSION
            and all(
                command in COUNTED
                and len(of_command["buckets"]) == len(BOUNDS) + 1
                and all(type(number) is int and number >= 0 for number in of_command["buckets"])
                and of_command["seconds"] >= 0
                and all(
                    type(number) is int and number >= 0 and code[:1] == "E" and code[1:].isdecimal()
                    for code, number in of_command["failures"].items()
                )
                for command, of_command in counters["commands"].items()
            )
            and float(counters["since"]) >= 0
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _replace(directory: int, counters: dict[str, Any]) -> None:
    new = f"{_COUNTERS}.new"  # we hold the lock, so nobody else writes to it
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(new, flags, 0o600, dir_fd=directory)
    with open(fd, "wb") as file:
        file.write(json.dumps(counters).encode())
    os.rename(new, _COUNTERS, src_dir_fd=directory, dst_dir_fd=directory)


# -- as Prometheus reads it


def metrics_text(root: str) -> str:
    """Return the counters, and how many containers there are now, in Prometheus' text format."""
    try:
        directory = _open(root)
    except OSError:
        counters = _empty()
    else:
        try:
            counters = _read(directory)
        finally:
            os.close(directory)
    commands = counters["commands"]
    lines = [
        "# HELP ocipy_containers Containers below the state root, by status.",
        "# TYPE ocipy_containers gauge",
        *(f'ocipy_containers{{status="{s}"}} {n}' for s, n in _statuses(root).items()),
        "# HELP ocipy_starts_total Programs of containers that were started.",
        "# TYPE ocipy_starts_total counter",
        f"ocipy_starts_total {sum(_successes(commands.get(c)) for c in ('start', 'run'))}",
        "# HELP ocipy_failures_total Commands that failed, by error code ('ocipy help CODE').",
        "# TYPE ocipy_failures_total counter",
    ]
    for command, counted in sorted(commands.items()):
        lines += [
            f'ocipy_failures_total{{command="{command}",code="{code}"}} {number}'
            for code, number in sorted(counted["failures"].items())
        ]
    lines += [
        "# HELP ocipy_command_seconds Time of commands that succeeded; of run and exec, until the "
        "program ran.",
        "# TYPE ocipy_command_seconds histogram",
    ]
    for command, counted in sorted(commands.items()):
        total = 0
        for bound, number in zip((*BOUNDS, "+Inf"), counted["buckets"], strict=True):
            total += number
            lines.append(
                f'ocipy_command_seconds_bucket{{command="{command}",le="{bound}"}} {total}'
            )
        lines.append(f'ocipy_command_seconds_sum{{command="{command}"}} {counted["seconds"]:.6f}')
        lines.append(f'ocipy_command_seconds_count{{command="{command}"}} {total}')
    lines += [
        "# HELP ocipy_counters_created_seconds When counting began, in seconds since 1970.",
        "# TYPE ocipy_counters_created_seconds gauge",
        f"ocipy_counters_created_seconds {counters['since']:.3f}",
    ]
    return "\n".join(lines) + "\n"


def _successes(counted: dict[str, Any] | None) -> int:
    return sum(counted["buckets"]) if counted else 0


def _statuses(root: str) -> dict[str, int]:
    counts = dict.fromkeys((CREATING, CREATED, RUNNING, PAUSED, STOPPED), 0)
    for container_id in store.list_ids(root):
        try:
            directory = store.find(root, container_id)
            status = current_status(directory, store.load_record(directory))
        except OcipyError:
            continue  # deleted meanwhile, or damaged: `list` says which
        counts[status] = counts.get(status, 0) + 1
    return counts
