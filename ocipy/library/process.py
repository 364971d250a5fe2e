"""Process: the first process of a container or one that exec started, until its exit status."""

from __future__ import annotations

import asyncio
import os
import select
import time
from typing import TYPE_CHECKING, NamedTuple

from ocipy.errors import StateError
from ocipy.library.streams import Conversation
from ocipy.signals import pidfd_send_signal, signal_number

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

    from ocipy.library.streams import Streams
    from ocipy.observe.exits import ExitWatch


class Exit(NamedTuple):
    """How a process ended.

    Attributes:
        status: its exit status, or None: a signal ended it, or nobody knows (it was no child of
            ours, and was reaped by its parent before we could look).
        signal: the number of the signal that ended it, or None.
        oom: whether the kernel has killed processes of its container for want of memory.
    """

    status: int | None
    signal: int | None = None
    oom: bool = False

    @classmethod
    def of(cls, wait_status: int | None, oom: bool) -> Exit:
        """Return what a status as wait(2) gives it says; None: nobody knows."""
        if wait_status is None:
            return cls(None, None, oom)
        if os.WIFSIGNALED(wait_status):
            return cls(None, os.WTERMSIG(wait_status), oom)
        return cls(os.WEXITSTATUS(wait_status), None, oom)

    @property
    def code(self) -> int:
        """What a shell would say: the status, or 128 and the signal's number; 255 if unknown."""
        if self.signal is not None:
            return 128 + self.signal
        return 255 if self.status is None else self.status

    @property
    def succeeded(self) -> bool:
        return self.status == 0


class Completed(NamedTuple):
    """What is left of a process that was talked to until its end.

    Attributes:
        exit: how it ended.
        stdout, stderr: what it wrote; b"" where that went somewhere else.
        timed_out: it was killed because its time was up.
        truncated: it was killed because it wrote more than was allowed.
        cpu_seconds: what its container has used up to then, exec included; None if unknown.
        peak_bytes: the most memory that its container held at once; None if unknown.
    """

    exit: Exit
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    truncated: bool = False
    cpu_seconds: float | None = None
    peak_bytes: int | None = None


