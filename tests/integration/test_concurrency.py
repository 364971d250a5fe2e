"""Several calls at once, and a runtime that is killed in the middle of one."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from ocipy.cli import run_command_line
from ocipy.state import store
from tests.integration import leftovers
from tests.integration.containers import Call, Container, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocipy.state.store import ContainerLock

runc_deviates = pytest.mark.runc_deviates


def begin(container: Container, verb: str, *options: str) -> Call:
    return container.runtime.begin(verb, *options, container.id)


def test_creates_of_the_same_id(
    container: Container, make_container: Callable[[], Container]
) -> None:
    """runtime.md#create: the id is unique; one wins, and the losers leave it in peace."""
    contenders = [container, *(make_container() for _ in range(4))]
    for number, contender in enumerate(contenders):
        contender.id = container.id
        # Each in a cgroup of its own, so that a loser could not spoil the winner's.
        contender.linux["cgroupsPath"] = f"/{container.id}-{number}"
        contender.script("exec sleep 1000").bundle.write()
    calls = [begin(c, "create", "--bundle", c.bundle.path) for c in contenders]
    for call in calls:
        call.wait()
    winners = [c for c, call in zip(contenders, calls, strict=True) if call.status == 0]
    assert len(winners) == 1, calls
    for call in calls:
        assert call.status == 0 or "exist" in call.err or "in use" in call.err, call
    assert container.state()["bundle"] == winners[0].bundle.path
    container.start()
    assert container.status == "running"


