"""`linux.resources`, seen in the kernel's files and by their effect; config-linux.md."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration import leftovers, resource_files
from tests.integration.containers import Container, wait_until
from tests.integration.resource_files import PURE_V2
from tests.probes import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

runc_deviates = pytest.mark.runc_deviates
requires = pytest.mark.requires

MIB = 1 << 20
UNLIMITED_V1 = str((2**63 - 1) // 4096 * 4096)

# The resources, and the files of v1 and of v2 with what they hold then; None: nothing to compare.
Case = tuple[dict[str, Any], dict[str, str] | None, dict[str, str] | None]

MEMORY: dict[str, Case] = {
    "limit": (
        {"memory": {"limit": 64 * MIB}},
        {"memory/memory.limit_in_bytes": str(64 * MIB)},
        {"memory.max": str(64 * MIB)},
    ),
    "unlimited": (
        {"memory": {"limit": -1}},
        {"memory/memory.limit_in_bytes": UNLIMITED_V1},
        {"memory.max": "max"},
    ),
    "reservation": (
        {"memory": {"reservation": 32 * MIB}},
        {"memory/memory.soft_limit_in_bytes": str(32 * MIB)},
        {"memory.low": str(32 * MIB)},
    ),
    "swappiness": ({"memory": {"swappiness": 10}}, {"memory/memory.swappiness": "10"}, None),
    "oom": (
        {"memory": {"limit": 64 * MIB, "disableOOMKiller": True}},
        {"memory/memory.oom_control": "oom_kill_disable 1"},
        None,
    ),
    "tcp": (
        {"memory": {"kernelTCP": 8 * MIB}},
        {"memory/memory.kmem.tcp.limit_in_bytes": str(8 * MIB)},
        None,
    ),
    "hierarchy": (
        {"memory": {"useHierarchy": True}},
        {"memory/memory.use_hierarchy": "1"},
        None,
    ),
    "swap": (
        {"memory": {"limit": 64 * MIB, "swap": 96 * MIB}},
        {"memory/memory.memsw.limit_in_bytes": str(96 * MIB)},
        {"memory.swap.max": str(32 * MIB)},
    ),
}

CPU: dict[str, Case] = {
    "quota": (
        {"cpu": {"quota": 20000, "period": 50000}},
        {"cpu/cpu.cfs_quota_us": "20000", "cpu/cpu.cfs_period_us": "50000"},
        {"cpu.max": "20000 50000"},
    ),
    "quota-alone": (
        {"cpu": {"quota": 30000}},
        {"cpu/cpu.cfs_quota_us": "30000", "cpu/cpu.cfs_period_us": "100000"},
        {"cpu.max": "30000 100000"},
    ),
    "period-alone": (
        {"cpu": {"period": 50000}},
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "50000"},
        {"cpu.max": "max 50000"},
    ),
    "no-quota": (
        {"cpu": {"quota": -1, "period": 100000}},
        {"cpu/cpu.cfs_quota_us": "-1"},
        {"cpu.max": "max 100000"},
    ),
    "shares": ({"cpu": {"shares": 512}}, {"cpu/cpu.shares": "512"}, None),
    "zero-means-unset": (
        {"cpu": {"shares": 0, "quota": 0, "period": 0}},
        {"cpu/cpu.shares": "1024", "cpu/cpu.cfs_quota_us": "-1"},
        {"cpu.max": "max 100000", "cpu.weight": "100"},
    ),
}

DEVIATIONS = {"tcp": runc_deviates("1.1 ignores it")}

OTHERS: dict[str, Case] = {
    "pids": ({"pids": {"limit": 33}}, {"pids/pids.max": "33"}, {"pids.max": "33"}),
    "pids-unlimited": ({"pids": {"limit": -1}}, {"pids/pids.max": "max"}, {"pids.max": "max"}),
    "cpuset": (
        {"cpu": {"cpus": "0", "mems": "0"}},
        {"cpuset/cpuset.cpus": "0", "cpuset/cpuset.mems": "0"},
        None,
    ),
}


def params(cases: dict[str, Case]) -> list[Any]:
    """Return the cases that this machine's version of cgroups has files for."""
    return [
        pytest.param(resources, v2 if PURE_V2 else v1, id=name, marks=DEVIATIONS.get(name, ()))
        for name, (resources, v1, v2) in cases.items()
        if (v2 if PURE_V2 else v1) is not None
    ]


