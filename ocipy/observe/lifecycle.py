"""What happens to containers, as it happens, without a daemon: a watcher of the state root.

Theory of operation. Every command that changes a container replaces its record, and takes and
gives back its lock: inotify(7) tells of both. A pidfd tells of the end of the process, the memory
cgroup of want of memory. None of these says what has changed; whenever anything has, the state of
each container is looked at again, and what is different from the last time becomes a record. So
nothing is lost when two things happen at once, and the order is always that of a life:

    created, started, (paused, resumed, oom)*, exit, deleted

A container that comes and goes between two looks is not seen. What cannot wake the watcher, a
cgroup frozen by somebody else, is found within a second.
"""

from __future__ import annotations

import os
import select
import time

from ocipy.errors import OcipyError
from ocipy.observe.exits import Exit, ExitWatch, watch_exit
from ocipy.observe.waiting import recorded_exit
from ocipy.state import store
from ocipy.state.status import CREATED, CREATING, PAUSED, RUNNING, STOPPED, current_status
from ocipy.sys import observe_native
from ocipy.sys.observe_native import (
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONLYDIR,
)
from ocipy.timestamp import utc_timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocipy.cgroup.oom import OomWatch
    from ocipy.json_text import Json
    from ocipy.state.record import StateRecord
    from ocipy.state.store import ContainerDir

_LOOK_SECONDS = 1.0
_ROOT_EVENTS = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR
_CONTAINER_EVENTS = IN_MOVED_TO | IN_DELETE | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_ONLYDIR


def follow_lifecycle(root: str, container_id: str = "") -> Iterator[dict[str, Json]]:
    """Yield a record for everything that happens to a container, or to all below the state root.

    It begins with what has happened already to those that are there. With a `container_id` it ends
    with the record that says `deleted`; otherwise it never does.

    Raises:
        StateError: there is no such container.
    """
    if container_id:
        store.load_record(store.find(root, container_id))
    watcher = _Watcher(root, container_id)
    try:
        yield from watcher.follow()
    finally:
        watcher.close()


class _Life:
    """What is known of one container, and what has been told of it."""

    def __init__(self, directory: ContainerDir, record: StateRecord) -> None:
        self.directory = directory
        self.created = record["created"]
        self.told = CREATING
        self.pid = 0
        self.exit_watch: ExitWatch | None = None
        self.oom_watch: OomWatch | None = None

    def watch(self, record: StateRecord) -> None:
        """Watch the process that the record names: init leaves a child in its place."""
        if record["pid"] == self.pid:
            return
        if self.exit_watch is not None:
            self.exit_watch.close()
        self.pid = record["pid"]
        cgroup = record.get("cgroup")
        paths = cgroup["paths"] if cgroup else {}
        self.exit_watch = watch_exit(self.pid, record["startTicks"], paths)
        if self.oom_watch is None and paths:
            from ocipy.cgroup.oom import OomWatch

            try:
                self.oom_watch = OomWatch(paths)
            except (OSError, KeyError):  # no memory controller, or its cgroup is gone
                pass

    def close(self) -> None:
        if self.exit_watch is not None:
            self.exit_watch.close()
        if self.oom_watch is not None:
            self.oom_watch.__exit__()
        self.exit_watch = self.oom_watch = None


