"""Where the milliseconds of one `run` go, by what the kernel is asked for on the way.

    python -m bench.timeline [--ocipy PROGRAM] [--rounds N] [--write]

strace stops the processes at a few system calls only, those between which the phases lie, so that
it changes little; the median of each phase over all rounds is printed. --write puts the table into
docs/performance.md.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.runtimes import Bundles

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
ALONE = ("/usr/bin/python3", "-I", "-S", "-c", "import posix; posix._exit(0)")
TRACED = (
    "execve,execveat,readlink,mkdir,memfd_create,clone3,pivot_root,sendmsg,recvmsg,recvfrom,rmdir"
)
TRACED += ",renameat,exit_group"
CALL = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")

# What ends each phase: a pattern, and which of its matches (-1: the last).
PHASES = (
    ("launcher", r"execve\(\"\S*python", 0),
    ("interpreter, modules, command line", r"readlink\(\"/proc/self/fd/", 0),
    ("config.json: read, accept; host facts; plan", r"mkdir\(\"\S*/state-\w+/", 0),
    ("record of the container", r"mkdir\(\"/sys/fs/cgroup", 0),
    ("cgroups and device rules", r"memfd_create\(\"ocipy-plan", 0),
    ("plan and init into memfds", r"clone3\(", 0),
    ("clone, exec of init", r"execveat.* = 0", 0),
    ("init: cgroups, mounts, devices, up to pivot_root", r"pivot_root\(", 0),
    ("init: hidden paths, identity, up to `created`", r"sendmsg\(", 0),
    ("record `created`, and the word to go on", r"sendmsg\(", 0),
    ("capabilities, execve of the program", r"execve\(\"/bin/true", 0),
    ("the program; record `running`", r"rmdir\(\"/sys/fs/cgroup", 0),
    ("cgroups removed", r"rmdir\(\"/sys/fs/cgroup", -1),
    ("container's directory removed, exit", r"exit_group\(", -1),
)


def trace(argv: list[str], output: Path) -> list[tuple[float, str]]:
    """Return seconds and text of each traced call of one run, in their order."""
    options = [
        "-f",
        "--seccomp-bpf",
        "-ttt",
        "-s",
        "200",
        "-e",
        f"trace={TRACED}",
        "-o",
        str(output),
    ]
    subprocess.run(["strace", *options, *argv], check=True, stdin=subprocess.DEVNULL)
    calls = []
    for line in output.read_text(errors="replace").splitlines():
        if match := CALL.match(line):
            calls.append((float(match[2]), match[3]))
    return calls


def phases(calls: list[tuple[float, str]]) -> list[float]:
    """Return the milliseconds of each phase."""
    taken, begin = [], calls[0][0]
    for name, pattern, which in PHASES:
        times = [at for at, text in calls if at > begin and re.search(pattern, text)]
        if not times:
            raise RuntimeError(f"no end of the phase {name!r}: {pattern}")
        end = times[which]
        taken.append((end - begin) * 1000)
        begin = end
    return taken


def interpreter_alone(rounds: int) -> float:
    """Return the median milliseconds of the interpreter that does nothing, without its teardown."""
    walls = []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run(ALONE, check=True)
        walls.append((time.perf_counter() - begin) * 1000)
    return statistics.median(walls)


def to_markdown(rows: list[list[float]], alone: float) -> str:
    lines = [f"{len(rows)} rounds; the interpreter alone, until its `_exit`: {alone:.1f} ms.", ""]
    lines += ["| | median, ms |", "| --- | ---: |"]
    for (name, _, _), column in zip(PHASES, zip(*rows, strict=True), strict=True):
        lines.append(f"| {name} | {statistics.median(column):.2f} |")
    total = statistics.median(sum(row) for row in rows)
    return "\n".join([*lines, f"| all of it | {total:.2f} |"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--ocipy", default=shutil.which("ocipy"), help="default: from PATH")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if not options.ocipy:
        sys.exit("the time line needs ocipy in PATH or as --ocipy")
    with tempfile.TemporaryDirectory(prefix="ocipy-bench-") as name:
        directory = Path(name)
        bundles = Bundles(directory, options.ocipy)
        argv = [
            options.ocipy,
            "--root",
            f"{directory}/state-t",
            "run",
            "-b",
            str(bundles.true),
            "t",
        ]
        trace(argv, directory / "trace")
        rows = [phases(trace(argv, directory / "trace")) for _ in range(options.rounds)]
    table = to_markdown(rows, interpreter_alone(options.rounds))
    print(table, end="")
    if options.write:
        begin, end = "<!-- timeline -->\n", "<!-- end of timeline -->\n"
        before, rest = PAGE.read_text().split(begin, 1)
        PAGE.write_text(before + begin + "\n" + table + "\n" + end + rest.split(end, 1)[1])


if __name__ == "__main__":
    main()