@pytest.mark.parametrize(("resources", "files"), [*params(MEMORY), *params(CPU), *params(OTHERS)])
def test_files(container: Container, resources: dict[str, Any], files: dict[str, str]) -> None:
    if "swap" in resources.get("memory", {}) and (reason := missing("swap-accounting")):
        pytest.skip(reason)
    container.linux["resources"] = resources
    container.create()
    resource_files.check(container, files)


@runc_deviates("1.1 does not know cpu.burst")
def test_cpu_burst(container: Container) -> None:
    container.linux["resources"] = {"cpu": {"quota": 50000, "period": 100000, "burst": 20000}}
    container.create()
    name = "cpu.max.burst" if PURE_V2 else "cpu/cpu.cfs_burst_us"
    if not resource_files.exists(container, name):
        pytest.skip(f"this kernel has no {name}")
    resource_files.check(container, {name: "20000"})


@runc_deviates("1.1 does not know cpu.burst")
def test_burst_above_the_quota(container: Container) -> None:
    container.linux["resources"] = {"cpu": {"quota": 10000, "period": 100000, "burst": 20000}}
    container.is_rejected("/linux/resources/cpu/burst")


@runc_deviates("1.1 does not know cpu.idle in config.json")
def test_cpu_idle(container: Container) -> None:
    container.linux["resources"] = {"cpu": {"idle": 1}}
    container.create()
    resource_files.check(container, {"cpu.idle" if PURE_V2 else "cpu/cpu.idle": "1"})


@requires("cgroup-v2")
@pytest.mark.parametrize("shares", [2, 1024, 262144])
def test_shares_become_a_weight(container: Container, shares: int) -> None:
    container.linux["resources"] = {"cpu": {"shares": shares}}
    container.create()
    weight = int(resource_files.read(container, "cpu.weight"))
    assert {2: 1, 262144: 10000}.get(shares, weight) == weight
    # 39 by runc's and the kernel's old linear formula, 100 by the new one.
    assert shares != 1024 or weight in (39, 100)


def test_limits_hold_before_start(container: Container) -> None:
    container.linux["resources"] = {"pids": {"limit": 7}}
    container.create()
    resource_files.check(container, {"pids.max" if PURE_V2 else "pids/pids.max": "7"})


def test_fork_is_refused(container: Container) -> None:
    container.linux["resources"] = {"pids": {"limit": 4}}
    call = container.script("for i in 1 2 3 4 5 6; do sleep 5 & done; echo end").run(check=False)
    assert "fork" in call.err, call


@pytest.mark.parametrize("limit", [0, 1])
def test_a_limit_of_no_processes(container: Container, limit: int) -> None:
    """config-linux.md#pids: 0 is a limit; the container's own process is there nevertheless."""
    container.linux["resources"] = {"pids": {"limit": limit}}
    if container.runtime.is_runc and limit == 0:
        pytest.xfail("runc 1.1 takes 0 for no limit")
    call = container.script("true & wait; echo end").run(check=False)
    assert "fork" in call.err, call


def test_oom_kill(container: Container) -> None:
    container.linux["resources"] = {"memory": {"limit": 24 * MIB, "swap": 24 * MIB}}
    if missing("swap-accounting"):
        del container.linux["resources"]["memory"]["swap"]
    container.script("head -c 100000000 /dev/zero | tail -c 99999999 > /dev/null; echo $?")
    call = container.run(check=False)
    assert call.out.strip() == "137" or call.status == 137, call


def test_throttled_cpu(container: Container) -> None:
    """A tenth of a CPU: a loop takes about ten times longer than its CPU time."""
    container.linux["resources"] = {"cpu": {"quota": 5000, "period": 50000}}
    container.up("echo up; while :; do :; done")
    name = "cpu.stat" if PURE_V2 else "cpu/cpu.stat"

    def throttled() -> int:
        stat = dict(line.split() for line in resource_files.read(container, name).splitlines())
        return int(stat["nr_throttled"])

    wait_until(lambda: throttled() >= 3, "throttling")


@requires("cgroup-v1")
def test_realtime(container: Container) -> None:
    if not os.path.exists("/sys/fs/cgroup/cpu/cpu.rt_runtime_us"):
        pytest.skip("this kernel has no realtime limits")
    container.linux["resources"] = {"cpu": {"realtimeRuntime": 1000, "realtimePeriod": 200000}}
    container.create()
    files = {"cpu/cpu.rt_runtime_us": "1000", "cpu/cpu.rt_period_us": "200000"}
    resource_files.check(container, files)