class _Watcher:
    def __init__(self, root: str, container_id: str) -> None:
        self.root = root
        self.only = container_id
        self.lives: dict[str, _Life] = {}
        self.inotify = observe_native.inotify()
        # Nobody may have made the root yet, and somebody may remove it.
        self.root_is_watched = False

    def close(self) -> None:
        for life in self.lives.values():
            life.close()
        os.close(self.inotify)

    def follow(self) -> Iterator[dict[str, Json]]:
        while True:
            self._watch_root()
            for container_id in [self.only] if self.only else store.list_ids(self.root):
                if container_id not in self.lives:
                    self._meet(container_id)
            for life in list(self.lives.values()):
                yield from self._look(life)
            if self.only and self.only not in self.lives:
                return
            self._wait()

    def _watch_root(self) -> None:
        if self.root_is_watched:
            return
        try:
            observe_native.inotify_watch(self.inotify, self.root, _ROOT_EVENTS)
            self.root_is_watched = True
        except OSError:
            pass  # it is not there yet: looked for each second

    def _meet(self, container_id: str) -> None:
        try:
            directory = store.find(self.root, container_id)
            observe_native.inotify_watch(self.inotify, directory.path, _CONTAINER_EVENTS)
            record = store.load_record(directory)
        except (OcipyError, OSError):
            return  # gone, or not there yet
        self.lives[container_id] = _Life(directory, record)

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self.inotify, select.POLLIN)
        for life in self.lives.values():
            if life.exit_watch is not None and life.told != STOPPED:
                for fd in life.exit_watch.fds:
                    poll.register(fd, select.POLLIN)
            if life.oom_watch is not None:
                poll.register(*life.oom_watch.polled)
        poll.poll(_LOOK_SECONDS * 1000)
        try:
            while os.read(self.inotify, 65536):
                pass
        except BlockingIOError:
            pass

    def _look(self, life: _Life) -> Iterator[dict[str, Json]]:
        try:
            record = store.load_record(life.directory)
            status = current_status(life.directory, record)
        except store.ContainerNotFoundError:
            yield from self._gone(life)
            return
        except OcipyError:
            return  # a damaged record says nothing new
        if status == CREATING and record["pid"] == 0:
            return
        life.watch(record)
        if status in (CREATED, RUNNING, PAUSED):
            yield from self._up_to(life, status)
        yield from self._out_of_memory(life)
        if status == STOPPED and life.told != STOPPED:
            if record["status"] == CREATING:
                return  # it is being taken back
            if record["status"] == RUNNING:
                yield from self._up_to(life, RUNNING)
            elif life.told == CREATING:
                yield from self._up_to(life, CREATED)
            yield from self._ended(life, record)

    def _up_to(self, life: _Life, status: str) -> Iterator[dict[str, Json]]:
        """Tell what lies between what was told last and this status."""
        if life.told == CREATING:
            yield self._event(life, "created", at=life.created)
            life.told = CREATED
        if life.told == CREATED and status in (RUNNING, PAUSED):
            yield self._event(life, "started", {"pid": life.pid})
            life.told = RUNNING
        if life.told == RUNNING and status == PAUSED:
            yield self._event(life, "paused")
            life.told = PAUSED
        elif life.told == PAUSED and status == RUNNING:
            yield self._event(life, "resumed")
            life.told = RUNNING

    def _out_of_memory(self, life: _Life) -> Iterator[dict[str, Json]]:
        if life.oom_watch is None:
            return
        try:
            told = life.oom_watch.take()
        except OSError:  # the cgroup is gone
            life.oom_watch.__exit__()
            life.oom_watch = None
            return
        if told:
            yield self._event(life, "oom")

    def _ended(self, life: _Life, record: StateRecord | None) -> Iterator[dict[str, Json]]:
        ended = Exit(None)
        if life.exit_watch is not None and life.exit_watch.wait(0):
            ended = life.exit_watch.result()
        if ended.wait_status is None and record is not None:
            ended = recorded_exit(record)
        data: dict[str, Json] = {**ended.to_json()}  # type: ignore[dict-item]
        if life.told == CREATED:
            data["started"] = False
        yield self._event(life, "exit", data)
        life.told = STOPPED
        life.close()

    def _gone(self, life: _Life) -> Iterator[dict[str, Json]]:
        if life.told not in (CREATING, STOPPED):
            yield from self._out_of_memory(life)
            yield from self._ended(life, None)
        if life.told != CREATING:
            yield self._event(life, "deleted")
        life.close()
        del self.lives[life.directory.id]

    def _event(
        self, life: _Life, kind: str, data: dict[str, Json] | None = None, at: str = ""
    ) -> dict[str, Json]:
        event: dict[str, Json] = {
            "type": kind,
            "id": life.directory.id,
            "time": at or utc_timestamp(time.time_ns(), nanoseconds=True),
        }
        if data:
            event["data"] = data
        return event
