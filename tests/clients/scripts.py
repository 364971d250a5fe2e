"""The acceptance scripts beside the repository (../shared/clients), as tests of our own.

Each script drives one real client through many named checks and reports in TAP. The names are read
from its text, so that each check is one test; the script itself runs once for all that are asked
for. A clone has no such directory: then there are no such tests, and test_engines.py stands alone.
"""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.conftest import LACKS, REPOSITORY, runtime_path

DIRECTORY = os.environ.get("CLIENT_SCRIPTS") or f"{os.path.dirname(REPOSITORY)}/shared/clients"
VM = f"{DIRECTORY}/vm-cgroup2.sh"

_CHECK = re.compile(r'^(?:.*&& )?check "([^"]+)" ', re.MULTILINE)
_RESULT = re.compile(r"(not )?ok \d+ - (.*)")
_ERE_SPECIAL = re.compile(r"([\\.^$*+?()\[\]{}|])")

OK, FAILED, SKIPPED = "ok", "failed", "skipped"

PROGRAMS = {"docker": "dockerd", "podman": "podman", "containerd": "containerd"}


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
        command = [VM, "-m", "2048", "-t", "3000", *command]
    # The VM is ten times slower than its host: so is the time that a check may take.
    limit = {"LIMIT": os.environ.get("LIMIT", "150")} if in_vm else {}
    environment = os.environ | limit | {"PATH": f"{REPOSITORY}/tests/vm:{os.environ['PATH']}"}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return Run(done.stdout.decode(errors="replace"))


def run_checks(script: str, runtime: str, names: list[str], in_vm: bool) -> Run:
    """Run the checks; those that a broken pipe of their own script ended, a second time.

    `command -v A B | head -1` ends so (128 + SIGPIPE, with pipefail) where head is the quicker one.
    """
    first = run(script, runtime, names, in_vm)
    broken = [
        name
        for name, (outcome, reason) in first.results.items()
        if outcome == FAILED and reason.startswith("# exit status 141;")
    ]
    if broken:
        first.results |= run(script, runtime, broken, in_vm).results
    return first


_runs: dict[tuple[str, bool], Run] = {}


def checks(*scripts: str) -> list[object]:
    """Return the parameters `script` and `name` of a test for each check of these scripts."""
    return [
        pytest.param(
            script,
            name,
            id=f"{script}-{name}",
            marks=pytest.mark.requires(f"program:{PROGRAMS[script]}"),
        )
        for script in scripts
        for name in check_names(script)
    ]


def expect_success(request: pytest.FixtureRequest, script: str, name: str, in_vm: bool) -> None:
    """Fail or skip the test unless the check passed; the first test of a script runs the script."""
    key = (script, in_vm)
    if key not in _runs:
        # Only what is asked for: `pytest -k` costs no whole script.
        params = [getattr(item, "callspec", None) for item in request.session.items]
        found = [each.params for each in params if each and each.params.get("script") == script]
        wanted = {each["name"] for each in found}
        names = [each for each in check_names(script) if each in wanted]
        _runs[key] = run_checks(script, os.path.abspath(runtime_path()), names, in_vm)
    outcome, reason = _runs[key].results.get(name, ("", ""))
    if outcome == SKIPPED or (not outcome and _runs[key].results):
        request.node.stash[LACKS] = "client-script"
        pytest.skip(reason or "the script leaves this check out on this machine")
    assert outcome == OK, reason or _runs[key].output
