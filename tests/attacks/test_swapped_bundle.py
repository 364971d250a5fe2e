"""Somebody exchanges the bundle, its config.json or its rootfs while a container is made.

What was accepted is what is used, and kept: one config, and the root file system that was found
with it. A create may be refused; it must not mix what was before an exchange with what came after.

    ATTACK_ITERATIONS=10000 pytest tests/attacks/test_swapped_bundle.py    as `make attacks` does

An iteration is one create or run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.attacks.verdict import LIVES, against
from tests.bundles import build_rootfs
from tests.conftest import REPOSITORY
from tests.racer import Racer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container

WHICH = "org.example.which"
# Between two exchanges: a create meets some twenty.
IDLE_SECONDS = 0.0002
# What a create may say when it loses.
HONEST = ("ESTALE", "ENOENT", "ENOTDIR", "ociVersion", "does not exist", "is not a directory")


@pytest.fixture
def plain(container: Container) -> Container:
    """A container that is made quickly."""
    container.linux["namespaces"] = [{"type": "pid"}, {"type": "mount"}]
    container.config.pop("hostname")
    container.config["mounts"] = []
    container.config["annotations"] = {WHICH: "first"}
    container.args("/bin/echo", "first")
    return container


def other_config(container: Container, path: str, **changes: object) -> None:
    """Write a config that says that it is the second."""
    config = json.loads(json.dumps(container.config)) | changes
    config["annotations"] = {WHICH: "second"}
    config["process"]["args"] = ["/bin/echo", "second"]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)


# The build's package, imported once; each command line is a fork of it, without the start of an
# interpreter, which takes longer than all that is raced.
SERVER = """
import json, os, pkgutil, sys
sys.path[:0] = [sys.argv[1]]
import ocipy
from ocipy.cli import run_command_line
for module in pkgutil.walk_packages(ocipy.__path__, "ocipy."):
    if "_native" not in module.name and not module.name.endswith("__main__"):
        __import__(module.name)
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            for fd, name in ((1, sys.argv[2]), (2, sys.argv[3])):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), fd)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.closerange(3, 4096)
            status = run_command_line(json.loads(line))
        finally:
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Call(NamedTuple):
    status: int
    out: str
    err: str


