"""`wait`, `events --lifecycle`: what becomes of a container, told to who is not its parent."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.observe import exits
from ocipy.state.process import start_ticks
from tests.integration.containers import Container, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.containers import Call, Runtime

pytestmark = pytest.mark.runc_deviates("has neither command", run=False)

SECONDS = 120


def begin(container: Container, *args: str) -> Call:
    """Start `wait` or `events`, and return once it watches."""
    call = container.runtime.begin(*args)
    watched = ("pidfd", "inotify") if args[0] == "events" else ("pidfd",)
    wait_until(lambda: all(holds(call.process.pid, kind) for kind in watched), "the watch")
    return call


def holds(pid: int, kind: str) -> bool:
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return any(kind in link for link in links)


def ended(call: Call) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(call.wait(SECONDS).succeeded().out)
    value.pop("id")
    return value


def let_go(container: Container, script: str) -> int:
    """Start a container that does `script` once told to; return its pid."""
    return container.up(f"echo up; while ! test -e /go; do sleep 0.01; done; {script}")


def tell(container: Container) -> None:
    container.bundle.add_file("go", "")


def test_exit_code(container: Container) -> None:
    if not exits._has_info():
        watch = exits.watch_exit(os.getpid(), start_ticks(os.getpid()) or 0, {})
        with watch:  # type: ignore[union-attr]
            if len(watch.fds) == 1:  # type: ignore[union-attr]
                pytest.skip("neither PIDFD_GET_INFO (Linux 6.15) nor the proc connector")
    pid = let_go(container, "exit 7")
    call = begin(container, "wait", container.id)
    as_json = begin(container, "wait", "--format", "json", container.id)
    tell(container)
    # The one parent that it has: ourselves. Nobody else is told by wait(2).
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert call.wait(SECONDS).succeeded().out == "7\n"
    assert ended(as_json) == {"exitCode": 7, "reason": "exited", "oomKilled": False}


def test_signal(container: Container) -> None:
    pid = container.up()
    call = begin(container, "wait", "--format", "json", container.id)
    container.kill("KILL")
    expected = {"exitCode": 137, "signal": 9, "reason": "signal", "oomKilled": False}
    assert ended(call) == expected
    container.wait(pid)


def test_out_of_memory(container: Container) -> None:
    container.linux["resources"] = {"memory": {"limit": 24 << 20, "swap": 24 << 20}}
    # awk keeps what it reads: it is the process of the container that grows.
    pid = let_go(container, "exec awk 'BEGIN { s = \"x\"; while (1) s = s s }'")
    call = begin(container, "wait", "--format", "json", container.id)
    tell(container)
    expected = {"exitCode": 137, "signal": 9, "reason": "oom", "oomKilled": True}
    assert ended(call) == expected
    container.wait(pid)


def test_zombie(container: Container) -> None:
    """It has ended before `wait` came, and its parent has not taken the status yet."""
    pid = container.up("echo up; exit 3")
    wait_until(lambda: container.status == "stopped", "the end")
    assert container.runtime.call("wait", container.id).succeeded().out == "3\n"
    container.wait(pid)


def test_too_late(container: Container) -> None:
    container.wait(container.up("echo up; exit 3"))
    container.runtime.call("wait", container.id).failed("nobody can tell how")
    as_json = container.runtime.call("wait", "--format=json", container.id)
    assert ended(as_json) == {"exitCode": None, "reason": "unknown", "oomKilled": False}


def test_run_keep_writes_the_exit_down(container: Container) -> None:
    assert container.args("/bin/sh", "-c", "exit 9").run("--keep", check=False).status == 9
    assert container.runtime.call("wait", container.id).succeeded().out == "9\n"


def test_the_time_is_over(container: Container) -> None:
    container.up()
    call = container.runtime.call("wait", "--timeout", "10ms", container.id)
    call.failed("has not ended within 10ms")
    container.runtime.call("wait", "--timeout", "soon", container.id).failed("not a duration")


def test_no_such_container(runtime: Runtime, tag: str) -> None:
    runtime.call("wait", tag).failed("does not exist")
    runtime.call("events", "--lifecycle", tag).failed("does not exist")
    runtime.call("events").failed("requires exactly 1 argument")


def test_older_kernels(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PIDFD_GET_INFO the proc connector tells, as it does of all the machine."""
    monkeypatch.setattr(exits, "_has_info", lambda: False)
    monkeypatch.setattr(exits, "_info_status", lambda pidfd: None)
    pid = let_go(container, "exit 5")
    watch = exits.watch_exit(pid, start_ticks(pid) or 0, {})
    assert watch is not None
    with watch:
        if len(watch.fds) == 1:
            pytest.skip("the proc connector is not for us: no CAP_NET_ADMIN on the host")
        tell(container)
        container.wait(pid)
        assert watch.wait(SECONDS)
        assert watch.result().exit_code == 5