@pytest.fixture
def controllers_as_before() -> Iterator[None]:
    """Disable in the root cgroup of v2 what a container has enabled."""
    root = resource_files.ROOT if PURE_V2 else f"{resource_files.ROOT}/unified"
    file = f"{root}/cgroup.subtree_control"
    if not os.path.exists(file):
        yield
        return
    with open(file, encoding="utf-8") as stream:
        before = stream.read().split()
    yield
    with open(file, "r+", encoding="utf-8") as stream:
        enabled = set(stream.read().split()) - set(before)
        stream.write(" ".join(f"-{name}" for name in sorted(enabled)))


@requires("controller:hugetlb")
@runc_deviates("1.1 looks for the controller in v1 only")
@pytest.mark.usefixtures("controllers_as_before")
def test_huge_pages(container: Container) -> None:
    container.linux["resources"] = {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}
    container.create()
    # A hybrid host may have the controller in either version.
    if os.path.isdir("/sys/fs/cgroup/hugetlb"):
        names = [f"hugetlb/hugetlb.2MB{rsvd}.limit_in_bytes" for rsvd in ("", ".rsvd")]
    else:
        v2 = "" if PURE_V2 else "unified/"
        names = [f"{v2}hugetlb.2MB{rsvd}.max" for rsvd in ("", ".rsvd")]
    resource_files.check(container, dict.fromkeys(names, str(4 * MIB)))
    container.delete("--force")


@requires("cgroup-v1")
def test_cpuset_is_effective(container: Container) -> None:
    container.linux["resources"] = {"cpu": {"cpus": "1"}}
    assert container.sh("grep Cpus_allowed_list /proc/self/status").split()[1] == "1"


@requires("cgroup-v1")
def test_cpuset_is_filled_in_for_new_parents(container: Container) -> None:
    """In v1 a group without cpus and mems takes no process, and new ones have none."""
    container.linux["cgroupsPath"] = f"/{container.id}/deep/er"
    container.linux["resources"] = {"cpu": {"cpus": "0"}}
    assert container.sh("grep Cpus_allowed_list /proc/self/status").split()[1] == "0"
    leftovers.remove(container.id)


@requires("cgroup-v2")
def test_unified(container: Container) -> None:
    container.linux["resources"] = {
        "unified": {"memory.high": str(40 * MIB), "pids.max": "21", "cpu.weight": "77"}
    }
    container.create()
    resource_files.check(
        container, {"memory.high": str(40 * MIB), "pids.max": "21", "cpu.weight": "77"}
    )


@pytest.mark.parametrize(
    "unified",
    [{"nosuch.max": "1"}, {"memory.nosuch": "1"}, {"../cgroup.procs": "0"}, {"pids.max": "banana"}],
)
def test_wrong_unified(container: Container, unified: dict[str, str]) -> None:
    container.linux["resources"] = {"unified": unified}
    container.is_rejected("/linux/resources/unified")


@requires("cgroup-v1")
def test_unified_needs_v2(container: Container) -> None:
    container.linux["resources"] = {"unified": {"pids.max": "10"}}
    container.is_rejected("/linux/resources/unified")


WRONG = [
    ({"memory": {"limit": "64M"}}, "memory/limit"),
    ({"pids": {"limit": "many"}}, "pids/limit"),
    ({"cpu": {"shares": -1}}, "cpu/shares"),
    ({"cpu": {"period": 10}}, "cpu/period"),
    ({"cpu": {"quota": 10, "period": 100000}}, "cpu/quota"),
    ({"cpu": {"cpus": "banana"}}, "cpu/cpus"),
    ({"memory": {"limit": 64 * MIB, "swap": 32 * MIB}}, "memory/swap"),
    ({"memory": {"swappiness": 1000}}, "memory/swappiness"),
]


@pytest.mark.parametrize(("resources", "named"), WRONG, ids=[named for _, named in WRONG])
def test_wrong_values(container: Container, resources: dict[str, Any], named: str) -> None:
    if PURE_V2 and named in ("cpu/cpus", "memory/swappiness"):
        pytest.skip("this machine's cgroup v2 has no file for it")
    container.linux["resources"] = resources
    container.is_rejected(f"/linux/resources/{named.split('/')[0]}")
