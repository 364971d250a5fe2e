"""`ocipy kill ID [SIGNAL]`: send a signal. Takes no lock: it changes no record, and never waits."""

from __future__ import annotations

import os

from ocipy.errors import StateError, errno_text
from ocipy.signals import SIGKILL, pidfd_send_signal, signal_number
from ocipy.state import store
from ocipy.state.process import open_process
from ocipy.state.status import PAUSED, STOPPED, current_status, require_allowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.cgroup.driver import Cgroup
    from ocipy.request import Request
    from ocipy.state.record import StateRecord
    from ocipy.state.store import ContainerDir


def run(request: Request) -> int:
    container_id, *signal = request.args
    name = (signal and signal[0]) or "SIGTERM"  # "" is none, as for runc
    kill_container(request.root, container_id, name, everyone=request.flag("all"))
    return 0


def kill_container(root: str, container_id: str, signal: str, *, everyone: bool = False) -> None:
    """Send a signal, by name or number, to a container's process, or to all that are in it.

    Raises:
        UsageError: no such signal.
        StateError: there is no such container, or nothing to signal.
    """
    directory = store.find(store.root_path(root), container_id)
    record = store.load_record(directory)
    number = signal_number(signal)
    status = current_status(directory, record)
    if everyone:
        # runc: no error if it is stopped. Without a pid namespace of its own there may still be
        # processes in its cgroup; if there are none, that is what the caller wanted.
        if record.get("cgroup") or status != STOPPED:
            signal_all(record, number)
        return
    require_allowed("kill", status, container_id)
    if number == SIGKILL and record.get("cgroup") and not owns_pid_namespace(directory):
        # As runc since 1.2: the death of init would leave its children behind, forgotten.
        signal_all(record, number)
    else:
        _signal_init(record, number)
    if number == SIGKILL and status == PAUSED:
        _cgroup(record).thaw()  # cgroup v1: a frozen process does not even die


def owns_pid_namespace(directory: ContainerDir) -> bool:
    """Was the container given a new pid namespace? Then no process of it survives its init."""
    try:
        linux = store.load_config(directory).get("linux")
    except store.RecordError:
        return False  # not known, so take the way that reaches all of them
    namespaces = linux.get("namespaces") if isinstance(linux, dict) else None
    return isinstance(namespaces, list) and any(
        isinstance(ns, dict) and ns.get("type") == "pid" and not ns.get("path") for ns in namespaces
    )


def signal_all(record: StateRecord, number: int) -> None:
    """Send a signal to every process in the container's cgroup, or to init where it has none."""
    if not record.get("cgroup"):
        _signal_init(record, number)
        return
    cgroup = _cgroup(record)
    if number == SIGKILL:
        cgroup.kill()
        return
    if not cgroup.pids():
        return
    was_frozen = cgroup.is_frozen()
    if not was_frozen:
        cgroup.freeze()  # so that nothing forks away between reading the list and signalling it
    try:
        _signal_pids(cgroup, number)
    finally:
        if not was_frozen:
            cgroup.thaw()


def _signal_pids(cgroup: Cgroup, number: int) -> None:
    for pid in cgroup.pids():
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            continue  # gone; or, in older kernels, only the pid of a session any longer (EINVAL)
        try:
            # Listed again after it was opened: then the descriptor cannot be that of a stranger
            # who was given the number in between.
            if pid in cgroup.pids():
                pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass
        except OSError as error:
            raise _cannot_signal(f"process {pid}", error) from None
        finally:
            os.close(pidfd)


def _signal_init(record: StateRecord, number: int) -> None:
    process = open_process(record["pid"], record["startTicks"])
    if process is None:
        raise StateError("container not running")
    with process:
        try:
            process.send_signal(number)
        except ProcessLookupError:
            raise StateError("container not running") from None
        except OSError as error:
            raise _cannot_signal("init", error) from None


def _cannot_signal(whom: str, error: OSError) -> StateError:
    return StateError(f"unable to signal {whom}: {errno_text(error.errno or 0)}")


def _cgroup(record: StateRecord) -> Cgroup:
    from ocipy.cgroup.driver import open_cgroup

    where = record.get("cgroup")
    assert where
    return open_cgroup(where)
