"""What the pack keeps ready, and what it leaves outside, is what usual commands really use.

ocipy_native/pack/hot.json names the modules that each of them loads, and which of them call each
function. Where it is wrong nothing breaks: a function that is missing in it is fetched when it is
called, 20 microseconds later. So a few may differ.

    OCIPY_UPDATE_GOLDEN=1 pytest tests/unit/test_hot_imports.py tests/unit/test_hot_functions.py
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.faults.bundles import Neighbours, make_bundle
from tests.unit.traced_commands import TracedCommands

HOT = Path(REPOSITORY) / "ocipy_native" / "pack" / "hot.json"
GOLDEN = Path(__file__).parent / "golden" / "imports"
COMMANDS = ("create", "delete", "exec", "kill", "run", "start", "state")
BUNDLES = ("minimal", "docker", "podman")
FORGIVEN = 20


def modules_of_commands() -> dict[str, list[str]]:
    """Return the modules of the package that each command loads."""
    return {
        command: [
            name
            for name in (GOLDEN / f"{command}.txt").read_text().split()
            # Extension modules, and what the build writes, are files of their own.
            if name.split(".")[0] == "ocipy" and "._native._" not in name
        ]
        for command in COMMANDS
    }


def functions_called() -> dict[tuple[str, str], set[str]]:
    """Carry out the usual commands on containers as clients make them.

    Returns, by module and function, the commands that have called it.
    """
    called: dict[tuple[str, str], set[str]] = {}
    for name in BUNDLES:
        commands = TracedCommands(tempfile.mkdtemp(prefix="ocipy-hot-"), calls=True)
        neighbours = Neighbours(commands.directory)
        try:
            commands.bundle = make_bundle(
                name, f"{commands.directory}/{name}", commands.id, neighbours, commands.busybox
            )
            commands.running()
            commands.call("state", commands.id)
            commands.call("exec", commands.id, "/bin/true")
            commands.call("kill", commands.id, "TERM")
            commands.call("kill", commands.id, "KILL")
            commands.call("delete", "--force", commands.id)
            commands.create("/bin/true")
            commands.call("start", commands.id)
            commands.call("delete", "--force", commands.id)
            commands.call("run", "--bundle", commands.bundle.path, commands.id)
            for function, callers in commands.called.items():
                called.setdefault(function, set()).update(callers)
        finally:
            neighbours.end()
            commands.end()
    return called


@pytest.mark.requires("root")
def test_hot_functions_are_those_that_usual_commands_call() -> None:
    if sys.version_info[:2] != (3, 11):
        pytest.skip(f"what is called was noted with Python 3.11, this is {sys.version.split()[0]}")
    called = functions_called()
    if os.environ.get("OCIPY_UPDATE_GOLDEN"):
        modules = modules_of_commands()
        functions: dict[str, dict[str, str]] = {}
        for module in sorted({name for names in modules.values() for name in names}):
            functions[module] = {
                name: " ".join(sorted(callers))
                for (of_module, name), callers in sorted(called.items())
                if of_module == module
            }
        HOT.write_text(json.dumps({"modules": modules, "functions": functions}, indent=1) + "\n")
    hot = json.loads(HOT.read_text())
    assert hot["modules"] == modules_of_commands()
    noted = {
        (module, name, command)
        for module, functions in hot["functions"].items()
        for name, callers in functions.items()
        for command in callers.split()
    }
    really = {
        (module, name, command)
        for (module, name), callers in called.items()
        if module in hot["functions"]
        for command in callers
    }
    assert len(really) > 1000
    assert len(really - noted) <= FORGIVEN, f"called, and not noted: {sorted(really - noted)}"
    assert len(noted - really) <= FORGIVEN, f"noted, and not called: {sorted(noted - really)}"
