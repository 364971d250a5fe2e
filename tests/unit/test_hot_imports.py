"""Start-up time is an interface: the exact set of modules that each hot command loads.

A container engine calls its runtime several times per container; design and docs/decisions/0002 say
what a module costs. Each command is really carried out, in the interpreter as the launcher starts
it, and what it has loaded at its end is compared with golden/imports/COMMAND.txt.

    OCIPY_UPDATE_GOLDEN=1 pytest tests/unit/test_hot_imports.py    write them; argue in the commit
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.traced_commands import TracedCommands

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parent / "golden" / "imports"

# Standard modules that cost more than the command that would load them may: even one of them is
# felt. Only an error, or a rare option, is worth that.
HEAVY = {
    *("_ctypes", "_pickle", "_socket", "argparse", "ast", "asyncio", "base64", "collections"),
    *("contextlib", "copy", "ctypes", "dataclasses", "datetime", "decimal", "email", "enum"),
    *("functools", "hashlib", "importlib.metadata", "inspect", "ipaddress", "json", "locale"),
    *("logging", "pathlib", "pickle", "platform", "random", "re", "shlex", "shutil", "signal"),
    *("site", "socket", "ssl", "string", "struct", "subprocess", "tempfile", "textwrap"),
    *("threading", "tokenize", "traceback", "typing", "unittest", "urllib", "uuid", "warnings"),
    *("weakref", "zipfile"),
    *("attr", "cffi", "jsonschema", "pyroute2", "referencing", "rich", "rpds"),
}


@pytest.fixture
def commands() -> Iterator[TracedCommands]:
    commands = TracedCommands(tempfile.mkdtemp(prefix="ocipy-hot-"))
    yield commands
    commands.end()


def compare(command: str, loaded: set[str]) -> None:
    heavy = {name for name in loaded if name in HEAVY or name.split(".")[0] in HEAVY}
    assert not heavy, f"{command} loads {sorted(heavy)}"
    if sys.version_info[:2] != (3, 11):
        return  # which modules of the standard library need which others differs
    golden = GOLDEN / f"{command}.txt"
    if os.environ.get("OCIPY_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text("".join(f"{name}\n" for name in sorted(loaded)))
    known = set(golden.read_text().split())
    assert loaded == known, (
        f"{command} loads {sorted(loaded - known)} more than {golden.name} says, "
        f"and no longer {sorted(known - loaded)}"
    )


@pytest.mark.requires("root")
def test_create(commands: TracedCommands) -> None:
    compare("create", commands.create("/bin/true"))


@pytest.mark.requires("root")
def test_start(commands: TracedCommands) -> None:
    commands.create("/bin/true")
    compare("start", commands.call("start", commands.id))


@pytest.mark.requires("root")
def test_run(commands: TracedCommands) -> None:
    commands.bundle.write()
    compare("run", commands.call("run", "--bundle", commands.bundle.path, commands.id))


@pytest.mark.requires("root")
@pytest.mark.parametrize("command", ["state", "kill", "pause"])
def test_with_a_running_container(commands: TracedCommands, command: str) -> None:
    commands.running()
    compare(command, commands.call(command, commands.id))


@pytest.mark.requires("root")
def test_exec(commands: TracedCommands) -> None:
    commands.running()
    compare("exec", commands.call("exec", commands.id, "/bin/true"))


@pytest.mark.requires("root")
def test_ps(commands: TracedCommands) -> None:
    # As containerd asks; for a table that people read, it runs ps(1).
    commands.running()
    compare("ps", commands.call("ps", "--format", "json", commands.id))


@pytest.mark.requires("root")
def test_list(commands: TracedCommands) -> None:
    commands.running()
    compare("list", commands.call("list"))


@pytest.mark.requires("root")
def test_resume(commands: TracedCommands) -> None:
    commands.running()
    commands.call("pause", commands.id)
    compare("resume", commands.call("resume", commands.id))


@pytest.mark.requires("root")
def test_delete(commands: TracedCommands) -> None:
    commands.running()
    compare("delete", commands.call("delete", "--force", commands.id))
