"""`--trace FILE`: when each step of Python, of the host and of init began and ended.

Theory of operation. The host's own steps are timed here. Init sends a message after each of its
steps (PLAN_FLAG_TRACE) with the time of CLOCK_MONOTONIC, which is the same clock everywhere on the
machine; a step of init began when the one before it ended, or when the host let it go on. Once a
seccomp filter is loaded init is silent, as the filter may forbid to speak: the rest is told by the
end of file that execve(2) makes. What the interpreter took before this module was there is known
from its CPU time. Without the option nothing of this is loaded, and init sends nothing.

FILE is in the Trace Event Format, which Perfetto and chrome://tracing open as it is;
`ocipy trace FILE` shows it in a terminal.
"""

from __future__ import annotations

import os
import time

from ocipy import __version__
from ocipy.errors import UsageError, errno_text
from ocipy.json_text import dumps
from ocipy.plan import _generated_steps as steps
from ocipy.plan.trace_parent import caller_trace_parent
from ocipy.sys.fd import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.json_text import Json
    from ocipy.plan.step import Step
    from ocipy.spawn.launch import Launch

FORMAT = "ocipy trace 1"
# Rows of the time line: Perfetto shows each as a process of its own.
ROWS = {"python": 1, "host": 2, "init": 3, "start": 3}
_ROW_NAMES = {1: "ocipy: read, accept, plan", 2: "ocipy: steps on the host", 3: "ocipy-init"}


class Tracer:
    """Collects the times of one command, and writes them once."""

    def __init__(self, path: str, command: str, container_id: str) -> None:
        """Begin; the file is made now, so that it is known to be writable before anything else.

        Raises:
            UsageError: it cannot be written.
        """
        self._last = time.monotonic_ns()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY
        flags |= os.O_NONBLOCK  # or a fifo that nobody reads would be waited for
        try:
            self._fd = os.open(path, flags, 0o644)
        except OSError as error:
            raise UsageError(
                f"cannot write the trace {path}: {errno_text(error.errno or 0)}",
                hint="--trace names a file that is made, or overwritten",
            ) from None
        # The interpreter does nothing but compute until it comes here.
        self._begin = self._last - time.process_time_ns()
        self._command = command
        self._id = container_id
        self._events: list[dict[str, Json]] = []
        self._launch: Launch | None = None
        self._host_ends: list[int] = []
        self._spawned = self._spawn_began = 0
        self._add("python", "start the interpreter, load modules", self._begin, self._last)

    def mark(self, name: str) -> None:
        """Say what was done since the last mark."""
        now = time.monotonic_ns()
        self._add("python", name, self._last, now)
        self._last = now

    def follow(self, launch: Launch) -> None:
        """Take the steps, and what init reports of them, from this launch."""
        self._launch = launch

    def host_step(self, index: int, step: Step, begin: int) -> None:
        """Note a step of the host that began at `begin` and has just ended."""
        self._last = time.monotonic_ns()
        self._host_ends.append(self._last)
        if isinstance(step, steps.SpawnInit):
            self._spawned, self._spawn_began = self._last, begin
        self._add_step(index, step, begin, self._last)

    def finish(self, failure: str = "") -> None:
        """Write the file; only the first call does. Raises nothing: a trace must not fail a run."""
        if self._fd < 0:
            return
        end = time.monotonic_ns()
        if self._launch is not None:
            self._add_init_steps(self._launch, end, failure)
        self._events.sort(key=lambda event: event["ts"])  # type: ignore[arg-type, return-value]
        trace: Json = {
            "traceEvents": [*self._row_names(), *self._events],
            "displayTimeUnit": "ms",
            "otherData": {
                "format": FORMAT,
                "version": __version__,
                "command": self._command,
                "container": self._id,
                "kernel": os.uname().release,
                "traceparent": caller_trace_parent(os.environ),
                "failure": failure,
            },
        }
        try:
            write_all(self._fd, (dumps(trace, 1) + "\n").encode("utf-8", "surrogateescape"))
        except OSError:
            pass
        os.close(self._fd)
        self._fd = -1

    def _add_init_steps(self, launch: Launch, end: int, failure: str) -> None:
        of_init = [(i, step) for i, step in enumerate(launch.steps) if step.place != "host"]
        ended = dict(launch.trace)
        last = 0
        for index, step in of_init:
            if index not in ended:
                # Silent behind the filter, failed, or not begun: the first one lasted to the end.
                if last and (failure or step.place == "start"):
                    name = (
                        "the rest, behind the seccomp filter" if "seccomp" in step.operation else ""
                    )
                    self._add_step(index, step, last, end, name=name)
                break
            # It could not begin before the host had done what comes before it in the plan; but for
            # a wait, which is for that.
            before = [at for at in self._host_ends if at <= ended[index]]
            if isinstance(step, steps.AwaitHost):
                before = [self._spawned]
            # On a busy machine init may have ended a step before we hear of its clone.
            begin = max([last, *before[-1:]]) or self._spawn_began
            self._add_step(index, step, min(begin, ended[index]), ended[index])
            last = ended[index]

    def _add_step(self, index: int, step: Step, begin: int, end: int, *, name: str = "") -> None:
        self._add(
            step.place,
            name or step.describe(),
            begin,
            end,
            {
                "step": index,
                "operation": step.operation,
                "source": step.source,
                "calls": list(step.calls),
            },
        )

    def _add(
        self, place: str, name: str, begin: int, end: int, args: dict[str, Json] | None = None
    ) -> None:
        self._events.append(
            {
                "name": name,
                "cat": place,
                "ph": "X",
                "ts": (begin - self._begin) / 1000,
                "dur": max(0, end - begin) / 1000,
                "pid": ROWS[place],
                "tid": ROWS[place],
                "args": args or {},
            }
        )

    def _row_names(self) -> list[Json]:
        return [
            {"name": "process_name", "ph": "M", "pid": row, "tid": row, "args": {"name": name}}
            for row, name in _ROW_NAMES.items()
        ]
