"""The verbs in their order, and out of it: runtime.md#lifecycle and #operations."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.integration.containers import Container, Runtime, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates

RFC3339_NANO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


def zombie_or_gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_whole_life(container: Container, runtime: Runtime) -> None:
    container.config["annotations"] = {"org.example.key": "a value"}
    container.script("echo ran; exec sleep 1000")
    container.create()
    state = container.state()
    pid = state["pid"]
    assert state["id"] == container.id
    assert state["status"] == "created"
    assert state["bundle"] == container.bundle.path
    assert state["rootfs"] == container.bundle.rootfs
    assert state["annotations"] == {"org.example.key": "a value"}
    assert re.fullmatch(r"1\.\d+\.\d+(-dev)?", state["ociVersion"])
    assert RFC3339_NANO.fullmatch(state["created"])
    assert "owner" in state
    assert container.created.out == "", "the program runs before start"

    container.start()
    wait_until(lambda: container.created.out == "ran\n", "the container's output")
    assert container.state() == {**state, "status": "running"}

    container.kill("TERM")
    container.kill("KILL", check=False)
    assert container.wait(pid) == 128 + 9, "sleep as pid 1 does not die of SIGTERM"
    stopped = container.state()
    assert stopped["status"] == "stopped"
    assert stopped.get("pid", 0) == 0

    container.delete()
    assert not runtime.holds(container.id)
    container.verb("state", check=False).failed("does not exist")


def test_a_zombie_is_stopped(container: Container) -> None:
    """Nobody has reaped the process yet; it is dead all the same."""
    pid = container.up("echo up")
    wait_until(lambda: zombie_or_gone(pid), "the process's end")
    assert container.status == "stopped"
    container.kill("TERM", check=False).failed("container not running")
    container.delete()


def test_config_is_read_once_by_create(container: Container) -> None:
    """runtime.md#lifecycle: changes of config.json after create have no effect."""
    container.script("echo first; exec sleep 1000").create()
    os.unlink(f"{container.bundle.path}/config.json")
    container.start()
    wait_until(lambda: "\n" in container.created.out, "output")
    assert container.created.out == "first\n"
    assert container.status == "running"


def test_bundle_defaults_to_the_working_directory(container: Container, runtime: Runtime) -> None:
    container.bundle.write()
    runtime.call("create", container.id, cwd=container.bundle.path).succeeded()
    assert container.state()["bundle"] == container.bundle.path
    runtime.call("start", container.id, cwd="/").succeeded()


def test_bundle_may_be_relative(container: Container, runtime: Runtime, directory: str) -> None:
    container.bundle.write()
    name = os.path.basename(container.bundle.path)
    runtime.call("create", "--bundle", f"./{name}", container.id, cwd=directory).succeeded()
    assert container.state()["bundle"] == container.bundle.path


def test_run_deletes_and_returns_the_exit_status(container: Container, runtime: Runtime) -> None:
    container.script("exit 7")
    container.run(check=False).failed(status=7)
    assert not runtime.holds(container.id)


def test_run_keep(container: Container) -> None:
    container.args("/bin/true")
    call = container.run("--keep", check=False)
    if container.runtime.is_runc and "flag provided but not defined" in call.err:
        pytest.xfail("runc 1.1.5 lacks --keep")
    assert container.status == "stopped"
    container.delete()


def test_run_detached(container: Container) -> None:
    pid_file = f"{container.bundle.path}/pid"
    container.script("echo up; exec sleep 1000")
    call = container.run("--detach", "--pid-file", pid_file)
    state = container.state()
    assert state["status"] == "running"
    with open(pid_file, encoding="utf-8") as file:
        assert file.read() == str(state["pid"])
    wait_until(lambda: call.out == "up\n", "output")
    container.kill("KILL")
    assert container.wait(state["pid"]) == 137
    container.delete()


@pytest.mark.parametrize("verb", ["start", "state", "kill", "delete"])
def test_an_unknown_id_is_an_error(runtime: Runtime, tag: str, verb: str) -> None:
    # containerd takes "does not exist" for "no such container".
    runtime.call(verb, tag, *(["TERM"] if verb == "kill" else [])).failed("does not exist")


@pytest.mark.parametrize("verb", ["create", "run", "start", "state", "kill", "delete"])
def test_no_id_is_an_error(container: Container, runtime: Runtime, verb: str) -> None:
    container.bundle.write()
    call = runtime.call(verb, cwd=container.bundle.path)
    assert call.status == 1, call


def test_delete_force_of_an_unknown_id_succeeds(runtime: Runtime, tag: str) -> None:
    runtime.call("delete", "--force", tag).succeeded()
    runtime.call("delete", "-f", tag).succeeded()


def test_create_twice(container: Container, make_container: Callable[[], Container]) -> None:
    container.script("exec sleep 1000").create()
    state = container.state()
    other = make_container()
    other.id = container.id
    other.create(check=False).failed("already exists" if container.runtime.is_ocipy else "exist")
    assert container.state() == state
    container.start()
    assert container.status == "running"