class Commands:
    """Command lines of the build under attack, for one container."""

    def __init__(self, container: Container, tree: str, directory: str) -> None:
        self.container = container
        self.files = [f"{directory}/out", f"{directory}/err"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, tree, *self.files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, verb: str, *options: str) -> Call:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        words = ["--root", self.container.runtime.root, "--cgroup-manager", "disabled"]
        self.process.stdin.write(json.dumps([*words, verb, *options, self.container.id]) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        out, err = (Path(file).read_text(errors="replace") for file in self.files)
        return Call(status, out, err)

    def begin(self, verb: str) -> Call:
        """Call it for the bundle as it is just then."""
        call = self.call(verb, "--bundle", self.container.bundle.path)
        assert call.status == 0 or any(word in call.err for word in HONEST), call
        return call

    def delete(self) -> None:
        call = self.call("delete", "--force")
        assert call.status == 0, call


@pytest.fixture
def commands(
    plain: Container, runtime_program: str, attack: Attack, directory: str
) -> Iterator[Commands]:
    tree = str(Path(runtime_program).parent / "tree") if attack.is_weakened else REPOSITORY
    made = Commands(plain, tree, directory)
    yield made
    made.process.communicate()


def record_and_config(container: Container) -> tuple[dict[str, object], dict[str, object]]:
    """Return what ocipy remembers of the created container, and the config that it has kept."""
    found = []
    for name in ("state.json", "config.json"):
        with open(f"{container.runtime.root}/{container.id}/{name}", encoding="utf-8") as file:
            found.append(json.load(file))
    return found[0], found[1]


@against("config-read-twice")
def test_config_while_it_is_run(plain: Container, commands: Commands, attack: Attack) -> None:
    """The second is one that must be refused, by its version alone; it is never run."""
    other = f"{plain.bundle.path}/other.json"
    plain.bundle.write()
    other_config(plain, other, ociVersion="9.0.0")

    def attempt() -> tuple[int, object]:
        call = commands.begin("run")
        return 1, call.out if "second" in call.out else ""

    with Racer(f"{plain.bundle.path}/config.json", other, idle=IDLE_SECONDS):
        attack.repeat(attempt, LIVES)


@against("config-kept-by-name")
def test_config_while_it_is_created(plain: Container, commands: Commands, attack: Attack) -> None:
    """Both are good; the one that is kept, for `exec` and hooks, is the one that was used."""
    other = f"{plain.bundle.path}/other.json"
    plain.bundle.write()
    other_config(plain, other)

    def attempt() -> tuple[int, object]:
        call = commands.begin("create")
        if call.status != 0:
            return 1, ""
        record, config = record_and_config(plain)
        commands.delete()
        return 1, record["annotations"] != config["annotations"] and (record, config)

    with Racer(f"{plain.bundle.path}/config.json", other, idle=IDLE_SECONDS):
        attack.repeat(attempt, LIVES)


@against("rootfs-by-name")
def test_rootfs(plain: Container, commands: Commands, directory: str, attack: Attack) -> None:
    """With a link to another: the root is what was found, and state tells which that was."""
    path, outside = plain.bundle.rootfs, f"{directory}/outside"
    build_rootfs(outside, f"{path}/bin/busybox")
    os.symlink(outside, f"{path}.other")
    plain.bundle.write()
    inode = os.stat(outside).st_ino

    def attempt() -> tuple[int, object]:
        call = commands.begin("create")
        if call.status != 0:
            return 1, ""
        record, _ = record_and_config(plain)
        is_outside = os.stat(f"/proc/{record['pid']}/root").st_ino == inode
        commands.delete()
        return 1, is_outside != (record["rootfs"] == outside) and (is_outside, record)

    with Racer(path, f"{path}.other", idle=IDLE_SECONDS):
        attack.repeat(attempt, LIVES)


@pytest.fixture
def second_bundle(plain: Container) -> str:
    """Another whole bundle; the program of each says which config and which root it has."""
    path = f"{plain.bundle.path}.other"
    build_rootfs(f"{path}/rootfs", f"{plain.bundle.rootfs}/bin/busybox")
    for bundle, which in ((plain.bundle.path, "first"), (path, "second")):
        plain.config["annotations"] = {WHICH: which}
        plain.script(f"echo {which}; cat /which")
        with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
            json.dump(plain.config, file)
        with open(f"{bundle}/rootfs/which", "w", encoding="utf-8") as file:
            file.write(f"{which}\n")
    return path


@against("rootfs-by-name", "rootfs-of-another-bundle")
def test_bundle_while_it_is_run(
    plain: Container, commands: Commands, second_bundle: str, attack: Attack
) -> None:
    """Config and root file system are of the same bundle, whichever that is."""

    def attempt() -> tuple[int, object]:
        words = commands.begin("run").out.split()
        return 1, len(set(words)) > 1 and words

    with Racer(plain.bundle.path, second_bundle, idle=IDLE_SECONDS):
        attack.repeat(attempt, LIVES)


@against("rootfs-by-name", "rootfs-of-another-bundle")
def test_bundle_while_it_is_created(
    plain: Container, commands: Commands, second_bundle: str, attack: Attack
) -> None:
    def attempt() -> tuple[int, object]:
        call = commands.begin("create")
        if call.status != 0:
            return 1, ""
        record, config = record_and_config(plain)
        with open(f"/proc/{record['pid']}/root/which", encoding="utf-8") as file:
            which = file.read().strip()
        commands.delete()
        configs = {json.dumps(each["annotations"]) for each in (record, config)}
        return 1, configs != {json.dumps({WHICH: which})} and (which, configs)

    with Racer(plain.bundle.path, second_bundle, idle=IDLE_SECONDS):
        attack.repeat(attempt, LIVES)
