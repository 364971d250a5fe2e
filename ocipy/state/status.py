"""The true status of a container, and which command it allows.

    creating ─► created ──start──► running ──► stopped ──delete──► (gone)
                                   paused ⇄ running

The record says what was last written. What is true now follows from the process, the start fifo and
the freezer, so that a container whose process was killed, or whose runtime was, is described as it
is.
"""

from __future__ import annotations

import fcntl
import os

from ocipy.errors import StateError
from ocipy.state.process import is_alive
from ocipy.state.store import LOCK, NO_FILE, START_FIFO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.state.record import StateRecord
    from ocipy.state.store import ContainerDir

CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"

# Verb and status to what is wrong with them; what is not listed is allowed. The texts are runc's:
# containerd takes "container not running" for "already finished", podman passes them on.
# {id} and {status} are filled in.
_NOT_RUNNING = "container not running"
_REFUSED: dict[str, dict[str, str]] = {
    "start": {
        CREATING: "cannot start a container that is still being created",
        RUNNING: "cannot start an already running container",
        PAUSED: "cannot start a container in the paused state",
        STOPPED: "cannot start a container that has stopped",
    },
    # A created container may be killed: Spec (runtime.md#kill) allows created and running. A
    # paused one is a running one.
    "kill": {STOPPED: _NOT_RUNNING},
    # Spec (runtime.md#delete): "MUST generate an error" unless stopped. runc and crun delete a
    # created container as well, and their callers depend on it.
    "delete": {
        CREATING: "cannot delete container {id} that is not stopped: {status}",
        RUNNING: "cannot delete container {id} that is not stopped: {status}",
        PAUSED: "cannot delete container {id} that is not stopped: {status}",
    },
    "exec": {
        CREATING: "cannot exec in a container that is still being created",
        PAUSED: "cannot exec in a paused container (use --ignore-paused to override)",
        STOPPED: "cannot exec in a stopped container",
    },
    "pause": {CREATING: _NOT_RUNNING, PAUSED: _NOT_RUNNING, STOPPED: _NOT_RUNNING},
    "resume": {
        CREATING: "container not paused",
        CREATED: "container not paused",
        RUNNING: "container not paused",
        STOPPED: "container not paused",
    },
    "update": {CREATING: _NOT_RUNNING, STOPPED: _NOT_RUNNING},
    "events": {STOPPED: "container with id {id} is not running"},
}
_HINT: dict[str, dict[str, str]] = {
    "start": {STOPPED: "delete it and create it anew"},
    "delete": {
        CREATING: "--force kills it first",
        RUNNING: "--force kills it first",
        PAUSED: "--force kills it first",
    },
}


def require_allowed(verb: str, status: str, container_id: str) -> None:
    """Raise StateError if a container in this status forbids the command."""
    problem = _REFUSED.get(verb, {}).get(status)
    if problem is not None:
        raise StateError(
            problem.format(id=container_id, status=status),
            hint=_HINT.get(verb, {}).get(status, ""),
        )


def current_status(directory: ContainerDir, record: StateRecord, *, lock_held: bool = False) -> str:
    """Return the container's status as it is now; `lock_held` says that we have its lock."""
    if not is_alive(record["pid"], record["startTicks"]):
        if record["status"] == CREATING and not lock_held and _is_locked(directory):
            return CREATING  # its init has not been cloned yet
        return STOPPED
    if record["status"] == CREATING:
        return CREATING
    if _is_frozen(record):
        return PAUSED
    # The fifo outlives a `start` that was killed; what the process executes tells.
    if directory.has(START_FIFO) and _executes_init(record["pid"]):
        return CREATED
    return RUNNING


def _executes_init(pid: int) -> bool:
    """Is the process still ocipy-init? The kernel shows the name of the memfd it was started from.

    A container that starts a memfd of that name can make itself look created, and nobody else.
    """
    try:
        return os.readlink(f"/proc/{pid}/exe").startswith("/memfd:ocipy-init")
    except OSError:  # it has just ended, or we may not look: the fifo decides
        return True


def _is_locked(directory: ContainerDir) -> bool:
    """Is a command at work on the container? Only asked where the answer matters: trying a lock
    keeps it from others for a moment."""
    try:
        fd = os.open(LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.fd)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        return False  # it is no file, so nobody has locked it
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _is_frozen(record: StateRecord) -> bool:
    cgroup = record.get("cgroup")
    if not cgroup:
        return False
    from ocipy.cgroup.driver import open_cgroup

    return open_cgroup(cgroup).is_frozen()