def test_create_while_the_last_of_that_name_is_being_deleted(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cgroup is still there when create looks, and gone when it has the name: then it is ours.

    Nobody may be quicker than the other here, so create runs in this process, and what the deletion
    does happens at that very moment.
    """
    if not container.runtime.is_ocipy:
        pytest.skip("create is called as a function")
    roots = [root for root in leftovers.cgroup_roots() if os.access(root, os.W_OK)]
    for root in roots:
        os.makedirs(f"{root}/{container.id}", exist_ok=True)
    create = store.create

    def create_late(root: str, container_id: str) -> ContainerLock:
        for path in leftovers.cgroups(container_id):
            os.rmdir(path)
        return create(root, container_id)

    monkeypatch.setattr(store, "create", create_late)
    container.script("exec sleep 1000").bundle.write()
    options = ["--root", container.runtime.root, "--log", f"{container.runtime.directory}/log"]
    made = ["create", "--bundle", container.bundle.path, container.id]
    assert run_command_line([*options, *made]) == 0
    assert leftovers.cgroups(container.id) != []
    container.delete("--force")
    assert leftovers.describe_after(container.id, container.runtime.root) == []


def test_many_containers_at_once(make_container: Callable[[], Container]) -> None:
    containers = [make_container() for _ in range(8)]
    for number, container in enumerate(containers):
        container.script(f"echo {number}; exit {number}").bundle.write()
    calls = [begin(c, "run", "--bundle", c.bundle.path) for c in containers]
    for number, call in enumerate(calls):
        assert call.wait().status == number, call
        assert call.out == f"{number}\n"


def test_a_foreground_run_whose_container_somebody_deletes(container: Container) -> None:
    container.script("echo up; exec sleep 1000").bundle.write()
    call = begin(container, "run", "--bundle", container.bundle.path)
    wait_until(lambda: "up" in call.out, "output")
    container.delete("--force")
    assert call.wait().status == 128 + signal.SIGKILL, call
    assert call.err == ""


@runc_deviates("has no lock")
def test_a_foreground_run_that_ends_while_somebody_is_at_work_on_its_container(
    container: Container,
) -> None:
    """Its exit status is the process's, and the container is deleted as soon as that is over."""
    container.script("echo up; exec sleep 1000").bundle.write()
    call = begin(container, "run", "--bundle", container.bundle.path)
    wait_until(lambda: "up" in call.out, "output")
    directory = f"{container.runtime.root}/{container.id}"
    with open(f"{directory}/lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        container.kill("KILL")
        wait_until(lambda: container.status == "stopped", "the end of the process")
        with pytest.raises(subprocess.TimeoutExpired):
            call.process.wait(0.2)
    assert call.wait().status == 128 + signal.SIGKILL, call
    assert call.err == ""
    assert not os.path.exists(directory)


def test_starts_at_once(container: Container) -> None:
    container.script("echo up; exec sleep 1000").create()
    calls = [begin(container, "start") for _ in range(4)]
    statuses = sorted(call.wait().status or 0 for call in calls)
    if container.runtime.is_runc:
        assert 0 in statuses
    else:
        assert statuses == [0, 1, 1, 1], calls
    wait_until(lambda: "up" in container.created.out, "output")
    assert container.created.out == "up\n"


def test_deletes_at_once(container: Container) -> None:
    container.up()
    calls = [begin(container, "delete", "--force") for _ in range(4)]
    statuses = [call.wait().status for call in calls]
    assert 0 in statuses
    assert not container.runtime.holds(container.id)
    container.verb("state", check=False).failed("does not exist")


def test_state_meanwhile(container: Container) -> None:
    """Whoever looks during the whole life sees a status, or that there is none; never rubbish."""
    container.script("exit 0").bundle.write()
    life = Call(
        [
            "/bin/sh",
            "-c",
            'set -e; for i in 1 2 3; do "$@" create --bundle $B $ID; "$@" start $ID; sleep 0.05; '
            '"$@" delete --force $ID; done',
            "sh",
            container.runtime.program,
            *container.runtime.global_options,
        ],
        container.runtime.directory,
    )
    life.begin(env={"B": container.bundle.path, "ID": container.id, "PATH": "/bin:/usr/bin:/sbin"})
    seen = set()
    while life.process.poll() is None:
        call = container.verb("state", check=False)
        if call.status == 0:
            seen.add(call.out.split('"status": "')[1].split('"')[0])
        else:
            call.failed("does not exist" if not container.runtime.is_runc else "")
    life.wait().succeeded()
    assert seen <= {"creating", "created", "running", "stopped"}
    assert seen


# runc needs about 20 ms for a create; slower ones are hit at their beginning more often.
DELAYS = [random.Random(number).uniform(0, 0.06) for number in range(24)]


@pytest.mark.parametrize("verb", ["create", "run"])
@pytest.mark.parametrize("delays", [DELAYS[0:8], DELAYS[8:16], DELAYS[16:24]], ids=["a", "b", "c"])
def test_sigkill_of_the_runtime(container: Container, verb: str, delays: list[float]) -> None:
    """Whenever it comes: `delete --force` removes process, cgroup, mounts and directory."""
    if container.runtime.is_runc:
        pytest.xfail("runc leaves a cgroup, or a process that has no cgroup yet (runc#4534)")
    for delay in delays:
        container.script("exec sleep 1000").bundle.write()
        call = begin(container, verb, "--bundle", container.bundle.path)
        try:
            call.process.wait(delay)
        except subprocess.TimeoutExpired:
            pass
        call.process.kill()
        call.wait()
        state = container.verb("state", check=False)
        assert state.status == 0 or "does not exist" in state.err, state
        container.delete("--force")
        left = leftovers.describe_after(container.id, container.runtime.root)
        assert left == [], f"after {delay * 1000:.1f} ms"


def test_sigkill_of_the_runtime_and_creating_anew(container: Container) -> None:
    if container.runtime.is_runc:
        pytest.xfail("runc leaves a cgroup, or a process that has no cgroup yet (runc#4534)")
    for delay in DELAYS[:6]:
        container.script("exec sleep 1000").bundle.write()
        call = begin(container, "create", "--bundle", container.bundle.path)
        time.sleep(delay)
        call.process.kill()
        call.wait()
        container.delete("--force")
        container.create()
        container.delete("--force")


@pytest.mark.parametrize("delay", DELAYS[:4])
def test_sigterm_of_the_runtime(container: Container, delay: float) -> None:
    """Asked to end, create either finishes or takes everything back; --force does the rest."""
    container.script("exec sleep 1000").bundle.write()
    call = begin(container, "create", "--bundle", container.bundle.path)
    try:
        call.process.wait(delay)
    except subprocess.TimeoutExpired:
        call.process.send_signal(signal.SIGTERM)
    call.wait()
    container.delete("--force", check=False)


def test_the_containers_process_dies_while_it_is_created(container: Container) -> None:
    container.create()
    pid = container.pid
    container.kill("KILL")
    container.wait(pid)
    container.start(check=False).failed("stopped")
    container.delete()


@runc_deviates("reports whichever call met the end")
@pytest.mark.parametrize("delay", DELAYS)
def test_the_container_ends_while_something_is_executed_in_it(
    container: Container, delay: float
) -> None:
    """The answer is that of an exec that came later, whatever system call met the end.

    Or, if its program ran already, that it was killed.
    """
    pid = container.up()
    call = container.runtime.begin("exec", container.id, "/bin/sleep", "1000")
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    call.wait()
    container.wait(pid)
    assert call.status in (255, 128 + signal.SIGKILL), call
    assert call.status != 255 or "cannot exec in a stopped container" in call.err, call


def test_twenty_lives_in_a_row_leave_nothing(container: Container) -> None:
    for _ in range(20):
        container.run()
    assert leftovers.describe_after(container.id, container.runtime.root) == []
