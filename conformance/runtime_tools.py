"""conformance/runtime-tools NAME=PATH ... [-k WORDS] [--jobs N] [--markdown FILE]

Runs the validation suite of opencontainers/runtime-tools, built as its README says, in the
directory $RUNTIME_TOOLS, and prints a table by test. Each test is a program that drives $RUNTIME
and writes TAP. It runs in a mount namespace of its own, because some tests mount on the host.

runtime_tools.toml says which tests cannot pass, and why: on a host that lacks something, which is
checked here, or with any runtime that keeps the specification. Exit status 1 if another one fails.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import os
import re
import subprocess
import sys
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from conformance import host
from conformance.compare import HIDE_UNIFIED, cell

DATA = Path(__file__).with_name("runtime_tools.toml")
POINT = re.compile(r"^(not )?ok\b[ \d]*-? ?(.*)$")
TIMEOUT_SECONDS = 600
# Each test has a mount namespace of its own; what is still mounted in it afterwards was left.
TRY = """ "$@"; status=$?
left=$(grep -c /ocitest /proc/self/mountinfo); [ "$left" = 0 ] || echo "# mounts left: $left"
exit $status"""


@dataclass
class Outcome:
    """How one test ended: points that are ok, all points, and what the first failed one says."""

    ok: int
    total: int
    status: int | None
    first: str = ""
    mounts_left: int = 0

    @property
    def passed(self) -> bool:
        return self.status == 0 and self.ok == self.total and self.total > 0

    def __str__(self) -> str:
        if self.status is None:
            return "hangs"
        word = "passes" if self.passed else "**fails**"
        left = f", leaves {self.mounts_left} mounts" if self.mounts_left else ""
        return f"{word} {self.ok}/{self.total}{left}"


def parse(text: str, status: int | None) -> Outcome:
    """Read TAP: what is a TODO or skipped counts as ok."""
    ok = total = 0
    first = ""
    for line in text.splitlines():
        if point := POINT.match(line):
            total += 1
            if point[1] and not re.search(r"#\s*(TODO|SKIP)", point[2], re.IGNORECASE):
                first = first or point[2]
            else:
                ok += 1
    if re.search(r"^1\.\.0\s*#\s*SKIP", text, re.MULTILINE | re.IGNORECASE):
        ok = total = 1
    left = re.search(r"^# mounts left: (\d+)$", text, re.MULTILINE)
    return Outcome(ok, total, status, first, int(left[1]) if left else 0)


def run(program: Path, runtime: str, name: str) -> Outcome:
    hide = name == "crun" and os.path.ismount("/sys/fs/cgroup/unified")
    outer = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    command = [
        *outer,
        HIDE_UNIFIED.replace('exec "$@"', "{" + TRY + "\n}") if hide else TRY,
        "sh",
        str(program),
    ]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            errors="replace", env={**os.environ, "RUNTIME": runtime}, cwd=program.parents[2],
            timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome(0, 0, None)
    outcome = parse(done.stdout, done.returncode)
    outcome.first = outcome.first or (done.stderr.strip().splitlines() or [""])[-1]
    return outcome


def holds(fact: str) -> bool:
    """Check what a reason rests on."""
    kind, _, what = fact.partition(" ")
    if kind == "always":
        return True
    if kind == "no-controller":
        return bool(host.controller(what))
    if kind == "no-file":
        return not os.path.exists(what)
    if kind == "no-v1-file":
        controller, _, file = what.partition(" ")
        return bool(host.v1_file(controller, file))
    if kind == "no-capability":
        return not host.bounding() >> int(what) & 1
    raise ValueError(f"{DATA.name}: no fact {fact!r}")


def reasons(test: str, runtime: str) -> list[str]:
    """Return why this test cannot pass with this runtime on this host."""
    return [
        reason["why"]
        for reason in tomllib.loads(DATA.read_text())["reason"]
        if any(fnmatch.fnmatch(test, pattern) for pattern in reason["tests"].split())
        and runtime in reason.get("runtime", runtime).split()
        and holds(reason["fact"])
    ]


def table(outcomes: dict[str, dict[str, Outcome]]) -> list[str]:
    names = list(next(iter(outcomes.values())))
    lines = [f"| test | {' | '.join(names)} | why not |", "| --- |" + " --- |" * (len(names) + 1)]
    for test, by_runtime in outcomes.items():
        why: dict[str, list[str]] = {}
        for name, outcome in by_runtime.items():
            if not outcome.passed:
                for reason in reasons(test, name) or [f"not explained: {outcome.first}"]:
                    why.setdefault(reason, []).append(name)
        texts = [f"{', '.join(who)}: {cell(reason)}" for reason, who in why.items()]
        shown = " | ".join(str(by_runtime[name]) for name in names)
        lines.append(f"| `{test}` | {shown} | {'; '.join(texts)} |")
    return lines


def page(outcomes: dict[str, dict[str, Outcome]]) -> str:
    """Return the table as a page of the documentation."""
    names = list(next(iter(outcomes.values())))
    head = [
        "# The runtime-tools validation suite",
        "",
        "Written by `conformance/runtime-tools` from a built checkout of",
        "opencontainers/runtime-tools; not to be edited. A cell has the points that were ok, and",
        "how many there were. Why a test cannot pass is checked on the host that it runs on, see",
        "[runtime_tools.toml](../conformance/runtime_tools.toml).",
        "",
    ]
    for name in names:
        passed = sum(by_runtime[name].passed for by_runtime in outcomes.values())
        head.append(f"* {name} passes {passed} of {len(outcomes)} tests")
    return "\n".join([*head, "", *table(outcomes)]) + "\n"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="conformance/runtime-tools", description=__doc__)
    parser.add_argument("runtimes", nargs="+", metavar="NAME=PATH")
    parser.add_argument(
        "-k", default="", metavar="WORDS", help="only tests with one of these words"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(argv)
    checkout = os.environ.get("RUNTIME_TOOLS")
    if not checkout:
        parser.error("RUNTIME_TOOLS must be the directory of a built checkout of runtime-tools")
    words = options.k.split()
    programs = {
        path.stem: path
        for path in sorted(Path(checkout).resolve().glob("validation/*/*.t"))
        if not words or any(word in path.stem for word in words)
    }
    if not programs:
        parser.error(f"{checkout}/validation has no *.t: build it as its README says")
    runtimes = dict(runtime.split("=", 1) for runtime in options.runtimes)
    one_at_a_time = threading.Lock()

    def work(test: str, name: str) -> Outcome:
        # These use one cgroup, whose name is written in them.
        alone = "cgroup" in test or "resources" in test
        with one_at_a_time if alone else contextlib.nullcontext():
            outcome = run(programs[test], os.path.abspath(runtimes[name]), name)
        print(f"{test}: {name} {outcome}", file=sys.stderr, flush=True)
        return outcome

    with ThreadPoolExecutor(options.jobs) as pool:
        began = {t: {n: pool.submit(work, t, n) for n in runtimes} for t in programs}
    outcomes = {t: {n: future.result() for n, future in by.items()} for t, by in began.items()}
    print("\n".join(table(outcomes)))
    if options.markdown:
        options.markdown.write_text(page(outcomes))
    return int(
        any(
            not outcome.passed and not reasons(test, name)
            for test, by_runtime in outcomes.items()
            for name, outcome in by_runtime.items()
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
