"""A code judge: run a stranger's Python program on an input, and say what became of it.

    python -m examples.judge solution.py --input in.txt --expected out.txt

The program has its own namespaces, the uid of nobody in a user namespace, no capabilities, no
network, a read-only root of the host's programs, 16 MiB of /tmp, and limits: of CPU and wall-clock
time, of memory, of processes, of output. Nothing of it is left when the verdict is there.
"""

from __future__ import annotations

import argparse
import enum
import os
import sys
import tempfile
from typing import TYPE_CHECKING, NamedTuple

import ocipy
from examples.host_root import bind, make_root

if TYPE_CHECKING:
    from collections.abc import Sequence

PYTHON = "/usr/bin/python3"
_NOBODY = 65534


class Verdict(enum.Enum):
    """What a contestant is told."""

    ACCEPTED = "accepted"
    WRONG_ANSWER = "wrong answer"
    TIME_LIMIT = "time limit exceeded"
    MEMORY_LIMIT = "memory limit exceeded"
    OUTPUT_LIMIT = "output limit exceeded"
    RUNTIME_ERROR = "runtime error"


class Limits(NamedTuple):
    """What a program may use."""

    cpu_seconds: int = 2
    wall_seconds: float = 10.0
    memory_bytes: int = 64 << 20
    processes: int = 16
    output_bytes: int = 1 << 20


class Judgement(NamedTuple):
    """A verdict, and what it rests on."""

    verdict: Verdict
    done: ocipy.Completed


def judge(source: str, data: bytes, expected: bytes, limits: Limits = Limits()) -> Judgement:  # noqa: B008
    """Run the program in the file `source` with `data` on its standard input; compare its output.

    Blanks at the ends of lines, and lines at the end, do not count.
    """
    with tempfile.TemporaryDirectory(prefix="judge-") as directory:
        mounts = [*make_root(directory), bind(source, "/solution.py")]
        open(f"{directory}/solution.py", "x").close()
        config = ocipy.Config.for_program(
            [PYTHON, "-I", "-B", "/solution.py"],
            rootfs=directory,
            user=_NOBODY,
            mounts=mounts,
            memory_bytes=limits.memory_bytes,
            pids=limits.processes,
        ).merged(_confinement(limits))
        done = ocipy.run(
            config, input=data, timeout=limits.wall_seconds, output_limit=limits.output_bytes
        )
    return Judgement(_verdict(done, expected, limits), done)


def _confinement(limits: Limits) -> dict[str, object]:
    """Return what is stricter than a usual container, as a patch of its config."""
    ids = [{"containerID": 0, "hostID": 1_000_000, "size": 65536}]
    namespaces = ("pid", "network", "ipc", "uts", "mount", "cgroup", "user")
    seconds = limits.cpu_seconds
    return {
        "process": {
            "capabilities": {},
            "rlimits": [
                {"type": "RLIMIT_CPU", "soft": seconds, "hard": seconds + 1},
                {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                {"type": "RLIMIT_NOFILE", "soft": 64, "hard": 64},
            ],
        },
        "linux": {
            "namespaces": [{"type": name} for name in namespaces],
            "uidMappings": ids,
            "gidMappings": ids,
        },
    }


def _verdict(done: ocipy.Completed, expected: bytes, limits: Limits) -> Verdict:
    if done.truncated:
        return Verdict.OUTPUT_LIMIT
    # The first process of a pid namespace does not notice SIGXCPU, only the SIGKILL after it.
    if done.timed_out or (done.cpu_seconds or 0.0) >= limits.cpu_seconds:
        return Verdict.TIME_LIMIT
    if done.exit.oom:
        return Verdict.MEMORY_LIMIT
    if not done.exit.succeeded:
        return Verdict.RUNTIME_ERROR
    if _words(done.stdout) != _words(expected):
        return Verdict.WRONG_ANSWER
    return Verdict.ACCEPTED


def _words(text: bytes) -> list[bytes]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.judge")
    parser.add_argument("source", help="a Python program")
    parser.add_argument("--input", default=os.devnull, help="file for its standard input")
    parser.add_argument("--expected", default=os.devnull, help="file with the right output")
    options = parser.parse_args(argv)
    with open(options.input, "rb") as given, open(options.expected, "rb") as right:
        verdict, done = judge(options.source, given.read(), right.read())
    print(f"{verdict.value}: {done.cpu_seconds or 0:.2f} s, {(done.peak_bytes or 0) >> 10} KiB")
    sys.stderr.buffer.write(done.stderr)
    return 0 if verdict is Verdict.ACCEPTED else 1


if __name__ == "__main__":
    sys.exit(main())
