"""Container: one that exists under a state root. run(): one that exists for one program's time."""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import contextmanager
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any

from ocipy import log
from ocipy.cgroup.oom import oom_kills
from ocipy.cgroup.stats import read_stats
from ocipy.commands.create import create_container
from ocipy.commands.delete import delete_container
from ocipy.commands.exec import launch_process
from ocipy.commands.kill import kill_container
from ocipy.commands.pause import change_freezer
from ocipy.commands.ps import container_pids
from ocipy.commands.start import start_container
from ocipy.commands.state import describe_state
from ocipy.commands.update import update_container
from ocipy.config.resources import accept_resources
from ocipy.errors import OcipyError, StateError
from ocipy.library.bundle import opened
from ocipy.library.config import Config, plain
from ocipy.library.process import Completed, Exit, Process, input_bytes
from ocipy.library.streams import Streams
from ocipy.observe.waiting import recorded_exit, watch_container
from ocipy.options import find_command
from ocipy.request import Request
from ocipy.spawn.caller import Caller
from ocipy.state import store
from ocipy.state.status import current_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from ocipy.library.bundle import Source
    from ocipy.library.streams import Stream
    from ocipy.observe.exits import ExitWatch
    from ocipy.request import OptionValue

_logger = logging.getLogger("ocipy")


