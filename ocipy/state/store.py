"""One directory per container under the state root, and a lock in it.

    ROOT/ID/lock         flock(2) of the command that is changing the container; says who that is,
                         and which process is the container's init
    ROOT/ID/state.json   the StateRecord, replaced whole by rename(2): readers take no lock
    ROOT/ID/config.json  the accepted config as it was read; exec, update and hooks never need the
                         bundle again, and changing it there changes nothing
    ROOT/ID/report       fifo; through it `start` hears of failures
    ROOT/ID/start        fifo; exists while the container waits for `start`

Theory of operation. mkdir(2) decides who makes a container. The lock file is made by whoever needs
it first, so a directory whose maker was killed between any two system calls can still be locked,
and removed, by the next command. A waiter may be granted the lock of a container that is gone, or
of one that has been made anew: after flock(2) it checks that the name still leads to the inode it
locked, in a directory that still is the one under the root.

    maker                              remover
    mkdir ROOT/ID                      open ROOT/ID
    open+flock lock  (does not wait)   open+flock lock  (waits)
    state.json is there? lost          process, cgroup, hooks
    state.json.new, rename             unlink the rest, then state.json, then lock
    ...                                rmdir ROOT/ID

A directory without `state.json` is one in which nothing has been made yet, or nothing is left: the
maker writes the record before the first effect, the remover unlinks it after the last. It counts
as no container. `create` takes it over, `delete` removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from ocipy.errors import StateError, errno_text
from ocipy.json_text import DuplicateName, JsonError, dumps, loads
from ocipy.state.process import start_ticks
from ocipy.state.record import read_record
from ocipy.sys.fd import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from ocipy.json_text import Json
    from ocipy.state.record import StateRecord

RECORD, CONFIG, LOCK = "state.json", "config.json", "lock"
START_FIFO, REPORT_FIFO = "start", "report"
# A directory, made only where the caller has NOTIFY_SOCKET.
NOTIFY = "notify"

# The first line of the lock file: who holds it.
_HOLDER_SIZE = 41

# How long another command on the same container may take before we give up: longer than hooks with
# a sensible timeout, shorter than the patience of those who call us (containerd: 30 seconds).
LOCK_SECONDS = 20.0

# What open(2) and read(2) say where a name is there, but not of a file. EAGAIN: of a fifo.
NO_FILE = (
    errno.EISDIR,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.ENXIO,
    errno.ENODEV,
    errno.EAGAIN,
)

# No record and no config is as large (see bundle.MAX_CONFIG_BYTES), but a device has no end.
_MAX_BYTES = 32 * 1024 * 1024

# runc's texts: containerd and podman search for "does not exist" and "already exists".
NOT_FOUND = "container does not exist"
ALREADY_EXISTS = "container with given ID already exists"

_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")


class ContainerNotFoundError(StateError):
    """There is no such container, or its directory holds no record yet or any more."""

    code = "E301"


class RecordError(StateError):
    """`state.json` cannot be understood: only `delete --force` can do something about it.

    `value` is what could be read of it: an object that a newer ocipy wrote, or None.
    """

    code = "E303"

    value: Json = None


class ContainerBusyError(StateError):
    """Another ocipy command holds the container's lock."""

    code = "E302"


class ContainerDir:
    """An open container directory: `fd` stays the same one whatever its name comes to mean.

    The object owns the descriptor and closes it with its own end.
    """

    __slots__ = ("fd", "id", "path")

    def __init__(self, fd: int, path: str, container_id: str) -> None:
        self.fd = fd
        self.path = path
        self.id = container_id

    def __del__(self) -> None:
        os.close(self.fd)

    def has(self, name: str) -> bool:
        """Is there a file of that name?"""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True


