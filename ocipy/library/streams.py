"""The standard streams of a process: where they lead, and talking through them."""

from __future__ import annotations

import fcntl
import io
import os
import selectors
import time
from subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

# As for subprocess: PIPE, DEVNULL, STDOUT (of stderr), a file or its descriptor, None: our own.
Stream: TypeAlias = "int | io.IOBase | None"

_CHUNK = 65536
# What is left in a pipe when its process has ended: as much as one may hold, pipe(7).
_PIPE_CHUNKS = (1 << 20) // _CHUNK


class Streams:
    """Three streams of a process that is to be started; a context manager around its start.

    Attributes:
        child: descriptors for the process, all above 2; open until the context ends.
        stdin, stdout, stderr: our unbuffered ends of pipes, or None.
    """

    __slots__ = ("child", "stderr", "stdin", "stdout")

    def __init__(self, stdin: Stream, stdout: Stream, stderr: Stream) -> None:
        """Open what has to be opened. Raises TypeError or OSError for what is no stream."""
        self.stdin: io.FileIO | None = None
        self.stdout: io.FileIO | None = None
        self.stderr: io.FileIO | None = None
        fds: list[int] = []
        try:
            for number, stream in enumerate((stdin, stdout, stderr)):
                fds.append(self._open(number, stream, fds))
        except BaseException:
            self._close(fds)
            self.close()
            raise
        self.child = (fds[0], fds[1], fds[2])

    def _open(self, number: int, stream: Stream, before: list[int]) -> int:
        if stream == PIPE:
            reading, writing = os.pipe2(os.O_CLOEXEC)
            if number == 0:
                self.stdin = io.FileIO(writing, "w")
                return _above_2(reading)
            ours = io.FileIO(reading, "r")
            if number == 1:
                self.stdout = ours
            else:
                self.stderr = ours
            return _above_2(writing)
        if stream == DEVNULL:
            return _above_2(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
        if stream == STDOUT:
            if number != 2:
                raise TypeError("STDOUT can only be where stderr goes")
            return _copy(before[1])
        if stream is None:
            return _copy(number)
        if isinstance(stream, int):
            return _copy(stream)
        if not hasattr(stream, "fileno"):
            kind = type(stream).__name__
            raise TypeError(f"a stream is PIPE, DEVNULL, a file or a descriptor, not {kind}")
        return _copy(stream.fileno())

    def __enter__(self) -> Streams:
        return self

    def __exit__(self, kind: object, *exc_info: object) -> None:
        """Close what belongs to the process; after a failure, our ends as well."""
        self._close(self.child)
        if kind is not None:
            self.close()

    def close(self) -> None:
        """Close our ends."""
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                file.close()

    @staticmethod
    def _close(fds: tuple[int, ...] | list[int]) -> None:
        for fd in fds:
            os.close(fd)


def _copy(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


def _above_2(fd: int) -> int:
    """Return the descriptor, or a copy of it above 2 in its place."""
    if fd > 2:
        return fd
    copy = _copy(fd)
    os.close(fd)
    return copy


class Said(NamedTuple):
    """What a process has written, and why it was stopped, if it was."""

    stdout: bytes
    stderr: bytes
    timed_out: bool
    truncated: bool


class Conversation:
    """Feeds a process its input and keeps its output, until it ends or oversteps a bound."""

    def __init__(
        self, streams: Streams, data: bytes, output_limit: int | None, stop: Callable[[], None]
    ) -> None:
        """`stop` ends the process: called once when time is up, or one output is too long."""
        self._streams = streams
        self._data = memoryview(data)
        self._limit = output_limit
        self._stop = stop
        self._stopped = self._timed_out = self._truncated = False
        self._output = {s: bytearray() for s in (streams.stdout, streams.stderr) if s is not None}

    def run(self, pidfd: int, timeout: float | None) -> Said:
        """Talk until the process has ended and its output is read.

        What others still hold open is not waited for: the end of the process is the end.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            self._register(selector, pidfd)
            ended = False
            while not ended:
                left = None
                if deadline is not None:
                    # epoll(7) counts milliseconds in an int: a day at a time is enough.
                    left = min(deadline - time.monotonic(), 86400.0)
                if left is not None and not left > 0 and not self._stopped:
                    self._timed_out = True
                    self._stop_once()
                ready = selector.select(None if self._stopped else left)
                for key, _ in ready:
                    if key.fd == pidfd:
                        ended = True
                    elif key.fileobj is self._streams.stdin:
                        self._write(selector)
                    elif self._read(key.fileobj) == 0:  # type: ignore[arg-type]
                        selector.unregister(key.fileobj)
        for file in self._output:
            for _ in range(_PIPE_CHUNKS):
                if self._read(file) <= 0:
                    break
        out, err = self._said(self._streams.stdout), self._said(self._streams.stderr)
        return Said(out, err, self._timed_out, self._truncated)

    def _said(self, file: io.FileIO | None) -> bytes:
        return b"" if file is None else bytes(self._output[file])

    def _register(self, selector: selectors.BaseSelector, pidfd: int) -> None:
        selector.register(pidfd, selectors.EVENT_READ)
        for file in self._output:
            os.set_blocking(file.fileno(), False)
            selector.register(file, selectors.EVENT_READ)
        if self._streams.stdin is not None:
            os.set_blocking(self._streams.stdin.fileno(), False)
            selector.register(self._streams.stdin, selectors.EVENT_WRITE)

    def _write(self, selector: selectors.BaseSelector) -> None:
        file = self._streams.stdin
        assert file is not None
        try:
            if self._data:
                self._data = self._data[os.write(file.fileno(), self._data[:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not want to hear the rest
            self._data = self._data[:0]
        if not self._data:
            selector.unregister(file)
            file.close()

    def _read(self, file: io.FileIO) -> int:
        """Read once; return how many bytes: 0 at the end of file, -1 if there are none for now."""
        try:
            data = os.read(file.fileno(), _CHUNK)
        except BlockingIOError:
            return -1
        kept = self._output[file]
        kept += data
        if self._limit is not None and len(kept) > self._limit:
            del kept[self._limit :]
            self._truncated = True
            self._stop_once()
        return len(data)

    def _stop_once(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._stop()