class Container:
    """A container, by its id and the state root that holds its record.

    As a context manager it deletes the container at the end, killing what still runs in it.

        with ocipy.Container.create(config) as container:
            container.start()
            container.wait()

    Several threads may use containers at the same time, each its own. Commands of `ocipy` and other
    programs may use the same container meanwhile: every change is made under its lock.

    Attributes:
        id: its name under the state root.
        root: the state root, absolute.
        process: its first process: its pid, its streams, and waiting for its end.
    """

    def __init__(self, id: str, root: str, process: Process) -> None:
        """Not for callers: see create() and open()."""
        self.id = id
        self.root = root
        self.process = process

    @classmethod
    def create(
        cls,
        source: Source,
        *,
        id: str = "",
        root: str = "",
        stdin: Stream = DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
        console_socket: str = "",
        no_pivot: bool = False,
        no_new_keyring: bool = False,
        cgroup_manager: str = "",
    ) -> Container:
        """Make a container; its program waits for start().

        Args:
            source: a Bundle or its path; or a Config, or what Config() takes. Without a bundle no
                directory is needed: root.path has to be absolute, and the directory of the
                container's record, which goes when it is deleted, stands for the bundle.
            id: its name; without one it gets a random one.
            root: the state root; `/run/ocipy` by default.
            stdin: as for subprocess: PIPE, DEVNULL, a file, a descriptor, or None for our own; not
                used where process.terminal asks for a terminal.
            stdout: likewise.
            stderr: likewise; STDOUT sends it where stdout goes.
            console_socket: where the terminal goes, if process.terminal asks for one.
            no_pivot: as the option of `ocipy create`.
            no_new_keyring: as the option of `ocipy create`.
            cgroup_manager: as the global option.

        Raises:
            ConfigError: the config is not acceptable, or this host cannot do it.
            StateError: there is a container of that name.
            OcipyError: a step failed; nothing is left of it.
        """
        id = id or f"ocipy-{secrets.token_hex(6)}"  # noqa: A001
        store.check_id(id)
        root = store.root_path(root)
        bundle = opened(source, f"{root}/{id}")
        options: dict[str, OptionValue] = {
            "console-socket": console_socket,
            "no-pivot": no_pivot,
            "no-new-keyring": no_new_keyring,
        }
        with Streams(stdin, stdout, stderr) as streams, _warnings_logged():
            made = create_container(
                _request("create", root, options, cgroup_manager=cgroup_manager),
                id,
                bundle=bundle,
                caller=Caller({}, streams.child),
            )
            # Before the lock goes: nobody can have deleted it, so the pid is not another's.
            made.launch.close()
            made.undo.forget()
            pidfd, made.launch.pidfd = made.launch.pidfd, -1
            process = _first_process(id, root, made.launch.pid, pidfd, streams)
            made.lock.release()
        return cls(id, root, process)

    @classmethod
    def open(cls, id: str, *, root: str = "") -> Container:
        """Return a container that somebody has made, this program or another.

        Raises:
            ContainerNotFoundError: there is none of that name.
            StateError: it is only just being made.
        """
        root = store.root_path(root)
        record, watch = watch_container(root, id)
        if record["pid"] <= 0:
            raise StateError(f"container {id} is still being created")
        if watch is None:
            known = recorded_exit(record)
            ended = Exit.of(known.wait_status, known.oom_killed)
            return cls(id, root, Process(record["pid"], -1, ended=ended))
        pidfd = os.dup(watch.fds[0])
        return cls(id, root, _first_process(id, root, record["pid"], pidfd, watch=watch))

    @classmethod
    def all(cls, *, root: str = "") -> list[Container]:
        """Return the containers of a state root, sorted by their ids."""
        containers = []
        for container_id in store.list_ids(store.root_path(root)):
            try:
                containers.append(cls.open(container_id, root=root))
            except StateError:
                continue  # deleted meanwhile, or not yet made
        return containers

    @property
    def pid(self) -> int:
        """The first process, as the host sees it."""
        return self.process.pid

    @property
    def status(self) -> str:
        """One of "creating", "created", "running", "paused" and "stopped", as it is now.

        Raises:
            ContainerNotFoundError: it was deleted.
        """
        directory = store.find(self.root, self.id)
        return current_status(directory, store.load_record(directory))

    @property
    def config(self) -> Config:
        """What it was made of."""
        directory = store.find(self.root, self.id)
        return Config(store.config_text(directory), name=store.CONFIG)

    def state(self) -> dict[str, Any]:
        """Return what `ocipy state` prints."""
        directory = store.find(self.root, self.id)
        record = store.load_record(directory)
        return describe_state(record, current_status(directory, record))

    def stats(self) -> dict[str, Any]:
        """Return what `ocipy events --stats` prints as "data"; it can be read until delete().

        Raises:
            StateError: the container has no cgroup of its own.
        """
        cgroup = store.load_record(store.find(self.root, self.id)).get("cgroup")
        if not cgroup:
            raise StateError(f"container {self.id} has no cgroup, so nothing is known of its usage")
        return read_stats(cgroup["paths"])

    def pids(self) -> list[int]:
        """Return all its processes, as the host sees them."""
        return container_pids(store.load_record(store.find(self.root, self.id)))

    def start(self) -> None:
        """Let the program run.

        Raises:
            StateError: it was started already, or has ended.
            OcipyError: a step of the start failed, such as execve(2); the process has ended.
        """
        with _warnings_logged():
            start_container(self.root, self.id)

    def wait(self, timeout: float | None = None) -> Exit:
        """Wait until the first process has ended. Raises TimeoutError, see Process.wait()."""
        return self.process.wait(timeout)

    async def wait_async(self) -> Exit:
        """As wait(), in an event loop."""
        return await self.process.wait_async()

    def kill(self, signal: int | str = "KILL", *, everyone: bool = False) -> None:
        """Send a signal to the first process, or to all; SIGKILL ends all of them.

        Raises:
            StateError: it has ended.
            UsageError: no such signal.
        """
        kill_container(self.root, self.id, str(signal), everyone=everyone)

    def pause(self) -> None:
        """Freeze all its processes. Raises StateError unless it is created or running."""
        change_freezer(self.root, self.id, "pause")

    def resume(self) -> None:
        """Let them go on. Raises StateError unless it is paused."""
        change_freezer(self.root, self.id, "resume")

    def update(self, resources: Mapping[str, object]) -> None:
        """Change limits: an object as `linux.resources` of the config; what it leaves out stays.

        Raises:
            ConfigError: it breaks the specification.
            OcipyError: the kernel refuses a limit.
        """
        value: Any = plain(resources)
        with _warnings_logged():
            for pointer, sentence in accept_resources(value, ""):
                log.warning(f"{sentence} ({pointer})")
            update_container(self.root, self.id, value)

    def exec(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "",
        user: str = "",
        capabilities: Sequence[str] = (),
        stdin: Stream = DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> Process:
        """Start another process in it: what the config says of its process, with this over it.

        Args:
            env: added to that of the config.
            user: "UID", "UID:GID", or names of the container's /etc/passwd and /etc/group.

        Raises:
            StateError: the container does not run.
            OcipyError: the process cannot be started.
        """
        if isinstance(args, str):
            raise TypeError("args is a list such as ['/bin/echo', 'hello'], not one string")
        options: dict[str, OptionValue] = {
            "detach": True,
            "cwd": cwd,
            "user": user,
            "env": [f"{name}={value}" for name, value in (env or {}).items()],
            "cap": [*capabilities],
        }
        with Streams(stdin, stdout, stderr) as streams, _warnings_logged():
            launch = launch_process(
                _request("exec", self.root, options, self.id, *args),
                caller=Caller({}, streams.child),
            )
            launch.close()
            return Process(launch.pid, launch.pidfd, streams, was_oom=self._was_oom)

    def delete(self, *, force: bool = False) -> None:
        """Remove it and all that was made for it; with `force`, kill it first if it runs.

        Raises:
            StateError: it runs, or something of it cannot be removed.
        """
        with _warnings_logged():
            delete_container(self.root, self.id, force=force)
        self.process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.delete(force=True)

    def __repr__(self) -> str:
        return f"<ocipy.Container {self.id!r} under {self.root!r}>"

    def _was_oom(self) -> bool:
        return _oom_kills(self.root, self.id) > 0


def run(
    source: Source,
    *,
    input: bytes | str = b"",
    timeout: float | None = None,
    output_limit: int | None = None,
    id: str = "",
    root: str = "",
    cgroup_manager: str = "",
) -> Completed:
    """Make a container, run its program to the end, delete the container; return what it said.

    `asyncio.to_thread(ocipy.run, ...)` does the same for an event loop.

    Args:
        source: as for Container.create().
        input: what the program can read; a str is encoded as UTF-8.
        timeout: seconds from start() on, after which everything in the container is killed.
        output_limit: bytes of stdout, and of stderr, after which it is killed as well.

    Raises:
        OcipyError: as Container.create() and start(); nothing is left of it.
        TypeError: `input` is neither bytes nor str.
    """
    data = input_bytes(input)
    with Container.create(
        source,
        id=id,
        root=root,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cgroup_manager=cgroup_manager,
    ) as container:
        container.start()
        done = container.process.communicate(data, timeout=timeout, output_limit=output_limit)
        try:
            stats = container.stats()
        except StateError:
            return done
        cpu, memory = stats["cpu"]["usage"].get("total"), stats["memory"]["usage"].get("max")
        seconds = None if cpu is None else cpu / 1e9
        return done._replace(cpu_seconds=seconds, peak_bytes=memory)


def _first_process(
    container_id: str,
    root: str,
    pid: int,
    pidfd: int,
    streams: Streams | None = None,
    watch: ExitWatch | None = None,
) -> Process:
    def kill() -> None:
        try:
            kill_container(root, container_id, "KILL", everyone=True)
        except StateError:
            pass  # it has just ended

    def was_oom() -> bool:
        return _oom_kills(root, container_id) > 0

    return Process(pid, pidfd, streams, was_oom=was_oom, kill=kill, watch=watch)


def _oom_kills(root: str, container_id: str) -> int:
    try:
        cgroup = store.load_record(store.find(root, container_id)).get("cgroup")
    except OcipyError:
        return 0
    return oom_kills(cgroup["paths"]) if cgroup else 0


def _request(
    command: str,
    root: str,
    options: dict[str, OptionValue],
    *args: str,
    cgroup_manager: str = "",
) -> Request:
    """Return what the parser makes of a command line with these options."""
    row = find_command(command)
    assert row is not None
    return Request(
        command,
        root=root,
        cgroup_manager=cgroup_manager,
        systemd_cgroup=cgroup_manager == "systemd",
        options=options,
        defaults={option.name: option.default_value() for option in row.options},
        args=[*args],
    )


@contextmanager
def _warnings_logged() -> Iterator[None]:
    try:
        yield
    finally:
        for message in log.take_warnings():
            _logger.warning(message)
