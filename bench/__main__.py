"""Side by side in one run: ocipy, runc, crun, and the interpreter alone.

    python -m bench [--ocipy PROGRAM] [--also NAME=PROGRAM] [--rounds N] [--growth] [--write NAME]

Runtimes take turns, and each round another one goes first, so whatever else the machine does hits
all of them alike. Every runtime gets the same bundles, its own state root, and no terminal. With
--growth, also how the cost of a run grows with mounts, rules, devices, variables, arguments and
containers. --write puts the tables into docs/performance.md between the marks of that NAME, and the
picture beside it. On a hybrid host crun wants to see no cgroup v2, so none of them does. The state
roots lie in /dev/shm where that is a tmpfs, as /run is where these programs are used.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from bench.commands import INTERPRETER, measure_commands, measure_in_a_row, measure_throughput
from bench.growth import measure_growth
from bench.memory import measure_init, smallest_limit
from bench.report import to_markdown, to_svg
from bench.results import Results, summarise
from bench.runtimes import Bundles, Meter, Runtime

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
UNIFIED = Path("/sys/fs/cgroup/unified")
TMPFS = "/dev/shm"
HIDE_UNIFIED = f'mount -t tmpfs -o size=1m none {UNIFIED} && exec "$@"'


def hide_cgroup2_of_hybrid_host() -> None:
    """Begin again in a mount namespace without the v2 hierarchy of a hybrid host."""
    if (UNIFIED / "cgroup.procs").exists():
        unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HIDE_UNIFIED, "sh"]
        os.execvp(unshare[0], [*unshare, sys.executable, "-m", "bench", *sys.argv[1:]])


def find_runtimes(options: argparse.Namespace, states: Path) -> list[Runtime]:
    programs = {"ocipy": os.path.abspath(options.ocipy)}
    for name in ("runc", "crun"):
        program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program:
            programs[name] = program
        else:
            print(f"{name} is not installed: not compared", file=sys.stderr)
    for also in options.also:
        name, _, program = also.partition("=")
        programs[name] = os.path.abspath(program)
    return [Runtime(name, program, states) for name, program in programs.items()]


def describe_machine() -> str:
    cgroups = "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1"
    return (
        f"Linux {platform.release().partition('-')[0]}, {os.cpu_count()} CPUs, cgroup {cgroups}, "
        f"load {os.getloadavg()[0]:.1f} at the begin"
    )


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(options: argparse.Namespace, directory: Path, states: Path) -> Results:
    machine = describe_machine()
    meter = Meter(directory)
    runtimes = find_runtimes(options, states)
    bundles = Bundles(directory, runtimes[0].argv[0])
    note("warming up")
    measure_commands(meter, runtimes, bundles, 1)
    note(f"{options.rounds} rounds of every command")
    samples = measure_commands(meter, runtimes, bundles, options.rounds)
    interpreter, commands = summarise(samples, INTERPRETER)
    note("runs in a row, and with 8 workers")
    row = measure_in_a_row(meter, runtimes, bundles, options.row)
    rates = measure_throughput(runtimes, bundles, max(1, options.row // 10))
    note("memory")
    held = {runtime.name: measure_init(runtime, bundles) for runtime in runtimes}
    limits = {each.name: smallest_limit(meter, each, bundles) for each in runtimes}
    growth = {}
    if options.growth:
        note("growth")
        growth = measure_growth(meter, runtimes, bundles)
    return Results(
        machine,
        options.rounds,
        [runtime.name for runtime in runtimes],
        interpreter,
        commands,
        {n: (each.wall / 10 / options.row, each.cpu / 10 / options.row) for n, each in row.items()},
        rates,
        {name: created for name, (created, _) in held.items()},
        {name: running for name, (_, running) in held.items()},
        limits,
        growth,
    )


def write_page(name: str, results: Results) -> None:
    """Put the tables between the page's marks `<!-- NAME -->` and `<!-- end of NAME -->`."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    text = PAGE.read_text()
    if begin not in text or end not in text:
        sys.exit(f"{PAGE} has no marks {begin.strip()} and {end.strip()}")
    before, rest = text.split(begin, 1)
    picture = f"\n![median wall clock of each command](performance-{name}.svg)\n\n"
    after = rest.split(end, 1)[1]
    PAGE.write_text(before + begin + picture + to_markdown(results) + "\n" + end + after)
    (DOCS / f"performance-{name}.svg").write_text(to_svg(results))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--ocipy", default=shutil.which("ocipy"), help="default: from PATH")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=PROGRAM")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--row", type=int, default=100, help="how many runs in a row")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--write", metavar="NAME", help="host or vm")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE")
    options = parser.parse_args()
    if os.geteuid() != 0 or not options.ocipy:
        sys.exit("bench needs root, and ocipy in PATH or as --ocipy")
    hide_cgroup2_of_hybrid_host()
    where = TMPFS if os.path.ismount(TMPFS) else None
    with (
        tempfile.TemporaryDirectory(prefix="ocipy-bench-") as directory,
        tempfile.TemporaryDirectory(prefix="ocipy-bench-", dir=where) as states,
    ):
        results = measure(options, Path(directory), Path(states))
    print(to_markdown(results), end="")
    if options.json:
        options.json.write_text(json.dumps(results._asdict(), indent=1))
    if options.svg:
        options.svg.write_text(to_svg(results))
    if options.write:
        write_page(options.write, results)


if __name__ == "__main__":
    main()
