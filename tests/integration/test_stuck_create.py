"""`delete --force` gets rid of a create that is stuck, and of nothing else."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.containers import Container, Runtime, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def only_ocipy(runtime: Runtime) -> None:
    if not runtime.is_ocipy:
        pytest.skip("runc leaves a cgroup and an init behind: opencontainers/runc#4534")


@pytest.mark.parametrize("killed", [False, True])
def test_a_create_that_hangs_in_a_hook_is_ended_by_delete_force(
    container: Container, runtime: Runtime, killed: bool
) -> None:
    path = container.bundle.path
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"echo $$ > {path}/hook; exec sleep 1000"]}
    container.config["hooks"] = {"createRuntime": [hook]}
    container.bundle.write()
    create = runtime.begin("create", "--bundle", path, container.id)
    wait_until(lambda: _content(f"{path}/hook") != "", "the hook")
    assert container.status == "creating"
    if killed:
        create.process.kill()
        create.wait()
    start = time.monotonic()
    container.delete("--force")
    assert time.monotonic() - start < 10
    create.wait()
    assert create.status not in (0, None)
    assert not runtime.holds(container.id)
    hook_pid = int(_content(f"{path}/hook"))
    wait_until(lambda: not _runs(hook_pid), "the end of the hook")


def test_what_a_hook_has_started_ends_with_it(container: Container, runtime: Runtime) -> None:
    path = container.bundle.path
    script = f"sleep 1000 & echo $! > {path}/hook; sleep 1000"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", script]}
    container.config["hooks"] = {"createRuntime": [hook]}
    container.bundle.write()
    create = runtime.begin("create", "--bundle", path, container.id)
    wait_until(lambda: _content(f"{path}/hook") != "", "the hook")
    container.delete("--force")
    create.wait()
    started = int(_content(f"{path}/hook"))
    wait_until(lambda: not _runs(started), "the end of what the hook has started")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_create_that_is_told_to_end_takes_everything_back(
    container: Container, runtime: Runtime, number: int
) -> None:
    path = container.bundle.path
    script = f"echo $$ > {path}/hook; sleep 1000 & sleep 1000"
    container.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]
    }
    container.bundle.write()
    create = runtime.begin("create", "--bundle", path, container.id)
    wait_until(lambda: _content(f"{path}/hook") != "", "the hook")
    create.process.send_signal(number)
    create.wait().failed(f"interrupted by signal {int(number)}", status=128 + number)
    assert not runtime.holds(container.id)
    assert not _runs(int(_content(f"{path}/hook")))


def test_a_create_into_the_cgroup_of_another_container_leaves_that_alone(
    container: Container, make_container: Callable[[], Container]
) -> None:
    container.up()
    pid = container.pid
    other = make_container()
    other.linux["cgroupsPath"] = container.linux["cgroupsPath"]
    other.create(check=False).failed("cgroup is not empty")
    assert container.state()["pid"] == pid
    assert container.status == "running"


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
