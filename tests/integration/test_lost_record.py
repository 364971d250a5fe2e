"""`delete --force` of a container whose state.json is damaged: it is found again, or not forgotten.

runc refuses such a container, and leaves all of it.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.containers import wait_until
from tests.integration.leftovers import cgroup_roots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.containers import Container

pytestmark = pytest.mark.requires("root", "controller:pids")


def path_of(container: Container, name: str) -> str:
    return f"{container.runtime.root}/{container.id}/{name}"


def damage(container: Container, text: str = "no JSON") -> None:
    with open(path_of(container, "state.json"), "w", encoding="utf-8") as file:
        file.write(text)


def forget_init(container: Container) -> None:
    """Let the lock say no more than who has it, as an older ocipy wrote it."""
    os.truncate(path_of(container, "lock"), 41)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def cgroups(name: str) -> list[str]:
    return [path for root in cgroup_roots() if os.path.isdir(path := f"{root}/{name}")]


@pytest.mark.parametrize("text", ["no JSON", "", '{"id": "x"}', "[]", '{"pid": '])
def test_it_is_killed_and_removed(container: Container, text: str) -> None:
    """Without a pid namespace: what it has started is in its cgroup, and goes as well."""
    container.linux["namespaces"] = [{"type": "mount"}]
    container.config.pop("hostname")
    container.config["mounts"] = container.config["mounts"][:1]
    pid = container.up("sleep 1000 & echo $!; exec sleep 1000")
    child = int(container.created.out)
    damage(container, text)
    deleted = container.delete("--force")
    assert "state.json" in deleted.err
    assert not is_alive(pid)
    wait_until(lambda: not is_alive(child), "the container's other process ends")
    assert not container.runtime.holds(container.id)
    assert not cgroups(container.id)


def test_before_it_was_started(container: Container) -> None:
    container.create()
    pid = container.pid
    damage(container)
    container.delete("--force")
    assert not is_alive(pid)
    assert not cgroups(container.id)


def test_after_it_has_ended(container: Container) -> None:
    container.up()
    container.kill_and_wait()
    damage(container)
    container.delete("--force")
    assert not cgroups(container.id)
    assert not container.runtime.holds(container.id)


def test_in_a_cgroup_below_that_of_its_creator(container: Container) -> None:
    """cgroupsPath is relative, and `delete` is called from another cgroup."""
    del container.linux["cgroupsPath"]
    parent = f"{cgroup_roots()[0]}/{container.id}above"
    os.mkdir(parent)
    command = f'echo $$ >{parent}/cgroup.procs; exec "$@"'
    container.script("exec sleep 1000")
    container.bundle.write()
    runtime = container.runtime
    words = [runtime.program, *runtime.global_options, "run", "--detach"]
    words += ["--bundle", container.bundle.path, container.id]
    subprocess.run(
        ["sh", "-c", command, "sh", *words],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    pid = container.pid
    damage(container)
    container.delete("--force")
    assert not is_alive(pid)
    os.rmdir(parent)


def test_without_a_cgroup_its_process_alone_is_killed(container: Container) -> None:
    """It is in the cgroup of this test."""
    runtime = container.runtime
    container.script("exec sleep 1000")
    container.bundle.write()
    options = ("--cgroup-manager", "disabled", "run", "--detach")
    runtime.call(*options, "--bundle", container.bundle.path, container.id).succeeded()
    pid = container.pid
    damage(container)
    container.delete("--force")
    assert not is_alive(pid)


def test_nobody_is_killed_who_may_be_a_stranger(container: Container) -> None:
    """With nothing left that names its init, the error says where to look; and nothing is lost."""
    pid = container.up()
    damage(container)
    forget_init(container)
    refused = container.delete("--force", check=False).failed(container.id, f"process {pid} (sleep")
    assert cgroups(container.id)[0] in refused.message
    assert is_alive(pid)
    os.kill(pid, 9)
    container.wait(pid)
    container.delete("--force")
    assert not container.runtime.holds(container.id)
    assert not cgroups(container.id)


@pytest.fixture
def stranger(container: Container) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def test_a_stranger_in_its_cgroup(container: Container, stranger: subprocess.Popen[bytes]) -> None:
    """Its init has ended, and somebody else is in the cgroup now."""
    container.up()
    container.kill_and_wait()
    for path in cgroups(container.id):
        with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(stranger.pid))
    damage(container)
    container.delete("--force", check=False).failed(f"process {stranger.pid} (sleep")
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    container.delete("--force")


def test_a_cgroup_that_may_have_been_there_stays(container: Container) -> None:
    name = f"{container.id}"[:-1] + "other"
    container.linux["cgroupsPath"] = f"/{name}"
    pid = container.up()
    damage(container)
    deleted = container.delete("--force")
    assert not is_alive(pid)
    assert all(path in deleted.err for path in cgroups(name))
    assert cgroups(name)
    for path in cgroups(name):
        os.rmdir(path)
