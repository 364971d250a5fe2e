"""Start-up time is an interface: the exact set of modules that each hot command loads.

A container engine calls its runtime several times per container; design and docs/decisions/0002 say
what a module costs. Each command is really carried out, in the interpreter as the launcher starts
it, and what it has loaded at its end is compared with golden/imports/COMMAND.txt.

    OCIPY_UPDATE_GOLDEN=1 pytest tests/unit/test_hot_imports.py    write them; argue in the commit
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bundles import BUSYBOX, Bundle
from tests.conftest import REPOSITORY

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

# Stands in for the interpreter's start on __main__.py, and writes down what is loaded when ocipy
# exits. os._exit() is how it does; a container's process is never a copy of this one.
TRACER = """
import sys
before = set(sys.modules)
import os
real_exit = os._exit
def exit_and_tell(status):
    with open({output!r}, "w") as file:
        file.write("\\n".join(sorted(set(sys.modules) - before)))
    real_exit(status)
os._exit = exit_and_tell
sys.argv[0] = __file__ = {main!r}
exec(compile(open(__file__).read(), __file__, "exec"))
"""


class Commands:
    """The command line, in a traced interpreter, with a container that waits to be used."""

    def __init__(self, directory: str) -> None:
        self.directory, self.id = directory, f"hot-{os.getpid()}"
        busybox = shutil.copy(BUSYBOX, f"{directory}/busybox")  # a bundle links it
        self.bundle = Bundle(f"{directory}/bundle", busybox, "hot", f"/{self.id}")
        self.tracer = Path(directory) / "tracer.py"
        self.loaded = Path(directory) / "loaded"
        self.tracer.write_text(
            TRACER.format(output=str(self.loaded), main=f"{REPOSITORY}/ocipy/__main__.py")
        )

    def call(self, *args: str) -> set[str]:
        """Carry out one command; return the modules it loaded. Fails if the command does."""
        site = sysconfig.get_path("platlib")
        python = [sys.executable, "-I", "-S", "-X", "utf8=1", "-X", f"ocipy_path={site}"]
        errors = Path(self.directory) / "errors"
        with errors.open("w") as stderr:
            # Files, because a container keeps what `create` was given.
            done = subprocess.run(
                [*python, str(self.tracer), "--root", f"{self.directory}/state", *args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        assert done.returncode == 0, f"{args}: {errors.read_text()}"
        return set(self.loaded.read_text().split())

    def create(self, *args: str) -> set[str]:
        self.bundle.process["args"] = list(args)
        self.bundle.write()
        return self.call("create", "--bundle", self.bundle.path, self.id)

    def running(self) -> None:
        self.create("/bin/sleep", "1000")
        self.call("start", self.id)


@pytest.fixture
def commands() -> Iterator[Commands]:
    directory = tempfile.mkdtemp(prefix="ocipy-hot-")
    commands = Commands(directory)
    yield commands
    subprocess.run(
        [f"{REPOSITORY}/build/ocipy", "--root", f"{directory}/state", "delete", "-f", commands.id]
    )
    shutil.rmtree(directory)


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
def test_create(commands: Commands) -> None:
    compare("create", commands.create("/bin/true"))


@pytest.mark.requires("root")
def test_start(commands: Commands) -> None:
    commands.create("/bin/true")
    compare("start", commands.call("start", commands.id))


@pytest.mark.requires("root")
def test_run(commands: Commands) -> None:
    commands.bundle.write()
    compare("run", commands.call("run", "--bundle", commands.bundle.path, commands.id))


@pytest.mark.requires("root")
@pytest.mark.parametrize("command", ["state", "kill", "pause"])
def test_with_a_running_container(commands: Commands, command: str) -> None:
    commands.running()
    compare(command, commands.call(command, commands.id))


@pytest.mark.requires("root")
def test_exec(commands: Commands) -> None:
    commands.running()
    compare("exec", commands.call("exec", commands.id, "/bin/true"))


@pytest.mark.requires("root")
def test_ps(commands: Commands) -> None:
    # As containerd asks; for a table that people read, it runs ps(1).
    commands.running()
    compare("ps", commands.call("ps", "--format", "json", commands.id))


@pytest.mark.requires("root")
def test_list(commands: Commands) -> None:
    commands.running()
    compare("list", commands.call("list"))


@pytest.mark.requires("root")
def test_resume(commands: Commands) -> None:
    commands.running()
    commands.call("pause", commands.id)
    compare("resume", commands.call("resume", commands.id))


@pytest.mark.requires("root")
def test_delete(commands: Commands) -> None:
    commands.running()
    compare("delete", commands.call("delete", "--force", commands.id))