def kinds(call: Call) -> list[str]:
    return [json.loads(line)["type"] for line in call.out.splitlines() if line.endswith("}")]


def test_lifecycle(container: Container) -> None:
    container.script("exec sleep 1000").create()
    call = begin(container, "events", "--lifecycle", container.id)
    wait_until(lambda: kinds(call) == ["created"], "created")
    container.start()
    wait_until(lambda: kinds(call)[1:] == ["started"], "started")
    container.verb("pause")
    wait_until(lambda: kinds(call)[2:] == ["paused"], "paused")
    container.verb("resume")
    wait_until(lambda: kinds(call)[3:] == ["resumed"], "resumed")
    pid = container.pid
    container.kill("TERM")
    container.kill("KILL")
    wait_until(lambda: kinds(call)[4:] == ["exit"], "exit")
    container.wait(pid)
    container.delete()
    records = [json.loads(line) for line in call.wait(SECONDS).succeeded().out.splitlines()]
    assert [record["type"] for record in records][5:] == ["deleted"]
    assert {record["id"] for record in records} == {container.id}
    assert records[1]["data"]["pid"] == pid
    assert records[4]["data"] == {
        "exitCode": 137, "reason": "signal", "signal": 9, "oomKilled": False,
    }  # fmt: skip
    assert [record["time"] for record in records] == sorted(record["time"] for record in records)


def test_lifecycle_of_one_that_runs_out_of_memory(container: Container) -> None:
    container.linux["resources"] = {"memory": {"limit": 24 << 20, "swap": 24 << 20}}
    pid = let_go(container, "exec awk 'BEGIN { s = \"x\"; while (1) s = s s }'")
    call = begin(container, "events", "--lifecycle", container.id)
    wait_until(lambda: kinds(call) == ["created", "started"], "started")
    tell(container)
    wait_until(lambda: "exit" in kinds(call), "exit")
    container.wait(pid)
    container.delete()
    records = [json.loads(line) for line in call.wait(SECONDS).succeeded().out.splitlines()]
    assert "oom" in kinds(call)
    assert next(r for r in records if r["type"] == "exit")["data"]["reason"] == "oom"


def test_lifecycle_of_all(
    runtime: Runtime, make_container: Callable[[], Container], directory: str
) -> None:
    """The state root is not there yet; containers come and go."""
    call = runtime.begin("events", "--lifecycle")
    wait_until(lambda: holds(call.process.pid, "inotify"), "the watch")
    for _ in range(2):
        container = make_container()
        container.script("exec sleep 1000").create()
        pid, told = container.pid, f'"created","id":"{container.id}"'
        wait_until(lambda told=told: told in call.out.replace(" ", ""), "created")  # type: ignore[misc]
        container.delete("--force")
        container.wait(pid)
    wait_until(lambda: kinds(call).count("deleted") == 2, "deleted")
    assert kinds(call) == ["created", "exit", "deleted"] * 2
    assert all(
        record["data"]["started"] is False
        for record in map(json.loads, call.out.splitlines())
        if record["type"] == "exit"
    )
    call.process.kill()
    call.process.wait()
