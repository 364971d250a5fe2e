"""Commands carried out as the launcher does, telling what they load and what they call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from pathlib import Path

from tests.bundles import BUSYBOX, Bundle
from tests.conftest import REPOSITORY

# Stands in for the interpreter's start on __main__.py, and writes down what was loaded and called
# when ocipy exits. os._exit() is how it does; a container's process is never a copy of this one.
TRACER = """
import sys
before = set(sys.modules)
import os
real_exit = os._exit
called = set()
def exit_and_tell(status):
    sys.setprofile(None)
    package = {main!r}.rpartition("/")[0]
    with open({output!r}, "w") as file:
        for name in set(sys.modules) - before:
            file.write(f"loaded {{name}}\\n")
        for code in called:
            name = code.co_filename
            if name.startswith(package):
                file.write(f"called {{name[len(package) + 1 :]}} {{code.co_qualname}}\\n")
    real_exit(status)
def note(frame, event, argument):
    if event == "call":
        called.add(frame.f_code)
os._exit = exit_and_tell
sys.argv[0] = __file__ = {main!r}
code = compile(open(__file__).read(), __file__, "exec")
if {calls!r}:
    sys.setprofile(note)
exec(code)
"""


class TracedCommands:
    """The command line, in a traced interpreter, with a container that waits to be used.

    Args:
        calls: note the functions that are called, too.
    """

    def __init__(self, directory: str, *, calls: bool = False) -> None:
        self.directory, self.id = directory, f"hot-{os.getpid()}"
        self.busybox = shutil.copy(BUSYBOX, f"{directory}/busybox")  # a bundle links it
        self.bundle = Bundle(f"{directory}/bundle", self.busybox, "hot", f"/{self.id}")
        self.tracer = Path(directory) / "tracer.py"
        self.told = Path(directory) / "told"
        # By module and function: the commands that have called it.
        self.called: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.tracer.write_text(
            TRACER.format(
                output=str(self.told), main=f"{REPOSITORY}/ocipy/__main__.py", calls=calls
            )
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
        loaded = set()
        for line in self.told.read_text().splitlines():
            what, name, *function = line.split()
            if what == "loaded":
                loaded.add(name)
            elif "<" not in function[0]:  # neither a module nor in a function
                module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                self.called[f"ocipy.{module}", function[0]].add(args[0])
        return loaded

    def create(self, *args: str) -> set[str]:
        self.bundle.process["args"] = list(args)
        self.bundle.write()
        return self.call("create", "--bundle", self.bundle.path, self.id)

    def running(self) -> None:
        self.create("/bin/sleep", "1000")
        self.call("start", self.id)

    def end(self) -> None:
        """Remove the container and the directory."""
        ocipy = f"{REPOSITORY}/build/ocipy"
        root = f"{self.directory}/state"
        subprocess.run([ocipy, "--root", root, "delete", "-f", self.id], capture_output=True)
        shutil.rmtree(self.directory)