class ContainerLock:
    """Exclusive flock(2) on a container's `lock` file, held for the whole of one command.

    A context manager: `with ContainerLock(directory) as lock`. store.create() returns one that is
    held already; entering it then only says who releases it.

    `command` is what the file says of the holder, beside its pid.

    Raises (on entering):
        ContainerNotFoundError: deleted while we waited.
        ContainerBusyError: not granted within `wait_seconds` (None: LOCK_SECONDS).
    """

    __slots__ = ("command", "directory", "fd", "wait_seconds")

    def __init__(
        self, directory: ContainerDir, wait_seconds: float | None = None, command: str = ""
    ) -> None:
        self.directory = directory
        self.wait_seconds = LOCK_SECONDS if wait_seconds is None else wait_seconds
        self.command = command
        self.fd = -1

    def __enter__(self) -> Self:
        if self.fd < 0:
            self.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def acquire(self) -> None:
        # O_CLOEXEC: an inherited descriptor would hold the lock for as long as the container lives.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self.fd = os.open(LOCK, flags, 0o600, dir_fd=self.directory.fd)
        except FileNotFoundError:  # O_CREAT in a directory that was removed
            raise self._gone() from None
        except OSError as error:
            raise _not_written(f"{self.directory.path}/{LOCK}", error) from None
        try:
            self._flock()
            if not self._names_same_inode():
                raise self._gone()
            # Fixed width: whatever was there is overwritten.
            pid = os.getpid()
            line = f"{pid:10} {start_ticks(pid) or 0:20} {self.command:8.8}\n"
            os.pwrite(self.fd, line.encode(), 0)
        except OSError as error:
            self.release()
            raise _refused("lock", self.directory.path, error) from None
        except BaseException:
            self.release()
            raise

    def note_init(self, pid: int, ticks: int) -> None:
        """Note which process the container's init is, beside the record (see lost.py).

        Raises:
            StateError: it cannot be written.
        """
        try:
            os.pwrite(self.fd, f"{pid:10} {ticks:20}\n".encode(), _HOLDER_SIZE)
        except OSError as error:
            raise _not_written(f"{self.directory.path}/{LOCK}", error) from None

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _flock(self) -> None:
        deadline = time.monotonic() + self.wait_seconds
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    pid, _, command = lock_holder(self.directory)
                    raise ContainerBusyError(
                        f"container {self.directory.id} is busy: another ocipy command"
                        f"{command and f' ({command})'}, process {pid}, is at work on it",
                        hint=f"'ps -fp {pid}' shows which",
                    ) from None
            # flock(2) has no time-out, and a signal handler for one would outlive this function.
            time.sleep(0.005)

    def _names_same_inode(self) -> bool:
        try:
            here = os.stat(LOCK, dir_fd=self.directory.fd, follow_symlinks=False)
            named = os.stat(self.directory.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return _inode(here) == _inode(os.fstat(self.fd)) and _inode(named) == _inode(
            os.fstat(self.directory.fd)
        )

    def _gone(self) -> ContainerNotFoundError:
        return ContainerNotFoundError(f"{NOT_FOUND}: {self.directory.id} was deleted meanwhile")


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def lock_holder(directory: ContainerDir) -> tuple[int, int, str]:
    """Return pid and start ticks of the process that got the lock last, and its command where that
    is known; (0, 0, "") if there is none."""
    try:
        pid, ticks, *command = _read(directory, LOCK)[:_HOLDER_SIZE].split()
        return int(pid), int(ticks), "".join(command)
    except (OSError, ValueError):
        return 0, 0, ""


def noted_init(directory: ContainerDir) -> tuple[int, int]:
    """Return pid and start ticks of the container's init as they were noted; (0, 0) if never."""
    try:
        pid, ticks = _read(directory, LOCK)[_HOLDER_SIZE:].split()
        return int(pid), int(ticks)
    except (OSError, ValueError):
        return 0, 0


def check_id(container_id: str) -> None:
    """Raise StateError unless the id is one that runc takes: it becomes a name under the root."""
    if not container_id:
        raise StateError("container id cannot be empty")
    if container_id in (".", "..") or not _ID_CHARACTERS.issuperset(container_id):
        raise StateError(
            f"invalid container ID format: {container_id!r}",
            hint="an id consists of letters, digits, '_', '+', '-' and '.'",
        )
    if len(container_id) > 255:
        raise StateError(f"invalid container ID format: {len(container_id)} characters, of 255")


def default_root() -> str:
    """Return the state root used without `--root`.

    As runc has it: a user without privileges, or root in a user namespace, has a directory of
    their own in $XDG_RUNTIME_DIR where that is set.
    """
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime_dir and (os.geteuid() != 0 or _in_user_namespace()):
        return f"{runtime_dir}/ocipy"
    return "/run/ocipy"


def _in_user_namespace() -> bool:
    """Is uid 0 here not the host's? The initial user namespace maps every id to itself."""
    try:
        fd = os.open("/proc/self/uid_map", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # a kernel without user namespaces
        return False
    with open(fd, "rb") as file:
        return file.read().split() != [b"0", b"0", b"4294967295"]


def root_path(root: str) -> str:
    """Return the absolute path of the state root, "" being the default; it may not exist.

    Raises:
        StateError: it is relative, and the working directory was removed.
    """
    root = root or default_root()
    if root[0] == "/" and root[-1] != "/" and "//" not in root and "/." not in root:
        return root  # as it is nearly always; to import os.path for it costs 0.3 ms
    try:
        return os.path.abspath(root)
    except FileNotFoundError:
        raise StateError(
            f"cannot find the state root {root!r}: the working directory was removed",
            hint="give --root an absolute path",
        ) from None


def open_root(root: str) -> str:
    """Make the state root if it is missing; return its absolute path, as root_path() does."""
    path = root_path(root)
    try:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass  # mostly; its parents are not looked at then
        except FileNotFoundError:
            os.makedirs(path, mode=0o700, exist_ok=True)
        if not root and path != "/run/ocipy":
            # Basedir specification: a sticky bit keeps what is in XDG_RUNTIME_DIR from being
            # pruned after six hours.
            os.chmod(path, 0o1700)
    except (OSError, RecursionError) as error:
        # os.makedirs() calls itself for each directory that is missing.
        code = getattr(error, "errno", errno.ENAMETOOLONG)
        raise StateError(
            f"cannot make the state root {path}: {errno_text(code or 0)}",
            hint="choose another with --root",
        ) from None
    return path


def create(root: str, container_id: str) -> ContainerLock:
    """Make a container's directory and return its lock, held.

    Raises:
        StateError: the id is invalid, or a container of that name exists or is being made.
    """
    check_id(container_id)
    path = f"{root}/{container_id}"
    made: bool | None = None  # not known: a signal may interrupt us at any moment
    try:
        try:
            os.mkdir(path, 0o700)
            made = True
        except FileExistsError:
            made = False
        except OSError as error:
            raise _refused("make", path, error) from None
        directory = find(root, container_id)
        lock = ContainerLock(directory, wait_seconds=0, command="create")
        lock.acquire()
    except (ContainerBusyError, ContainerNotFoundError):
        # Somebody else was quicker: with making the same, or with removing the old one.
        raise StateError(f"{ALREADY_EXISTS}: {container_id}") from None
    except BaseException:
        if made is not False:
            _remove_empty(path, with_lock=bool(made))
        raise
    if directory.has(RECORD):
        lock.release()
        raise StateError(f"{ALREADY_EXISTS}: {container_id}")
    if not made:
        # Left behind by a create that was killed before its record, or by a delete after it.
        _remove_content(directory, keep=LOCK)
    return lock


def _remove_empty(path: str, *, with_lock: bool) -> None:
    """Remove a directory that holds nothing but a lock, unless somebody else has come meanwhile."""
    for call, name in ((os.unlink, f"{path}/{LOCK}"), (os.rmdir, path))[not with_lock :]:
        try:
            call(name)
        except OSError:
            pass


def find(root: str, container_id: str) -> ContainerDir:
    """Open a container's directory.

    Raises:
        ContainerNotFoundError: there is none.
        StateError: the id is invalid.
    """
    check_id(container_id)
    path = f"{root}/{container_id}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise ContainerNotFoundError(f"{NOT_FOUND}: {container_id}") from None
        raise _refused("open", path, error) from None
    return ContainerDir(fd, path, container_id)


def _refused(verb: str, path: str, error: OSError) -> StateError:
    hint = ""
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "run ocipy as root, or choose another place with --root"
    return StateError(f"cannot {verb} {path}: {errno_text(error.errno or 0)}", hint=hint)


def list_ids(root: str) -> list[str]:
    """Return the ids of all containers under the root, sorted; a missing root has none."""
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _refused("read", root, error) from None
    return sorted(name for name in names if os.path.lexists(f"{root}/{name}/{RECORD}"))


def load_record(directory: ContainerDir) -> StateRecord:
    """Read `state.json`.

    Raises:
        ContainerNotFoundError: there is none, so nothing of the container exists.
        RecordError: it is damaged, or from a newer ocipy.
        StateError: it cannot be read now, and says nothing of what it is: too many open files, say.
    """
    value: Json = None
    try:
        text = _read(directory, RECORD)
        if ("\\ud" in text or "\\uD" in text) and _has_surrogates(text):
            raise ValueError("it has escapes that ocipy does not write")
        value = loads(text)
        return read_record(value)
    except FileNotFoundError:
        raise ContainerNotFoundError(f"{NOT_FOUND}: {directory.id}") from None
    except JsonError as error:
        problem = f"{error.problem} (at character {error.offset})"
    except DuplicateName as error:
        problem = f"the name {error.name!r} stands there twice"
    except ValueError as error:  # also a UnicodeDecodeError
        problem = str(error)
    except OSError as error:
        if error.errno not in NO_FILE:
            # It may be all right: whoever took it for damaged would forget a container that lives.
            raise _refused("read", f"{directory.path}/{RECORD}", error) from None
        problem = errno_text(error.errno or 0)
    refused = RecordError(
        f"cannot read {directory.path}/{RECORD}: {problem}",
        hint=f"'ocipy delete --force {directory.id}' removes what can still be found",
    )
    refused.value = value
    raise refused


def _has_surrogates(text: str) -> bool:
    """Half of a surrogate pair cannot be printed. We write characters as they are."""
    # A backslash that is escaped begins no escape: annotations may hold JSON, or paths of Windows.
    bare = text.replace("\\\\", "")
    return "\\ud" in bare or "\\uD" in bare


def save_record(lock: ContainerLock, record: StateRecord) -> None:
    """Replace `state.json`: a reader takes no lock, and sees the old record or the new one.

    Raises:
        StateError: it cannot be written; the old one is as it was.
    """
    _write(lock.directory, RECORD, dumps(record))


def save_config(directory: ContainerDir, text: str) -> None:
    """Keep the accepted config, word for word."""
    _write(directory, CONFIG, text)


def make_meeting_places(directory: ContainerDir, *, start_fifo: bool, notify: bool) -> None:
    """Make where init is met later: the fifos of `start`, the directory of the notify socket.

    Raises:
        StateError: there is no room for them.
    """
    try:
        if start_fifo:
            for name in (REPORT_FIFO, START_FIFO):
                os.mkfifo(name, 0o600, dir_fd=directory.fd)
        if notify:
            # Users in the container may be anybody here; the socket is made by `start`.
            os.mkdir(NOTIFY, 0o700, dir_fd=directory.fd)
            os.chmod(NOTIFY, 0o755, dir_fd=directory.fd)
    except OSError as error:
        raise _not_written(directory.path, error) from None


def config_text(directory: ContainerDir) -> str:
    """Return the accepted config as its file was written. Raises RecordError: it is missing."""
    try:
        return _read(directory, CONFIG)
    except OSError as error:
        reason = errno_text(error.errno or 0)
        raise RecordError(f"cannot read {directory.path}/{CONFIG}: {reason}") from None
    except ValueError as error:
        raise RecordError(f"cannot read {directory.path}/{CONFIG}: {error}") from None


def load_config(directory: ContainerDir) -> dict[str, object]:
    """Return the config that was accepted when the container was made.

    Raises:
        RecordError: it is missing or damaged.
    """
    try:
        config = loads(config_text(directory))
    except ValueError as error:
        raise RecordError(f"cannot read {directory.path}/{CONFIG}: {error}") from None
    if not isinstance(config, dict):
        raise RecordError(f"cannot read {directory.path}/{CONFIG}: it is not an object")
    return dict(config)


def remove(lock: ContainerLock) -> None:
    """Remove the directory; the record goes after all else, so an interrupted remove can be
    repeated. The lock stays held until it is released, and whoever waits for it learns the truth.

    Raises:
        StateError: the kernel refuses; it can be repeated.
    """
    directory = lock.directory
    try:
        _remove_content(directory, keep=LOCK)
        os.unlink(LOCK, dir_fd=directory.fd)
        try:
            os.rmdir(directory.path)
        except FileNotFoundError:
            pass  # what counts is that it is gone
    except OSError as error:
        raise _refused("remove", directory.path, error) from None


def _remove_content(directory: ContainerDir, *, keep: str) -> None:
    names = [name for name in os.listdir(directory.fd) if name not in (keep, RECORD)]
    for name in (*names, RECORD):
        try:
            os.unlink(name, dir_fd=directory.fd)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            # NOTIFY; an older or newer ocipy may have made others.
            import shutil

            shutil.rmtree(f"{directory.path}/{name}")


def _read(directory: ContainerDir, name: str) -> str:
    # Whatever is in the place of the file, a fifo say, is not waited for.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(name, flags, dir_fd=directory.fd)
    # A file object would ask the kernel five things about it first.
    parts, size = [], 0
    try:
        while part := os.read(fd, 65536):
            parts.append(part)
            size += len(part)
            if size > _MAX_BYTES:
                raise ValueError("it is larger than 32 MiB")
    finally:
        os.close(fd)
    return b"".join(parts).decode("utf-8", "surrogateescape")


def _write(directory: ContainerDir, name: str, text: str) -> None:
    # Under the lock there is one writer, so a fixed name is enough, and what an interrupted writer
    # left behind is truncated here instead of collecting in the directory.
    new = f"{name}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(new, flags, 0o600, dir_fd=directory.fd)
        try:
            write_all(fd, text.encode("utf-8", "surrogateescape"))
        finally:
            os.close(fd)
        # No fsync(2): no container outlives the boot that made it, so neither need its record.
        os.rename(new, name, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
    except OSError as error:
        raise _not_written(f"{directory.path}/{name}", error) from None


def _not_written(path: str, error: OSError) -> StateError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StateError(
        f"cannot write {path}: {errno_text(error.errno or 0)}",
        hint="make room there, or choose another place with --root" if full else "",
    )
