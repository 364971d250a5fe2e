"""`run`: create and start in one; in the foreground it also waits, and deletes."""

from __future__ import annotations

import os
import time

from ocipy import log
from ocipy.errors import OcipyError, errno_text
from ocipy.spawn.container import make_container
from ocipy.spawn.interrupt import clean_up_when_interrupted
from ocipy.state.record import oci_state
from ocipy.state.store import NOTIFY, save_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request
    from ocipy.spawn.container import Container
    from ocipy.spawn.foreground import CaughtSignals

# Wait statuses: ended by it, with a core dump, and as a shell reports its child's.
_SIGSYS = (31, 31 | 0x80, (128 + 31) << 8)


def run(request: Request) -> int:
    """Return the exit status of the container process, 128+n for signal n; 0 with --detach.

    That the container cannot be deleted afterwards is a warning: its process did end with a status.
    """
    clean_up_when_interrupted()
    recorder = None
    if request.given("record-seccomp"):
        from ocipy.observe.seccomp_record import open_recorder

        recorder = open_recorder(request)
    container = make_container(request, request.args[0], start_at_once=True, recorder=recorder)
    notify = signals = None
    try:
        if manager := os.environ.get("NOTIFY_SOCKET"):
            from ocipy.spawn.notify import open_notify_socket

            notify = open_notify_socket(container.lock.directory.fd, NOTIFY, manager)
        if not request.flag("detach"):
            from ocipy.spawn.foreground import CaughtSignals, exit_status, wait_in_foreground

            signals = CaughtSignals()
        if recorder is not None:
            recorder.start(container.launch)
        _start(container, signals)
        request.started_at = time.monotonic()
        if container.launch.tracer is not None:
            container.launch.tracer.finish()
    except BaseException as error:
        if container.launch.tracer is not None:
            container.launch.tracer.finish(str(error))
        container.destroy()
        if isinstance(error, OcipyError) and error.pointer:
            from ocipy.schema.report import describe_faults

            describe_faults(error, container.bundle.text, container.bundle.config_file)
        raise
    if signals is None:
        container.lock.release()
        if notify is not None:
            notify.relay(container.launch.pid, container.launch.pidfd)
        container.launch.close()
        return 0

    # The lock is for commands, not for the time a container runs: others may exec, kill, delete.
    container.lock.release()
    log.flush_warnings()
    wait_status = wait_in_foreground(container.launch, signals, notify)
    if recorder is not None:
        recorder.finish()
    if wait_status in _SIGSYS and "seccomp" in container.bundle.config.get("linux", {}):
        from ocipy.observe.seccomp_log import explain

        log.warning(explain(wait_status, container.launch.pid))
    if request.flag("keep"):
        _record_exit(container, wait_status)
    else:
        _delete(container)
    return exit_status(wait_status)


def _start(container: Container, signals: CaughtSignals | None) -> None:
    """Spec (runtime.md#lifecycle), steps 7 to 9."""
    launch, record = container.launch, container.record
    launch.go()
    launch.await_exec()
    record["status"] = "running"
    save_record(container.lock, record)
    config = container.bundle.config
    if config.get("hooks", {}).get("poststart"):
        from ocipy.spawn.hooks import run_hooks

        meanwhile = None
        if signals is not None:
            from ocipy.spawn.foreground import ForwardedDuringHooks

            meanwhile = ForwardedDuringHooks(launch, signals)
        run_hooks(config, "poststart", oci_state(record, "running", launch.pid), meanwhile)


def _lock_again(container: Container, otherwise: str) -> bool:
    """Take the lock; where that fails, warn of what is left undone and return False."""
    from ocipy.state import store

    # Somebody may be at work on it: a `delete --force` that has ended it, or an `update`.
    container.lock.wait_seconds = store.LOCK_SECONDS
    try:
        container.lock.acquire()
    except store.ContainerNotFoundError:
        return False  # somebody else has deleted it meanwhile
    except OcipyError as error:
        log.warning(f"{otherwise}: {error}")
        return False
    return True


def _record_exit(container: Container, wait_status: int) -> None:
    """Write down how it ended, for `wait`: only its parent is told."""
    if not _lock_again(container, "how the container ended is not recorded"):
        return
    from ocipy.cgroup.oom import oom_kills
    from ocipy.state import store

    try:
        record = store.load_record(container.lock.directory)
        cgroup = record.get("cgroup")
        killed = oom_kills(cgroup["paths"]) > 0 if cgroup else False
        record["exit"] = {"waitStatus": wait_status, "oomKilled": killed}
        store.save_record(container.lock, record)
    except OcipyError as error:
        log.warning(str(error))
    except OSError as error:
        log.warning(f"how the container ended is not recorded: {_named(error)}")
    finally:
        container.lock.release()


def _delete(container: Container) -> None:
    if not _lock_again(container, "the container is not deleted"):
        return
    from ocipy.state import store
    from ocipy.state.destroy import destroy

    try:
        # Read again: a delete that was interrupted may have done a part of it.
        destroy(container.lock, store.load_record(container.lock.directory))
    except OcipyError as error:
        log.warning(str(error))
    except OSError as error:
        # Its process did end with a status, which is what `run` has to say.
        log.warning(f"the container is not deleted: {_named(error)}")
    finally:
        container.lock.release()


def _named(error: OSError) -> str:
    return f"{error.filename or 'its process'}: {errno_text(error.errno or 0)}"
