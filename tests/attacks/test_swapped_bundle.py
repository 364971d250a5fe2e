"""Somebody exchanges the bundle, its config.json or its rootfs while a container is made.

What was accepted is what is used, and kept: one config, and the root file system that was found
with it. A create may be refused; it must not mix what was before an exchange with what came after.

    ATTACK_ITERATIONS=10000 pytest tests/attacks/test_swapped_bundle.py    as `make attacks` does

An iteration is one create or run.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.attacks.verdict import LIVES, against
from tests.bundles import build_rootfs
from tests.racer import Racer

if TYPE_CHECKING:
    from tests.attacks.verdict import Attack
    from tests.integration.containers import Call, Container

WHICH = "org.example.which"
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


def begin(container: Container, verb: str) -> Call:
    """As Container.create() and run() do, but without writing config.json."""
    options = ("--cgroup-manager", "disabled")
    call = container.runtime.call(*options, verb, "--bundle", container.bundle.path, container.id)
    assert call.status == 0 or any(word in call.err for word in HONEST), call
    return call


def record_and_config(container: Container) -> tuple[dict[str, object], dict[str, object]]:
    """Return what ocipy remembers of the created container, and the config that it has kept."""
    found = []
    for name in ("state.json", "config.json"):
        with open(f"{container.runtime.root}/{container.id}/{name}", encoding="utf-8") as file:
            found.append(json.load(file))
    return found[0], found[1]


@against("config-read-twice")
def test_config_while_it_is_run(plain: Container, attack: Attack) -> None:
    """The second is one that must be refused, by its version alone; it is never run."""
    other = f"{plain.bundle.path}/other.json"
    plain.bundle.write()
    other_config(plain, other, ociVersion="9.0.0")

    def attempt() -> tuple[int, object]:
        call = begin(plain, "run")
        return 1, call.out if "second" in call.out else ""

    with Racer(f"{plain.bundle.path}/config.json", other):
        attack.repeat(attempt, LIVES)


@against("config-kept-by-name")
def test_config_while_it_is_created(plain: Container, attack: Attack) -> None:
    """Both are good; the one that is kept, for `exec` and hooks, is the one that was used."""
    other = f"{plain.bundle.path}/other.json"
    plain.bundle.write()
    other_config(plain, other)

    def attempt() -> tuple[int, object]:
        call = begin(plain, "create")
        if call.status != 0:
            return 1, ""
        record, config = record_and_config(plain)
        plain.delete("--force")
        return 1, record["annotations"] != config["annotations"] and (record, config)

    with Racer(f"{plain.bundle.path}/config.json", other):
        attack.repeat(attempt, LIVES)


@against("rootfs-by-name")
def test_rootfs(plain: Container, directory: str, attack: Attack) -> None:
    """With a link to another: the root is what was found, and state tells which that was."""
    path, outside = plain.bundle.rootfs, f"{directory}/outside"
    build_rootfs(outside, f"{path}/bin/busybox")
    os.symlink(outside, f"{path}.other")
    plain.bundle.write()
    inode = os.stat(outside).st_ino

    def attempt() -> tuple[int, object]:
        call = begin(plain, "create")
        if call.status != 0:
            return 1, ""
        record, _ = record_and_config(plain)
        is_outside = os.stat(f"/proc/{record['pid']}/root").st_ino == inode
        plain.delete("--force")
        return 1, is_outside != (record["rootfs"] == outside) and (is_outside, record)

    with Racer(path, f"{path}.other"):
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
def test_bundle_while_it_is_run(plain: Container, second_bundle: str, attack: Attack) -> None:
    """Config and root file system are of the same bundle, whichever that is."""

    def attempt() -> tuple[int, object]:
        words = begin(plain, "run").out.split()
        return 1, len(set(words)) > 1 and words

    with Racer(plain.bundle.path, second_bundle):
        attack.repeat(attempt, LIVES)


@against("rootfs-by-name", "rootfs-of-another-bundle")
def test_bundle_while_it_is_created(plain: Container, second_bundle: str, attack: Attack) -> None:
    def attempt() -> tuple[int, object]:
        call = begin(plain, "create")
        if call.status != 0:
            return 1, ""
        record, config = record_and_config(plain)
        with open(f"/proc/{record['pid']}/root/which", encoding="utf-8") as file:
            which = file.read().strip()
        plain.delete("--force")
        configs = {json.dumps(each["annotations"]) for each in (record, config)}
        return 1, configs != {json.dumps({WHICH: which})} and (which, configs)

    with Racer(plain.bundle.path, second_bundle):
        attack.repeat(attempt, LIVES)
