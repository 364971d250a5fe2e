"""`events`: statistics in runc's shape, and word of a lack of memory."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from tests.integration.cgroup_files import PURE_V2
from tests.integration.containers import Call, Container, wait_until

requires = pytest.mark.requires
MIB = 1 << 20
WATCHED = ("eventfd", "memory.events", "inotify")

# runc 1.1.5's output, for a v1 host: every name that is always there.
SHAPE: Any = {
    "cpu": {"usage": {"kernel": 0, "user": 0}, "throttling": {}},
    "cpuset": {
        "cpu_exclusive": 0, "mem_hardwall": 0, "mem_exclusive": 0, "memory_migrate": 0,
        "memory_spread_page": 0, "memory_spread_slab": 0, "memory_pressure": 0,
        "sched_load_balance": 0, "sched_relax_domain_level": 0,
    },
    "memory": {
        "usage": {"limit": 0, "failcnt": 0}, "swap": {"limit": 0, "failcnt": 0},
        "kernel": {"limit": 0, "failcnt": 0}, "kernelTCP": {"limit": 0, "failcnt": 0}, "raw": {},
    },
    "pids": {}, "blkio": {}, "hugetlb": {}, "intel_rdt": {}, "network_interfaces": None,
}  # fmt: skip


def has_shape(value: Any, shape: Any) -> bool:
    if not isinstance(shape, dict):
        return True
    return all(name in value and has_shape(value[name], part) for name, part in shape.items())


def stats(container: Container) -> Any:
    out = container.verb("events", "--stats").out
    assert out.endswith("\n")
    (line,) = out.splitlines()
    event = json.loads(line)
    assert (event["type"], event["id"]) == ("stats", container.id)
    return event["data"]


def await_watching(call: Call) -> None:
    """Wait until `events` has the descriptors that it hears of a lack of memory by."""
    fds = f"/proc/{call.process.pid}/fd"

    def watches() -> bool:
        try:
            links = [os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)]
        except FileNotFoundError:
            return False
        return any(word in link for link in links for word in WATCHED)

    wait_until(watches, "events to watch")


def test_stats(container: Container) -> None:
    container.linux["resources"] = {
        "memory": {"limit": 64 * MIB},
        "pids": {"limit": 20},
        "cpu": {"quota": 10000, "period": 100000},
    }
    container.up("x=0; while [ $x -lt 100000 ]; do x=$((x+1)); done; echo up; sleep 999 & wait")
    data = stats(container)
    assert has_shape(data, SHAPE), data
    assert data["pids"] == {"current": 2, "limit": 20}
    assert data["memory"]["usage"]["limit"] == 64 * MIB
    assert 0 < data["memory"]["usage"]["usage"] < 64 * MIB
    assert data["cpu"]["usage"]["total"] > 10_000_000
    assert data["cpu"]["throttling"]["periods"] > 0
    assert data["cpu"]["throttling"]["throttledTime"] > 0
    if not PURE_V2:
        assert data["cpuset"]["cpus"]
        assert len(data["cpu"]["usage"]["percpu"]) >= len(data["cpuset"]["cpus"])


def test_the_same_as_runc_says(container: Container) -> None:
    """Same container, same moment: what does not run has the same numbers for both."""
    container.linux["resources"] = {"memory": {"limit": 64 * MIB}, "pids": {"limit": 9}}
    container.up()
    container.verb("pause")
    data = stats(container)
    container.verb("resume")
    assert data["memory"]["usage"]["limit"] == 64 * MIB
    order = ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"]
    assert list(data)[:7] == order
    unset = "limit" not in data["pids"]
    assert not unset


def test_statuses(container: Container) -> None:
    container.runtime.call("events", "--stats", container.id).failed("does not exist")
    container.create()
    assert stats(container)["pids"]["current"] >= 1
    container.kill_and_wait()
    call = container.verb("events", "--stats", check=False)
    call.failed(f"container with id {container.id} is not running")


def test_interval(container: Container) -> None:
    container.up()
    call = container.runtime.begin("events", "--interval", "100ms", container.id)
    wait_until(lambda: call.out.count("\n") >= 3, "three reports")
    call.process.send_signal(signal.SIGTERM)
    call.wait()
    for line in call.out.splitlines()[:3]:
        assert json.loads(line)["type"] == "stats"


@pytest.mark.parametrize("interval", ["0s", "-1s", "soon"])
def test_bad_interval(container: Container, interval: str) -> None:
    container.up()
    call = container.verb("events", "--interval", interval, check=False)
    assert call.status == 1


@requires("controller:memory")
def test_out_of_memory(container: Container) -> None:
    container.linux["resources"] = {"memory": {"limit": 8 * MIB, "swap": 8 * MIB}}
    container.up(
        "echo up; while [ ! -e /go ]; do sleep 0.05; done;"
        "dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 1000"
    )
    call = container.runtime.begin("events", "--interval", "1h", container.id)
    await_watching(call)
    container.bundle.add_file("go", "")
    wait_until(lambda: "\n" in call.out, "an oom event")
    event = json.loads(call.out.splitlines()[0])
    assert event == {"type": "oom", "id": container.id}
    container.kill_and_wait()
    container.delete()
    assert call.wait().status == 0


@pytest.mark.runc_deviates("v1: goes on until the container is deleted")
def test_ends_with_the_container(container: Container) -> None:
    container.up()
    call = container.runtime.begin("events", "--interval", "1h", container.id)
    await_watching(call)
    container.kill_and_wait()
    assert call.wait(20).status == 0
