"""docker.sh, podman.sh and containerd.sh: every check a test, on the host and in the VM.

TEST_VM=1 adds the VM's long runs, docker.sh (12 minutes) and podman.sh (8); containerd.sh (3) is
always run there, where all there is to cgroups is version 2.
"""

from __future__ import annotations

import os

import pytest

from tests.clients import scripts
from tests.conftest import LACKS

HOST, IN_VM = "host", "vm"
RUNS = [("docker", HOST), ("podman", HOST), ("containerd", HOST), ("containerd", IN_VM)]
if os.environ.get("TEST_VM"):
    RUNS += [("docker", IN_VM), ("podman", IN_VM)]
PROGRAMS = {"docker": "dockerd", "podman": "podman", "containerd": "containerd"}
# The VM has one CPU of its own: its worker may leave the other tests to the other one.
VM_MARKS = [
    pytest.mark.requires("program:linux.uml", "program:insmod"),
    pytest.mark.xdist_group("clients-vm"),
]

CHECKS = [
    pytest.param(
        script,
        where,
        name,
        id=f"{where}-{script}-{name}",
        marks=[
            pytest.mark.requires(f"program:{PROGRAMS[script]}"),
            *(VM_MARKS if where == IN_VM else []),
        ],
    )
    for script, where in RUNS
    for name in scripts.check_names(script)
]

_done: dict[tuple[str, str], scripts.Run] = {}


@pytest.fixture
def selected(request: pytest.FixtureRequest) -> dict[tuple[str, str], list[str]]:
    """Return the names asked for, of each run: `pytest -k` then costs no whole script."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in request.session.items:
        callspec = getattr(item, "callspec", None)
        if item.path == request.path and callspec:
            params = callspec.params
            found.setdefault((params["script"], params["where"]), []).append(params["name"])
    return found


@pytest.mark.parametrize(("script", "where", "name"), CHECKS)
def test_check(
    request: pytest.FixtureRequest,
    selected: dict[tuple[str, str], list[str]],
    runtime_program: str,
    script: str,
    where: str,
    name: str,
) -> None:
    key = (script, where)
    if key not in _done:
        program = os.path.abspath(runtime_program)
        _done[key] = scripts.run(script, program, selected[key], where == IN_VM)
    outcome, reason = _done[key].results.get(name, ("", ""))
    if outcome == scripts.SKIPPED or (not outcome and _done[key].results):
        request.node.stash[LACKS] = "client-script"
        pytest.skip(reason or "the script leaves this check out on this machine")
    assert outcome == scripts.OK, reason or _done[key].output
