"""What the kernel keeps about the process: scheduling, I/O class, OOM score, personality."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import pytest

from tests.integration.containers import Container

runc_deviates = pytest.mark.runc_deviates

SYS_IOPRIO_GET = {"x86_64": 252, "aarch64": 31}[os.uname().machine]
SYS_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}[os.uname().machine]


class SchedAttr(ctypes.Structure):
    """sched_setattr(2)."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def sched_getattr(pid: int) -> SchedAttr:
    attr = SchedAttr()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(SYS_SCHED_GETATTR, pid, ctypes.byref(attr), ctypes.sizeof(attr), 0) == 0
    return attr


@pytest.mark.parametrize(
    ("scheduler", "policy", "nice"),
    [
        ({"policy": "SCHED_OTHER", "nice": 7}, 0, 7),
        ({"policy": "SCHED_BATCH"}, 3, 0),
        ({"policy": "SCHED_BATCH", "nice": 19}, 3, 19),
        # The kernel keeps what nice value the caller has; it means nothing to this policy.
        ({"policy": "SCHED_IDLE"}, 5, os.getpriority(os.PRIO_PROCESS, 0)),
        ({"policy": "SCHED_OTHER", "nice": -5}, 0, -5),
    ],
)
@runc_deviates("1.1 does not know process.scheduler")
def test_scheduler(container: Container, scheduler: dict[str, Any], policy: int, nice: int) -> None:
    container.process["scheduler"] = scheduler
    attr = sched_getattr(container.up())
    assert (attr.policy, attr.nice) == (policy, nice)


@pytest.mark.requires("realtime-scheduling")
@pytest.mark.parametrize(("name", "policy"), [("SCHED_FIFO", 1), ("SCHED_RR", 2)])
@runc_deviates("1.1 does not know process.scheduler")
def test_realtime_scheduler(container: Container, name: str, policy: int) -> None:
    container.process["scheduler"] = {
        "policy": name,
        "priority": 10,
        "flags": ["SCHED_FLAG_RESET_ON_FORK"],
    }
    # A new group of the v1 cpu controller has no real-time budget of its own.
    container.linux["resources"] = {"cpu": {"realtimeRuntime": 50000, "realtimePeriod": 1000000}}
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        del container.linux["resources"]
    attr = sched_getattr(container.up())
    assert (attr.policy, attr.priority, attr.flags & 1) == (policy, 10, 1)


@pytest.mark.parametrize(
    "scheduler",
    [{"policy": "SCHED_BANANA"}, {"nice": 1}, {"policy": "SCHED_OTHER", "flags": ["NOSUCH"]}],
)
@runc_deviates("1.1 does not know process.scheduler")
def test_wrong_scheduler(container: Container, scheduler: dict[str, Any]) -> None:
    container.process["scheduler"] = scheduler
    container.is_rejected("/process/scheduler")


@pytest.mark.parametrize(
    ("name", "number"),
    [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)],
)
@runc_deviates("1.1 does not know process.ioPriority")
def test_io_priority(container: Container, name: str, number: int) -> None:
    container.process["ioPriority"] = {"class": name, "priority": 3}
    pid = container.up()
    value = ctypes.CDLL(None).syscall(SYS_IOPRIO_GET, 1, pid)
    assert (value >> 13, value & 7) == (number, 3)


@runc_deviates("1.1 does not know process.ioPriority")
@pytest.mark.parametrize(
    "io_priority", [{"class": "IOPRIO_CLASS_BANANA", "priority": 1}, {"class": 2, "priority": 0}]
)
def test_wrong_io_priority(container: Container, io_priority: dict[str, Any]) -> None:
    container.process["ioPriority"] = io_priority
    container.is_rejected("/process/ioPriority")


def test_oom_score(container: Container) -> None:
    container.process["oomScoreAdj"] = 321
    assert container.sh("cat /proc/self/oom_score_adj") == "321"


def test_oom_score_is_untouched_if_unset(container: Container) -> None:
    """config.md#linux-process: if it is not set, the runtime MUST NOT change it."""

    def raise_score() -> None:
        with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
            file.write("111")

    container.script("cat /proc/self/oom_score_adj")
    assert container.run(preexec_fn=raise_score).out == "111\n"


@pytest.mark.parametrize("value", [-500, 5000])
def test_an_oom_score_that_cannot_be_set(container: Container, value: int) -> None:
    """Below the runtime's own it takes CAP_SYS_RESOURCE; above 1000 nothing helps."""
    with open("/proc/self/status", encoding="utf-8") as status:
        caps = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    container.process["oomScoreAdj"] = value
    if value < 0 and caps >> 24 & 1:
        assert container.sh("cat /proc/self/oom_score_adj") == str(value)
    else:
        container.is_rejected("/process/oomScoreAdj")


@pytest.mark.requires("personality-linux32")
@pytest.mark.parametrize(
    ("domain", "value"),
    [
        ("LINUX", 0),
        pytest.param("LINUX32", 8, marks=runc_deviates("1.1 does not know linux.personality")),
    ],
)
def test_personality(container: Container, domain: str, value: int) -> None:
    container.linux["personality"] = {"domain": domain}
    pid = container.up("uname -m; exec sleep 1000")
    with open(f"/proc/{pid}/personality", encoding="utf-8") as file:
        assert int(file.read(), 16) & 0xFF == value
    if domain == "LINUX32" and os.uname().machine == "x86_64":
        assert container.created.out == "i686\n"


@runc_deviates("1.1 does not know linux.personality")
@pytest.mark.parametrize(
    "personality", [{"domain": "BANANA"}, {}, {"domain": "LINUX", "flags": ["X"]}]
)
def test_wrong_personality(container: Container, personality: dict[str, Any]) -> None:
    container.linux["personality"] = personality
    container.is_rejected("/linux/personality")


def test_execution_domain_is_inherited_if_unset(container: Container) -> None:
    pid = container.up()
    with (
        open(f"/proc/{pid}/personality", encoding="utf-8") as file,
        open("/proc/self/personality", encoding="utf-8") as ours,
    ):
        assert file.read() == ours.read()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="takes two CPUs")
@runc_deviates("1.1 does not know execCPUAffinity")
def test_cpu_affinity_of_exec(container: Container) -> None:
    """config.md#linux-process: of processes that join, not of the container's own."""
    container.process["execCPUAffinity"] = {"initial": "0", "final": "1"}
    pid = container.up()
    assert os.sched_getaffinity(pid) == os.sched_getaffinity(0)
    out = container.exec("grep", "Cpus_allowed_list", "/proc/self/status").out
    assert out.split()[1] == "1"


@runc_deviates("1.1 does not know execCPUAffinity")
@pytest.mark.parametrize("value", ["banana", "1-", "3-1"])
def test_wrong_cpu_affinity(container: Container, value: str) -> None:
    container.process["execCPUAffinity"] = {"final": value}
    container.is_rejected("/process/execCPUAffinity/final")