class Process:
    """One process, held by a pidfd: it cannot be mistaken for another that got its number.

    wait() and wait_async() are two ways to sleep until the same descriptor is readable. Both may be
    called again, and by several; the exit status is kept.

    Attributes:
        pid: as the host sees it.
        stdin, stdout, stderr: unbuffered binary files, where PIPE was asked for, or None.
    """

    def __init__(
        self,
        pid: int,
        pidfd: int,
        streams: Streams | None = None,
        *,
        was_oom: Callable[[], bool] = lambda: False,
        kill: Callable[[], None] | None = None,
        watch: ExitWatch | None = None,
        ended: Exit | None = None,
    ) -> None:
        """Hold a process; `pidfd` becomes ours, or -1 says that it has `ended`.

        `kill` ends it for communicate(); `watch` knows the end of one that is no child of ours.
        """
        _reap_abandoned()
        self.pid = pid
        self._pidfd = pidfd
        self._streams = streams
        self._was_oom = was_oom
        self._kill = kill or (lambda: self.send_signal("KILL"))
        self._watch = watch
        self._exit = ended

    @property
    def stdin(self) -> io.FileIO | None:
        return self._streams.stdin if self._streams else None

    @property
    def stdout(self) -> io.FileIO | None:
        return self._streams.stdout if self._streams else None

    @property
    def stderr(self) -> io.FileIO | None:
        return self._streams.stderr if self._streams else None

    def fileno(self) -> int:
        """Return the pidfd, which is readable once the process has ended: for select and poll."""
        if self._pidfd < 0:
            raise StateError("the process was closed")
        return self._pidfd

    def poll(self) -> Exit | None:
        """Return how it ended, None while it runs."""
        if self._exit is None and self._wait_until_readable(0):
            self._exit = self._collect()
        return self._exit

    def wait(self, timeout: float | None = None) -> Exit:
        """Wait until it has ended; return how.

        Raises:
            TimeoutError: it has not within `timeout` seconds; it goes on.
        """
        if self._exit is None:
            if not self._wait_until_readable(timeout):
                raise TimeoutError(f"process {self.pid} has not ended within {timeout} s")
            self._exit = self._collect()
        return self._exit

    async def wait_async(self) -> Exit:
        """As wait(), in an event loop; asyncio.timeout() and cancellation leave it running."""
        if self._exit is None:
            # A copy, because a loop has one reader for each descriptor.
            fd = os.dup(self.fileno())
            loop = asyncio.get_running_loop()
            ended = loop.create_future()
            try:
                loop.add_reader(fd, _settle, ended)
                await ended
            finally:
                loop.remove_reader(fd)
                os.close(fd)
            self._exit = self.poll()
        assert self._exit is not None
        return self._exit

    def send_signal(self, signal: int | str) -> None:
        """Send a signal, such as 15, "TERM" or "SIGRTMIN+3", to this process; not if it has ended.

        Raises:
            UsageError: no such signal.
        """
        number = signal_number(str(signal))
        if self._exit is None:
            try:
                pidfd_send_signal(self.fileno(), number)
            except ProcessLookupError:
                pass

    def communicate(
        self,
        input: bytes | str = b"",
        *,
        timeout: float | None = None,
        output_limit: int | None = None,
    ) -> Completed:
        """Write to its stdin, read its stdout and stderr, until it ends; where they are pipes.

        Args:
            input: what it can read; a str is encoded as UTF-8.
            timeout: seconds after which it is killed.
            output_limit: bytes of stdout, and of stderr, after which it is killed.

        Raises:
            TypeError: `input` is neither bytes nor str.
        """
        data = input_bytes(input)
        if self._streams is None:
            raise StateError("only who has started a process can communicate with it")
        if data and self._streams.stdin is None:
            raise StateError(
                "there is input, but stdin is no pipe", hint="start it with stdin=PIPE"
            )
        said = Conversation(self._streams, data, output_limit, self._kill).run(
            self.fileno(), timeout
        )
        return Completed(self.wait(), *said)

    def close(self) -> None:
        """Let go of the process, which goes on, and of the pipes to it."""
        if self._streams is not None:
            self._streams.close()
        if self._pidfd >= 0:
            self.poll()  # nobody else would reap it
            os.close(self._pidfd)
            self._pidfd = -1
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def __del__(self) -> None:
        if getattr(self, "_pidfd", -1) >= 0:
            _abandoned.append(self._pidfd)
            _reap_abandoned()

    def _wait_until_readable(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        if timeout is None:
            return bool(poll.poll())
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            # poll(2) counts in an int: longer than 24 days, up to math.inf, is waited for in parts.
            if poll.poll(min(left * 1000, 0x7FFFFFFF)):
                return True
            if not time.monotonic() < deadline:
                return False

    def _collect(self) -> Exit:
        """Return how the process, which has ended, did so; it is reaped if it is our child."""
        if self._watch is not None:
            found = self._watch.result()
            return Exit.of(found.wait_status, found.oom_killed)
        oom = self._was_oom()
        try:
            return Exit.of(os.waitpid(self.pid, 0)[1], oom)
        except ChildProcessError:  # somebody else in this program has waited for it
            return Exit.of(None, oom)


# The pidfds of processes that run, and whose objects are gone. As subprocess does, they are reaped
# when another object is made.
_abandoned: list[int] = []


def _reap_abandoned() -> None:
    run = []
    while True:
        try:
            pidfd = _abandoned.pop()  # each is taken by one thread only
        except IndexError:
            break
        try:
            if os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG) is None:
                run.append(pidfd)
                continue
        except ChildProcessError:  # no child of ours, or somebody else has waited for it
            pass
        os.close(pidfd)
    _abandoned.extend(run)


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():  # a reader may be called once more before it is removed
        ended.set_result(None)


def input_bytes(data: bytes | str) -> bytes:
    """Return what a process is to read. Raises TypeError for what is neither bytes nor str."""
    if isinstance(data, str):
        return data.encode()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"input is bytes or str, not {type(data).__name__}")
    return bytes(data)
