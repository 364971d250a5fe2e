"""The cgroup of a container that exists: its processes, and its end.

What a container has is in its record, before any of it is made. `made` are the directories that
were not there then. The others belong to somebody else and stay.
"""

from __future__ import annotations

import errno
import os
import select
import time

from ocipy.cgroup import freezer
from ocipy.cgroup.files import read_pids, sub_cgroups, write_file
from ocipy.errors import StateError, errno_text
from ocipy.signals import SIGKILL, pidfd_send_signal

# Gone, or never made: a cgroup cannot have the name of a file of the kernel's.
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocipy.cgroup.facts import CgroupFacts
    from ocipy.cgroup.systemd.scope import Scope
    from ocipy.state.record import CgroupRecord

# SIGKILL is sent again to what was forked while the list was read. Each round reaches all that
# existed at its beginning; without a freezer, a fork bomb takes several.
_KILL_ROUNDS = 50
# For a process that cannot be frozen, such as one that waits for a disk, the others need not wait.
_KILL_FREEZE_SECONDS = 0.5
# Between a process's end and its cgroup's becoming removable lies some work of the kernel's.
_RETRY_SECONDS = 0.001


def make_record(
    paths: Mapping[str, str], facts: CgroupFacts, scope: Scope | None = None
) -> CgroupRecord | None:
    """Return what to put into the container's record before its cgroup is made.

    Args:
        paths: what container_cgroups() has returned; empty with --cgroup-manager=disabled.
        scope: with the systemd driver, the unit; the slices above it are systemd's own.

    Returns:
        None, if the container gets no cgroup of its own.
    """
    if not paths:
        return None
    if scope is not None:
        # With processes in it, it is somebody else's, and create will refuse it.
        made = [] if _all_pids(scope.path) else [scope.path]
        return {
            "driver": "systemd",
            "paths": dict(paths),
            "made": made,
            "unit": scope.unit,
            "bus": scope.bus,
        }
    from ocipy.cgroup.apply import missing_directories
    from ocipy.cgroup.plan import mountpoint_of

    made = []
    for controllers, path in paths.items():
        made += missing_directories(path, mountpoint_of(facts, controllers))
    return {"driver": "cgroupfs", "paths": dict(paths), "made": made}


def denied_cgroup(paths: Mapping[str, str]) -> str:
    """Return a directory in which we may not make the container's cgroup; "" if we may in one."""
    denied = ""
    for path in paths.values():
        parent = os.path.dirname(path)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        if os.access(parent, os.W_OK):
            return ""
        denied = parent
    return denied


def open_cgroup(record: CgroupRecord) -> Cgroup:
    """Return the cgroup of a container; it need not exist any more."""
    paths = record["paths"]
    made = record.get("made", list(paths.values()))
    if unit := record.get("unit", ""):
        return ScopeCgroup(paths, made, unit, record.get("bus", ""))
    return Cgroup(paths, made)


def require_thawed_above(record: CgroupRecord | None) -> None:
    """Raise StateError if a cgroup above a container's is frozen: what is started would stand
    still, and whoever waits for it, too."""
    if record and (frozen := open_cgroup(record).frozen_above()):
        raise StateError(f"the cgroup {frozen} is frozen", hint=freezer.how_to_thaw(frozen))


