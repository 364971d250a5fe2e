"""`update` and `events`."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration import resource_files
from tests.integration.containers import Container, wait_until
from tests.integration.resource_files import PURE_V2

if TYPE_CHECKING:
    from tests.integration.containers import Runtime

runc_deviates = pytest.mark.runc_deviates

MIB = 1 << 20


def named(v1: str, v2: str) -> str:
    return v2 if PURE_V2 else v1


MEMORY = named("memory/memory.limit_in_bytes", "memory.max")
PIDS = named("pids/pids.max", "pids.max")

OPTIONS = [
    (["--memory", "67108864"], MEMORY, str(64 * MIB)),
    (["--memory=64M"], MEMORY, str(64 * MIB)),
    (
        ["--memory-reservation", "33554432"],
        named("memory/memory.soft_limit_in_bytes", "memory.low"),
        str(32 * MIB),
    ),
    (["--pids-limit", "20"], PIDS, "20"),
    (["--pids-limit", "-1"], PIDS, "max"),
    (
        ["--cpu-period", "50000", "--cpu-quota", "20000"],
        named("cpu/cpu.cfs_quota_us", "cpu.max"),
        named("20000", "20000 50000"),
    ),
]
OPTIONS_V1 = [
    (["--cpu-share", "512"], "cpu/cpu.shares", "512"),
    (["--cpuset-cpus", "1"], "cpuset/cpuset.cpus", "1"),
    (["--cpuset-mems", "0"], "cpuset/cpuset.mems", "0"),
    (["--cpu-idle", "1"], "cpu/cpu.idle", "1"),
]


@pytest.mark.parametrize(
    ("options", "name", "content"),
    [*OPTIONS, *([] if PURE_V2 else OPTIONS_V1)],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_options(container: Container, options: list[str], name: str, content: str) -> None:
    if container.runtime.is_runc and "--cpu-idle" in options:
        pytest.xfail("runc 1.1.5 has no --cpu-idle")
    container.linux["resources"] = {"memory": {"limit": 128 * MIB}, "pids": {"limit": 100}}
    container.up()
    container.verb("update", *options)
    resource_files.check(container, {name: content})


def test_what_is_not_named_stays(container: Container) -> None:
    container.linux["resources"] = {"memory": {"limit": 128 * MIB}, "pids": {"limit": 100}}
    container.up()
    container.verb("update", "--pids-limit", "50")
    resource_files.check(container, {MEMORY: str(128 * MIB), PIDS: "50"})


RESOURCES: dict[str, Any] = {
    "memory": {"limit": 64 * MIB, "reservation": 0, "swap": 0},
    "cpu": {"shares": 0, "quota": 25000, "period": 100000, "cpus": "", "mems": ""},
    "pids": {"limit": 30},
    "blockIO": {"weight": 0},
}


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_resources_as_docker_gives_them(container: Container, directory: str, source: str) -> None:
    """JSON in a file or on stdin, in which zeros mean "not set"."""
    container.up()
    path = f"{directory}/resources.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(RESOURCES, file)
    if source == "file":
        container.verb("update", f"--resources={path}")
    else:
        with open(path, "rb") as stdin:
            container.verb("update", "--resources", "-", stdin=stdin)
    quota = named("cpu/cpu.cfs_quota_us", "cpu.max")
    resource_files.check(
        container, {MEMORY: str(64 * MIB), PIDS: "30", quota: named("25000", "25000 100000")}
    )


@pytest.mark.parametrize(
    "options",
    [["--memory", "banana"], ["--pids-limit", "x"], ["--cpu-period", "1"], ["--resources", "/no"]],
    ids=lambda value: value[0],
)
def test_wrong_values(container: Container, options: list[str]) -> None:
    container.linux["resources"] = {"memory": {"limit": 128 * MIB}, "pids": {"limit": 100}}
    container.up()
    call = container.verb("update", *options, check=False)
    assert call.status == 1, call
    resource_files.check(container, {MEMORY: str(128 * MIB), PIDS: "100"})
    assert container.status == "running"


def test_update_of_a_stopped_and_of_no_container(
    container: Container, runtime: Runtime, tag: str
) -> None:
    runtime.call("update", "--pids-limit", "10", tag).failed("does not exist")
    container.wait(container.up("echo up"))
    call = container.verb("update", "--pids-limit", "10", check=False)
    assert call.status in (0, 1)
    assert container.status == "stopped"


def test_update_of_a_created_container(container: Container) -> None:
    container.create()
    container.verb("update", "--pids-limit", "12")
    resource_files.check(container, {PIDS: "12"})


def test_a_failed_update_changes_nothing(container: Container, directory: str) -> None:
    container.linux["resources"] = {"memory": {"limit": 128 * MIB}, "pids": {"limit": 100}}
    container.up()
    path = f"{directory}/resources.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"pids": {"limit": 10}, "cpu": {"quota": 1, "period": 1}}, file)
    container.verb("update", "--resources", path, check=False).failed("")
    resource_files.check(container, {MEMORY: str(128 * MIB)})
    assert container.status == "running"


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def test_stats(container: Container) -> None:
    container.linux["resources"] = {"memory": {"limit": 128 * MIB}, "pids": {"limit": 100}}
    container.up("echo up; while :; do :; done")
    (record,) = records(container.verb("events", "--stats").out)
    assert record["type"] == "stats"
    assert record["id"] == container.id
    data = record["data"]
    assert data["pids"] == {"current": 1, "limit": 100}
    assert data["cpu"]["usage"]["total"] > 0
    assert data["memory"]["usage"]["limit"] == 128 * MIB
    assert data["memory"]["usage"]["usage"] > 0
    assert data["memory"]["raw"]["anon" if PURE_V2 else "rss"] >= 0


def test_stats_again_and_again(container: Container) -> None:
    container.up()
    call = container.runtime.begin("events", "--interval", "100ms", container.id)
    wait_until(lambda: len(records(call.out)) >= 3, "three records")
    os.kill(call.process.pid, signal.SIGTERM)
    call.wait()
    assert {record["type"] for record in records(call.out)} == {"stats"}


def test_events_end_with_the_container(container: Container) -> None:
    pid = container.up()
    call = container.runtime.begin("events", "--interval", "1h", container.id)
    wait_until(lambda: call.process.poll() is None, "the watcher")
    wait_until(lambda: watching(call.process.pid), "the notification's set-up")
    container.kill("KILL")
    container.wait(pid)
    container.delete()
    call.wait().succeeded()


def watching(pid: int) -> bool:
    """Whether the process holds what the kernel tells of events through."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    told_by = ("eventfd", "inotify", "memory.events", "cgroup.events")
    return any(name in link for link in links for name in told_by)


def test_oom_event(container: Container) -> None:
    container.linux["resources"] = {"memory": {"limit": 24 * MIB}}
    container.up(
        "echo up; while ! test -e /go; do sleep 0.01; done;"
        "head -c 200000000 /dev/zero | tail -c 199999999 > /dev/null; exec sleep 1000"
    )
    call = container.runtime.begin("events", "--interval", "1h", container.id)
    wait_until(lambda: watching(call.process.pid), "the notification's set-up")
    with open(f"{container.bundle.rootfs}/go", "w", encoding="utf-8"):
        pass
    wait_until(lambda: any(r["type"] == "oom" for r in records(call.out)), "an oom event")
    call.process.kill()
    call.wait()


def test_events_of_a_stopped_and_of_no_container(
    container: Container, runtime: Runtime, tag: str
) -> None:
    runtime.call("events", "--stats", tag).failed("does not exist")
    container.wait(container.up("echo up"))
    container.verb("events", "--stats", check=False).failed("")
