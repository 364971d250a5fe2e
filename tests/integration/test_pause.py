"""pause and resume: the freezer, as runc has it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.leftovers import cgroup_roots, cgroups

if TYPE_CHECKING:
    from tests.integration.containers import Container

TICKING = "while :; do echo tick; sleep 0.02; done"


def ticks_in(container: Container, seconds: float) -> int:
    before = container.created.out.count("tick")
    time.sleep(seconds)
    return container.created.out.count("tick") - before


def test_paused_processes_do_not_run(container: Container) -> None:
    container.up(TICKING)
    assert container.verb("pause").out == ""
    assert container.status == "paused"
    ticks_in(container, 0.05)  # what was on its way
    assert ticks_in(container, 0.2) == 0
    container.verb("resume")
    assert container.status == "running"
    assert ticks_in(container, 0.5) > 0


def test_what_a_status_forbids(container: Container) -> None:
    pid = container.up()
    container.verb("resume", check=False).failed("container not paused")
    container.verb("pause")
    container.verb("pause", check=False).failed("container not running")
    container.start(check=False).failed("cannot start a container in the paused state")
    container.delete(check=False).failed("that is not stopped: paused")
    container.verb("resume")
    container.kill()
    container.wait(pid)
    container.verb("pause", check=False).failed("container not running")
    container.verb("resume", check=False).failed("container not paused")


def test_a_created_container_can_be_paused(container: Container) -> None:
    container.create()
    container.verb("pause")
    assert container.status == "paused"
    container.verb("resume")
    assert container.status == "created"
    container.start()


def test_a_cgroup_that_is_gone(container: Container) -> None:
    """Somebody has moved the processes away, and removed it: what cannot be done is said."""
    container.linux["resources"] = {"pids": {"limit": 50}}
    container.create()
    for path in cgroups(container.id):
        root = next(root for root in cgroup_roots() if path.startswith(f"{root}/"))
        with open(f"{root}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(container.pid))
        os.rmdir(path)
    why = "no such file" if container.runtime.is_runc else "removed"
    container.verb("pause", check=False).failed(why)
    container.verb("update", "--pids-limit", "9", check=False).failed(why)
    assert container.status == "created"
    container.start()
    container.delete("--force")


@pytest.mark.parametrize("how", ["kill", "kill --all", "delete --force"])
def test_a_paused_container_can_be_killed(container: Container, how: str) -> None:
    pid = container.up("sleep 1000 & echo up; wait")
    container.verb("pause")
    if how == "delete --force":
        container.delete("--force")
    else:
        container.kill("KILL", *how.split()[1:])
    assert container.wait(pid) == 137
    if how != "delete --force":
        assert container.status == "stopped"
        container.delete()
    assert not os.path.exists(f"/proc/{pid}")


def test_a_signal_to_a_paused_container_arrives_when_it_resumes(container: Container) -> None:
    pid = container.up("trap 'exit 44' USR1; echo up; while :; do sleep 0.01; done")
    container.verb("pause")
    container.kill("USR1")
    time.sleep(0.05)
    assert container.status == "paused"
    container.verb("resume")
    assert container.wait(pid) == 44