class Cgroup:
    """A container's directories in all hierarchies. Every method is fine with any of them gone."""

    __slots__ = ("made", "paths")

    def __init__(self, paths: Mapping[str, str], made: Sequence[str]) -> None:
        self.paths = paths
        self.made = made

    def _v1(self, controller: str) -> str:
        for controllers, path in self.paths.items():
            if controller in controllers.split(","):
                return path
        return ""

    @property
    def _processes(self) -> str:
        """The hierarchy in which processes are looked for: the one where they can be frozen."""
        return self._v1("freezer") or self.paths.get("") or next(iter(self.paths.values()), "")

    def exists(self) -> bool:
        return os.path.isdir(self._processes)

    def pids(self) -> list[int]:
        """Return the pids of all processes, those in sub-cgroups too, in ascending order."""
        if not self.paths:
            return []
        return _all_pids(self._processes)

    def is_frozen(self) -> bool:
        """Has the container been paused? A frozen cgroup above it does not count."""
        if path := self._v1("freezer"):
            return freezer.is_frozen_v1(path)
        return freezer.is_frozen_v2(self.paths.get("", ""))

    def frozen_above(self) -> str:
        """Return the cgroup above this one that somebody has frozen, "" if there is none."""
        path = self._v1("freezer") or self.paths.get("", "")
        return freezer.frozen_above(path) if path else ""

    def freeze(self) -> None:
        """Suspend every process.

        Raises:
            StateError: one cannot be suspended, or there is no freezer.
        """
        if path := self._v1("freezer"):
            freezer.freeze_v1(path, freezer.FREEZE_SECONDS)
        elif "" in self.paths:
            freezer.freeze_v2(self.paths[""])
        else:
            raise StateError("cannot freeze: the freezer controller is not mounted")

    def thaw(self) -> None:
        """Let every process run again."""
        if path := self._v1("freezer"):
            freezer.thaw_v1(path)
        elif "" in self.paths:
            freezer.thaw_v2(self.paths[""])

    def kill(self) -> None:
        """Send SIGKILL to every process, also those in sub-cgroups; does not wait for their end."""
        freezer_path = self._v1("freezer")
        if unified := self.paths.get("", ""):
            reached = set(_all_pids(unified))
            if self._kill_at_once(unified) and (
                not freezer_path or reached.issuperset(self.pids())
            ):
                if freezer_path and self.is_frozen():
                    self.thaw()  # in v1 a frozen process does not even die
                return
        frozen = False
        try:
            for _ in range(_KILL_ROUNDS):
                pids = self.pids()
                if not pids:
                    return
                if not frozen and freezer_path:
                    try:
                        freezer.freeze_v1(freezer_path, _KILL_FREEZE_SECONDS)
                        frozen = True
                        continue
                    except StateError:
                        pass  # then in rounds
                for pid in pids:
                    self._kill_one(pid)
                if frozen or set(self.pids()) <= set(pids):
                    return
        finally:
            if frozen or self.is_frozen():
                self.thaw()

    @staticmethod
    def _kill_at_once(path: str) -> bool:
        """cgroup.kill (Linux 5.14) reaches every process, whatever it forks; False: not there."""
        try:
            write_file(f"{path}/cgroup.kill", "1")
        except OSError:
            return False  # gone, older, or threaded
        return True

    def _kill_one(self, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return  # gone; or the pid of a thread: then its process is listed elsewhere
        try:
            # Listed again after it was opened, the descriptor is not that of a stranger who was
            # given the number in between.
            if pid in self.pids():
                pidfd_send_signal(pidfd, SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)

    def remove(self, deadline_seconds: float = 10.0) -> None:
        """Remove the directories that were made for the container, and those it has made in them.

        Processes that are still there are killed. A parent that others use meanwhile stays.

        Raises:
            StateError: after `deadline_seconds` there is still a process, or the kernel refuses.
        """
        deadline = time.monotonic() + deadline_seconds
        for path in self.paths.values():
            if path not in self.made:
                continue
            while busy := self._remove_tree(path, final=time.monotonic() >= deadline):
                self.kill()
                _wait_for_processes(busy, deadline)
        for path in self.made:
            if path not in self.paths.values():
                try:
                    os.rmdir(path)
                except OSError as error:
                    # Others have made cgroups in this parent, or it is gone.
                    if error.errno not in (errno.EBUSY, errno.ENOTEMPTY, *_NOT_THERE):
                        raise self._cannot_remove(path, error) from None

    def _remove_tree(self, path: str, *, final: bool) -> str:
        """Remove a cgroup and those below it; return one that is busy, or "" if all are gone."""
        try:
            os.rmdir(path)  # mostly nothing is below
            return ""
        except OSError as error:
            if error.errno in _NOT_THERE:
                return ""
            if error.errno != errno.EBUSY:
                raise self._cannot_remove(path, error) from None
        for directory in (*sub_cgroups(path), path):
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                continue
            except OSError as error:
                if final or error.errno != errno.EBUSY:
                    raise self._cannot_remove(directory, error) from None
                return directory
        return ""

    @staticmethod
    def _cannot_remove(path: str, error: OSError) -> StateError:
        pids = read_pids(path)
        if not pids:
            return StateError(f"cannot remove the cgroup {path}: {errno_text(error.errno or 0)}")
        from ocipy.cgroup.holding import why_it_stays

        sentence, hint = why_it_stays(pids[0], pids, freezer.frozen_above(path))
        return StateError(f"cannot remove the cgroup {path}: still in it: {sentence}", hint=hint)


class ScopeCgroup(Cgroup):
    """The cgroup of a scope unit, which systemd removes once the unit has stopped."""

    __slots__ = ("bus", "unit")

    def __init__(self, paths: Mapping[str, str], made: Sequence[str], unit: str, bus: str) -> None:
        super().__init__(paths, made)
        self.unit = unit
        self.bus = bus

    def remove(self, deadline_seconds: float = 10.0) -> None:
        """Remove the cgroup, then stop the unit: with nobody in it there is nothing to wait for."""
        super().remove(deadline_seconds)
        if self.made:
            from ocipy.cgroup.systemd.apply import stop_unit

            stop_unit(self.unit, self.bus)


def _all_pids(path: str) -> list[int]:
    """Return the pids of a cgroup and of those below it, in ascending order."""
    found = {pid for each in (path, *sub_cgroups(path)) for pid in read_pids(each)}
    return sorted(found - {0})


def _wait_for_processes(path: str, deadline: float) -> None:
    """Wait until one of the cgroup's processes has ended; a moment if there is none to wait for."""
    for pid in read_pids(path):
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        finally:
            os.close(pidfd)
        break
    time.sleep(_RETRY_SECONDS)
