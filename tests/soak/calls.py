"""Calls of the runtime from many threads, some of them killed, and a reaper for what they orphan.

The program is the subreaper of all: a container's process whose parent has ended becomes its child,
as it becomes an engine's. Its dead are reaped here, by number, and never those of subprocess.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import os
import subprocess
import tempfile
import threading
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import random

PR_SET_CHILD_SUBREAPER = 36
PATIENCE_SECONDS = 300
ACCIDENTS = ("unexpected error", "Traceback", "bug in ocipy", "AddressSanitizer")
# A whole command takes about as long on a machine that has nothing else to do.
KILLED_WITHIN_SECONDS = 0.1


class Done:
    """How one call has ended: `status` as subprocess has it, -9 if it was killed by us."""

    def __init__(self, words: tuple[str, ...], status: int, out: str, err: str) -> None:
        self.words, self.status, self.out, self.err = words, status, out, err

    def __repr__(self) -> str:
        return f"<{' '.join(self.words)}: status {self.status}, {self.out!r}, {self.err!r}>"

    @property
    def killed(self) -> bool:
        return self.status == -9


class Calls:
    """The runtime's program with one state root; `problems` has what should not have happened."""

    def __init__(self, program: str, root: str, directory: str) -> None:
        self.program, self.root, self.directory = program, root, directory
        self.problems: list[str] = []
        self.counts: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._ours: set[int] = set()
        self._ended = threading.Event()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._reaper = threading.Thread(target=self._reap, daemon=True)
        self._reaper.start()

    def close(self) -> None:
        self._ended.set()
        self._reaper.join()

    def problem(self, text: str) -> None:
        with self._lock:
            self.problems.append(text)

    def call(self, *words: str, killer: random.Random | None = None, share: float = 0.0) -> Done:
        """Run a command to its end; `share` of them are killed (SIGKILL) in the middle."""
        command = [self.program, "--root", self.root, *words]
        with self._file() as out, self._file() as err:
            # From the fork up to here the reaper must not see it.
            with self._lock:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=err
                )
                self._ours.add(process.pid)
            if killer is not None and killer.random() < share:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(killer.uniform(0, KILLED_WITHIN_SECONDS))
                process.kill()
            try:
                status = process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                status = -1
                self.problem(f"no end within {PATIENCE_SECONDS} s: {words}")
            done = Done(words, status, _content(out), _content(err))
        with self._lock:
            self._ours.remove(process.pid)
            self.counts["calls"] += 1
            self.counts["calls killed"] += done.killed
        if any(words in done.err for words in ACCIDENTS):
            self.problem(f"an accident: {done!r}")
        return done

    def must(self, *words: str) -> Done:
        """Run a command that nobody disturbs; what is not status 0 is a problem."""
        done = self.call(*words)
        if done.status != 0:
            self.problem(f"failed: {done!r}")
        return done

    def _file(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self.directory)

    def _reap(self) -> None:
        while not self._ended.wait(0.02):
            with self._lock:
                for pid in _children():
                    if pid not in self._ours:
                        with contextlib.suppress(ChildProcessError):
                            os.waitpid(pid, os.WNOHANG)


def _children() -> list[int]:
    """As leftovers.children(), where threads come and go."""
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):
        with (
            contextlib.suppress(FileNotFoundError, ProcessLookupError),
            open(f"/proc/self/task/{task}/children", encoding="utf-8") as file,
        ):
            found += map(int, file.read().split())
    return found


def _content(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")
