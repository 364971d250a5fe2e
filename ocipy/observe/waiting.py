"""Waiting for a container by its id, whoever has created it."""

from __future__ import annotations

from ocipy.observe.exits import Exit, watch_exit
from ocipy.state import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.observe.exits import ExitWatch
    from ocipy.state.record import StateRecord


def recorded_exit(record: StateRecord) -> Exit:
    """Return what the record says of a process that is gone: `run --keep` writes it down."""
    ended = record.get("exit")
    if ended is None:
        return Exit(None)
    return Exit(ended["waitStatus"], oom_killed=ended["oomKilled"])


def watch_container(root: str, container_id: str) -> tuple[StateRecord, ExitWatch | None]:
    """Begin to watch the process of a container; None for one that was reaped already.

    Raises:
        StateError: there is no such container, or it has no process yet.
    """
    record = store.load_record(store.find(root, container_id))
    cgroup = record.get("cgroup")
    paths = cgroup["paths"] if cgroup else {}
    return record, watch_exit(record["pid"], record["startTicks"], paths)


def wait_for(root: str, container_id: str, timeout_seconds: float | None = None) -> Exit | None:
    """Wait until the process of a container has ended; None if it has not within the time.

    Raises:
        StateError: there is no such container.
    """
    record, watch = watch_container(root, container_id)
    if watch is None:
        return recorded_exit(record)
    with watch:
        return watch.result() if watch.wait(timeout_seconds) else None
