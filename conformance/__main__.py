"""python -m conformance --runtime PATH [-k EXPR] [--format tap|json|html] [--list] [--jobs N]

Exit status 1 if a case failed, 2 if nothing could be run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys

from conformance import report
from conformance.case import select
from conformance.runner import run


def version(runtime: str) -> str:
    """Return the first line of what the runtime says of itself."""
    done = subprocess.run([runtime, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--runtime", help="the program to try, with runc's command line")
    parser.add_argument("-k", default="", metavar="EXPR", help="only cases with one of these words")
    parser.add_argument("--format", choices=("tap", "json", "html"), default="tap")
    parser.add_argument("--list", action="store_true", help="print the cases, run none")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(argv)
    cases = select(options.k)
    if options.list:
        for case in cases:
            print(f"{case.id}\t{case.level}\t{case.section}\t{case.text}")
        return 0
    runtime = shutil.which(options.runtime or "")
    if runtime is None or not cases:
        parser.error("no such runtime" if cases else "no such case")
    if os.geteuid() != 0:
        parser.error("it needs root")
    failed = False
    results = run(cases, runtime, options.jobs)
    if options.format == "tap":
        for line in report.tap(results, len(cases)):
            failed |= line.startswith("not ok")
            print(line, flush=True)
        return int(failed)
    write = report.as_json if options.format == "json" else report.as_html
    ended = list(results)
    print(write(runtime, version(runtime), ended))
    return int(any(result.outcome == "fail" for result in ended))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
