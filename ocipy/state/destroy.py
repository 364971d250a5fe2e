"""Take back everything that create made: the second half of `delete`, and of `run`.

In an order that leaves, whenever it is interrupted, a record from which it can be done again:

    1. the process        SIGKILL through its pidfd, then wait for the pidfd, not for time to pass
    2. the cgroup         whatever is left in it is killed, then it is removed; resctrl groups, too
    3. poststop hooks     noted in the record when done, so that they run once
    4. the directory      state.json last
"""

from __future__ import annotations

import os

from ocipy import log
from ocipy.errors import OcipyError, StateError
from ocipy.signals import SIGKILL
from ocipy.state import store
from ocipy.state.process import open_process
from ocipy.state.record import oci_state
from ocipy.state.status import STOPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.state.record import StateRecord
    from ocipy.state.store import ContainerLock

# runc waits as long for init to end, and for its cgroup to become empty.
_WAIT_SECONDS = 10.0


def destroy(lock: ContainerLock, record: StateRecord) -> None:
    """Kill what still runs and remove the container; the lock stays held.

    Raises:
        StateError: a process does not end, or the cgroup cannot be removed. Nothing that is needed
            to try again is lost.
    """
    kill_processes(record)
    _remove_cgroup(record)
    _remove_resctrl_groups(record)
    _run_poststop_hooks(lock, record)
    store.remove(lock)


def kill_processes(record: StateRecord) -> None:
    """SIGKILL every process of the container and wait until the first of them has ended."""
    process = open_process(record["pid"], record["startTicks"])
    try:
        if process is not None:
            try:
                process.send_signal(SIGKILL)
            except ProcessLookupError:
                pass  # ended and reaped by its parent, which is what we want
        if process is not None or not _made_all_cgroups(record):
            _kill_cgroup(record)
        # Else nothing is left in there, mostly; and if there is, its removal finds and kills it.
        if process is not None and not process.wait(_WAIT_SECONDS):
            raise _still_running(process.pid, record)
    finally:
        if process is not None:
            os.close(process.pidfd)


def _still_running(pid: int, record: StateRecord) -> StateError:
    from ocipy.cgroup.driver import open_cgroup
    from ocipy.cgroup.holding import why_it_stays

    cgroup = open_cgroup(record.get("cgroup") or {"driver": "", "paths": {}, "made": []})
    sentence, hint = why_it_stays(pid, cgroup.pids(), cgroup.frozen_above())
    return StateError(
        f"container init still running: {sentence} has not ended {_WAIT_SECONDS:g} seconds after "
        "SIGKILL",
        hint=hint,
    )


def _made_all_cgroups(record: StateRecord) -> bool:
    cgroup = record.get("cgroup")
    return cgroup is None or set(cgroup["paths"].values()) <= set(cgroup["made"])


def _kill_cgroup(record: StateRecord) -> None:
    """Reach what the death of init does not: with a shared pid namespace, everything else."""
    cgroup = record.get("cgroup")
    if not cgroup:
        return
    # A cgroup that was there before us is found to be empty before init is cloned, or else create
    # fails: with no pid yet, those in it may be strangers.
    if record["pid"] > 0 or _made_all_cgroups(record):
        from ocipy.cgroup.driver import open_cgroup

        open_cgroup(cgroup).kill()


def _remove_cgroup(record: StateRecord) -> None:
    cgroup = record.get("cgroup")
    if cgroup:
        from ocipy.cgroup.driver import open_cgroup

        open_cgroup(cgroup).remove(_WAIT_SECONDS)


def _remove_resctrl_groups(record: StateRecord) -> None:
    if groups := record.get("resctrl"):
        from ocipy.cgroup import resctrl

        resctrl.remove(groups)


def _run_poststop_hooks(lock: ContainerLock, record: StateRecord) -> None:
    if record.get("poststopDone") or not lock.directory.has(store.CONFIG):
        return
    # Spec (config.md#poststop): a failing hook is a warning; the container is deleted all the same.
    try:
        config = store.load_config(lock.directory)
        hooks = config.get("hooks")
        if not isinstance(hooks, dict) or not hooks.get("poststop"):
            return
        from ocipy.spawn.hooks import run_all_hooks

        for failure in run_all_hooks(config, "poststop", oci_state(record, STOPPED, 0)):
            log.warning(str(failure))
    except OcipyError as error:
        log.warning(str(error))
    record["poststopDone"] = True
    store.save_record(lock, record)