def test_start_twice(container: Container) -> None:
    container.up()
    container.start(check=False).failed("cannot start an already running container")
    assert container.status == "running"


def test_start_after_the_end(container: Container) -> None:
    pid = container.up("echo up")
    container.wait(pid)
    container.start(check=False).failed("cannot start a container that has stopped")


def test_delete_while_running(container: Container) -> None:
    container.up()
    container.delete(check=False).failed("is not stopped: running")
    assert container.status == "running"


def test_delete_while_created(container: Container, runtime: Runtime) -> None:
    """The specification wants an error; clients rely on what every runtime does instead."""
    container.create()
    pid = container.pid
    container.delete()
    assert container.wait(pid) == 137
    assert not runtime.holds(container.id)


@pytest.mark.parametrize("status", ["created", "running", "stopped"])
def test_delete_force(container: Container, runtime: Runtime, status: str) -> None:
    if status == "created":
        container.script("exec sleep 1000").create()
    else:
        pid = container.up("echo up; exec sleep 1000" if status == "running" else "echo up")
        if status == "stopped":
            container.wait(pid)
    container.delete("--force")
    assert not runtime.holds(container.id)


def test_kill_a_created_container(container: Container) -> None:
    container.create()
    pid = container.pid
    container.kill("KILL")
    assert container.wait(pid) == 137
    assert container.status == "stopped"
    container.start(check=False).failed("cannot start a container that has stopped")


@pytest.mark.parametrize("all_option", ["", "--all"])
def test_kill_a_stopped_container(container: Container, all_option: str) -> None:
    pid = container.up("echo up")
    container.wait(pid)
    options = [all_option] if all_option else []
    call = container.kill("TERM", *options, check=False)
    if all_option:
        # go-runc's callers kill what is left of a dead container: nothing left is no error.
        call.succeeded()
    else:
        call.failed("container not running")


@pytest.mark.parametrize("signal", ["USR1", "SIGUSR1", "usr1", "10", "+10"])
def test_kill_takes_names_and_numbers(container: Container, signal: str) -> None:
    pid = container.up("trap 'exit 44' USR1; echo up; while :; do sleep 0.01; done")
    container.kill(signal)
    assert container.wait(pid) == 44


@pytest.mark.parametrize("words", [(), ("",)])
def test_kill_sends_sigterm_by_default(
    container: Container, runtime: Runtime, words: tuple[str, ...]
) -> None:
    pid = container.up("trap 'exit 45' TERM; echo up; while :; do sleep 0.01; done")
    runtime.call("kill", container.id, *words).succeeded()
    assert container.wait(pid) == 45


@pytest.mark.parametrize("signal", ["NOSUCH", "-3x", "9999", "9" * 20, "9" * 5000])
def test_kill_with_a_wrong_signal(container: Container, signal: str) -> None:
    container.up()
    call = container.runtime.call("kill", container.id, signal)
    assert call.status == 1, call
    assert "unexpected" not in call.err, call
    assert container.status == "running"


@pytest.mark.parametrize(
    "container_id", ["../evil", "a/b", ".", "..", "a b", "a\nb", "", "\N{ARABIC-INDIC DIGIT ONE}"]
)
def test_invalid_ids(container: Container, container_id: str) -> None:
    container.id = container_id
    call = container.create(check=False)
    assert call.status == 1, call
    assert not os.path.exists(container.runtime.root) or not os.listdir(container.runtime.root)


@pytest.mark.parametrize("suffix", ["+", "_", "-", ".", ".a-b_c+1"])
def test_valid_ids(container: Container, suffix: str) -> None:
    container.id += suffix
    container.run()


def test_deleted_container_can_be_created_again(container: Container) -> None:
    for _ in range(2):
        pid = container.up("echo up")
        container.wait(pid)
        container.delete()


def test_create_without_process(container: Container) -> None:
    """config.md#process: REQUIRED only when `start` is called."""
    del container.config["process"]
    call = container.create(check=False)
    if container.runtime.is_runc:
        pytest.xfail("runc wants a process when it creates")
    call.succeeded()
    assert container.status == "created"
    container.start(check=False).failed("process")


@pytest.mark.parametrize("options", [(), ("--detach",)])
def test_run_without_process(container: Container, options: tuple[str, ...]) -> None:
    del container.config["process"]
    container.run(*options, check=False).failed("process")
    assert not container.runtime.holds(container.id)


def test_other_files_beside_the_container_stay(container: Container, directory: str) -> None:
    """runtime.md#delete: what create did not make is not deleted."""
    os.mkdir(f"{directory}/volume")
    container.bundle.add_mount("/volume", "bind", f"{directory}/volume", "bind")
    container.sh("echo kept > /volume/file")
    with open(f"{directory}/volume/file", encoding="utf-8") as file:
        assert file.read() == "kept\n"
    assert os.path.exists(f"{container.bundle.rootfs}/bin/busybox")
