"""`ocipy delete [--force] ID`: remove a container and everything that was made for it."""

from __future__ import annotations

from ocipy import log
from ocipy.signals import SIGKILL, SIGTERM
from ocipy.state import store
from ocipy.state.destroy import destroy, kill_processes
from ocipy.state.process import open_process
from ocipy.state.status import CREATING, current_status, require_allowed
from ocipy.state.store import ContainerBusyError, ContainerLock, ContainerNotFoundError, RecordError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request
    from ocipy.state.store import ContainerDir

# How long a create or start may take to notice that its init was killed, and to clean up; and, told
# to end, to do so.
_NOTICE_SECONDS = 2.0
_OBEY_SECONDS = 10.0


def run(request: Request) -> int:
    delete_container(request.root, request.args[0], force=request.flag("force"))
    return 0


def delete_container(root: str, container_id: str, *, force: bool = False) -> None:
    """Remove a container; with `force` kill it first, and do not mind if there is none.

    Raises:
        StateError: it does not exist, it runs, or something of it cannot be removed.
    """
    try:
        directory = store.find(store.root_path(root), container_id)
        with _lock(directory, force=force) as lock:
            _delete(lock, force=force)
    except ContainerNotFoundError:
        if not force:
            raise


def _lock(directory: ContainerDir, *, force: bool) -> ContainerLock:
    lock = ContainerLock(directory, wait_seconds=0.0 if force else None, command="delete")
    try:
        lock.acquire()
    except ContainerBusyError:
        if not force:
            raise
        _interrupt(lock)
    return lock


def _interrupt(lock: ContainerLock) -> None:
    """Get the lock of a container that another command is at work on, a create that hangs, say.

    Without its init a create fails, takes back what it has made, and lets go of the lock. One that
    waits for a hook does not even notice, and neither does a `start` in a poststart hook: it is
    asked to end, which ends its hook and all that this has started; then killed, and what it had
    made is in the record. Other commands are spared: a delete would run its poststop hooks twice.
    """
    creating = False
    try:
        record = store.load_record(lock.directory)
        creating = record["status"] == CREATING
        kill_processes(record)
    except (ContainerNotFoundError, RecordError):
        pass  # it has not come that far
    # That of a `run` is "create" as well.
    starting = store.lock_holder(lock.directory)[2] in ("start", "create")
    escalation = ((_NOTICE_SECONDS, SIGTERM), (_OBEY_SECONDS, SIGKILL))
    for lock.wait_seconds, number in escalation if creating or starting else ():
        try:
            lock.acquire()
            return
        except ContainerBusyError:
            holder = open_process(*store.lock_holder(lock.directory)[:2])
            if holder is not None:
                with holder:
                    try:
                        holder.send_signal(number)
                    except ProcessLookupError:
                        pass  # it has just ended
    lock.wait_seconds = store.LOCK_SECONDS
    lock.acquire()


def _delete(lock: ContainerLock, *, force: bool) -> None:
    directory = lock.directory
    try:
        record = store.load_record(directory)
    except ContainerNotFoundError:
        # Left behind by a create that was killed before it made anything, or by a delete.
        store.remove(lock)
        raise
    except RecordError as error:
        if not force:
            raise
        log.warning(f"{error}; removing what can be found")
        from ocipy.state.lost import find_lost

        destroy(lock, find_lost(directory, error.value))
        return
    if not force:
        status = current_status(directory, record, lock_held=True)
        require_allowed("delete", status, directory.id)
    destroy(lock, record)
