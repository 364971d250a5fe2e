"""The acceptance scripts beside the repository (../shared/clients), as tests of our own.

Each script drives one real client through many named checks and reports in TAP. The names are read
from its text, so that each check is one test; the script itself runs once for all that are asked
for. A clone has no such directory: then there are no such tests, and test_engines.py stands alone.
"""

from __future__ import annotations

import os
import re
import subprocess

from tests.conftest import REPOSITORY

DIRECTORY = os.environ.get("CLIENT_SCRIPTS") or f"{os.path.dirname(REPOSITORY)}/shared/clients"
VM = f"{DIRECTORY}/vm-cgroup2.sh"

_CHECK = re.compile(r'^(?:.*&& )?check "([^"]+)" ', re.MULTILINE)
_RESULT = re.compile(r"(not )?ok \d+ - (.*)")
_ERE_SPECIAL = re.compile(r"([\\.^$*+?()\[\]{}|])")

OK, FAILED, SKIPPED = "ok", "failed", "skipped"


def check_names(script: str) -> list[str]:
    """Return the names of a script's checks in order; none if the script is not here."""
    path = f"{DIRECTORY}/{script}.sh"
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return _CHECK.findall(file.read())


class Run:
    """One run of a script: what became of each check, and why."""

    def __init__(self, output: str) -> None:
        self.output = output
        self.results: dict[str, tuple[str, str]] = {}
        name = ""
        for line in output.splitlines():
            if result := _RESULT.fullmatch(line):
                name, _, reason = result[2].partition(" # SKIP ")
                outcome = FAILED if result[1] else SKIPPED if " # SKIP" in result[2] else OK
                self.results[name] = (outcome, reason)
            elif line.startswith("#") and self.results.get(name, (OK,))[0] == FAILED:
                self.results[name] = (FAILED, f"{self.results[name][1]}{line}\n")


def run(script: str, runtime: str, names: list[str], in_vm: bool) -> Run:
    """Run the checks called `names` with `runtime`; on the host, or in the cgroup v2 VM."""
    command = [f"{DIRECTORY}/{script}.sh", runtime]
    if names != check_names(script):
        command.append("^(" + "|".join(_ERE_SPECIAL.sub(r"\\\1", name) for name in names) + ")$")
    if in_vm:
        command = [VM, "-m", "2048", "-t", "1500", *command]
    environment = os.environ | {"PATH": f"{REPOSITORY}/tests/vm:{os.environ['PATH']}"}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return Run(done.stdout.decode(errors="replace"))
