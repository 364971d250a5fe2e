"""linux.resources in the kernel's files and, where it can be provoked, by its effect.

Limits that this host has no controller for are in tests/unit/cgroup, against the writes of runc.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration import leftovers
from tests.integration.cgroup_files import PURE_V2, key, read
from tests.integration.containers import Container

requires = pytest.mark.requires
MIB = 1 << 20


def with_resources(container: Container, **resources: Any) -> Container:
    container.linux["resources"] = resources
    return container


# -- memory


@requires("controller:memory")
def test_memory_files(container: Container) -> None:
    with_resources(container, memory={"limit": 64 * MIB, "reservation": 32 * MIB}).create()
    assert read(container, "memory.limit_in_bytes", "memory.max") == str(64 * MIB)
    assert read(container, "memory.soft_limit_in_bytes", "memory.low") == str(32 * MIB)


@requires("controller:memory", "swap-accounting")
@pytest.mark.parametrize(
    ("swap", "v1", "v2"), [(96 * MIB, 96 * MIB, 32 * MIB), (64 * MIB, 64 * MIB, 0)]
)
def test_memory_and_swap(container: Container, swap: int, v1: int, v2: int) -> None:
    with_resources(container, memory={"limit": 64 * MIB, "swap": swap}).create()
    expected = str(v2 if PURE_V2 else v1)
    assert read(container, "memory.memsw.limit_in_bytes", "memory.swap.max") == expected


@requires("controller:memory")
def test_no_memory_limit(container: Container) -> None:
    with_resources(container, memory={"limit": -1}).create()
    unlimited = read(container, "memory.limit_in_bytes", "memory.max")
    assert unlimited == "max" or int(unlimited) > 1 << 60


@requires("cgroup-v1")
def test_memory_of_v1_only(container: Container) -> None:
    memory = {"swappiness": 17, "disableOOMKiller": True, "kernelTCP": 8 * MIB}
    if container.runtime.is_runc:
        del memory["kernelTCP"]  # ignored, with a warning
    with_resources(container, memory=memory).create()
    assert read(container, "memory.swappiness", "") == "17"
    assert key(container, "memory.oom_control", "", "oom_kill_disable") == 1
    if container.runtime.is_ocipy:
        assert read(container, "memory.kmem.tcp.limit_in_bytes", "") == str(8 * MIB)


@requires("cgroup-v2")
@pytest.mark.runc_deviates("ignored")
@pytest.mark.parametrize(
    ("field", "value"),
    [("swappiness", 17), ("disableOOMKiller", True), ("useHierarchy", False), ("kernelTCP", MIB)],
)
def test_memory_that_v2_lacks(container: Container, field: str, value: object) -> None:
    with_resources(container, memory={field: value})
    container.is_rejected(f"/linux/resources/memory/{field}", "cgroup v2")


@requires("controller:memory")
def test_out_of_memory_kills(container: Container) -> None:
    with_resources(container, memory={"limit": 8 * MIB, "swap": 8 * MIB})
    container.script("exec dd if=/dev/zero of=/dev/null bs=64M count=1")
    call = container.run(check=False)
    assert call.status == 137, call


@requires("controller:memory")
def test_a_limit_too_small_to_start_leaves_nothing(container: Container) -> None:
    with_resources(container, memory={"limit": 4096, "swap": 4096}).script("echo up")
    call = container.run(check=False)
    assert call.status != 0
    assert leftovers.cgroups(container.id) == []


# -- cpu


@requires("controller:cpu")
def test_cpu_files(container: Container) -> None:
    cpu = {"shares": 512, "quota": 20000, "period": 50000}
    with_resources(container, cpu=cpu).create()
    # The weight of 512 shares is 59 since runc 1.3.2 and crun 1.23, and 20 before.
    weight = read(container, "cpu.shares", "cpu.weight")
    assert weight == (("20" if container.runtime.is_runc else "59") if PURE_V2 else "512")
    if PURE_V2:
        assert read(container, "", "cpu.max") == "20000 50000"
    else:
        assert read(container, "cpu.cfs_quota_us", "") == "20000"
        assert read(container, "cpu.cfs_period_us", "") == "50000"


@requires("controller:cpu")
@pytest.mark.runc_deviates("runc 1.1 has neither")
def test_cpu_burst_and_idle(container: Container) -> None:
    with_resources(container, cpu={"quota": 20000, "burst": 10000, "idle": 1}).create()
    assert read(container, "cpu.cfs_burst_us", "cpu.max.burst") == "10000"
    assert read(container, "cpu.idle", "cpu.idle") == "1"


@requires("controller:cpu")
def test_throttling(container: Container) -> None:
    """Ten per cent of a CPU for a process that would take all of it."""
    with_resources(container, cpu={"quota": 10000, "period": 100000})
    pid = container.up("echo up; while :; do :; done")
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        before = int(stat.read().rpartition(")")[2].split()[11])
    while key(container, "cpu.stat", "cpu.stat", "nr_periods") < 12:
        pass
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[11]) - before
    throttled = key(container, "cpu.stat", "cpu.stat", "nr_throttled")
    assert throttled >= 5
    assert ticks < 60, "of 120 ticks at most, a tenth is allowed"


@requires("controller:cpuset")
def test_cpuset(container: Container) -> None:
    with_resources(container, cpu={"cpus": "0", "mems": "0"})
    pid = container.up()
    assert read(container, "cpuset.cpus", "cpuset.cpus") == "0"
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        allowed = [line.split()[1] for line in status if line.startswith("Cpus_allowed_list")]
    assert allowed == ["0"]


@requires("controller:cpuset", "cgroup-v1")
def test_cpuset_of_nested_cgroups_is_filled_in(container: Container) -> None:
    container.linux["cgroupsPath"] = f"/{container.id}/one/two"
    pid = container.up()
    with open(f"/proc/{pid}/cpuset", encoding="utf-8") as file:
        path = file.read().strip()
    assert path == f"/{container.id}/one/two"
    with open(f"/sys/fs/cgroup/cpuset{path}/cpuset.cpus", encoding="utf-8") as file:
        assert file.read().strip()
    container.kill_and_wait()
    container.delete()
    leftovers.remove(container.id)


# -- pids


@requires("controller:pids")
def test_fork_is_refused(container: Container) -> None:
    with_resources(container, pids={"limit": 3})
    container.script("sleep 9 & sleep 9 & echo three; sleep 9 & echo four")
    call = container.run(check=False)
    assert call.out == "three\n"
    assert "can't fork" in call.err


@requires("controller:pids")
@pytest.mark.parametrize(("limit", "text"), [(7, "7"), (-1, "max")])
def test_pids_file(container: Container, limit: int, text: str) -> None:
    with_resources(container, pids={"limit": limit}).create()
    assert read(container, "pids.max", "pids.max") == text


@requires("controller:pids")
@pytest.mark.runc_deviates("runc 1.1 takes it for unset")
def test_zero_is_a_limit(container: Container) -> None:
    """Spec: "0 is a valid limit value ... and SHOULD be treated as such". runc writes 1."""
    with_resources(container, pids={"limit": 0}).script(
        "echo alone; x=$(cat /etc/passwd) && echo forked"
    )
    call = container.run(check=False)
    assert "alone" in call.out
    assert "forked" not in call.out


@requires("controller:pids")
def test_a_limit_of_one_with_joined_namespaces(container: Container, sleeper: Any) -> None:
    """init forks once more on its way; the limit is for what comes after."""
    process = sleeper("--uts")
    container.linux["namespaces"] = [
        *(ns for ns in container.linux["namespaces"] if ns["type"] != "uts"),
        {"type": "uts", "path": f"/proc/{process.pid}/ns/uts"},
    ]
    del container.config["hostname"]
    with_resources(container, pids={"limit": 1}).script("echo alone")
    if not container.runtime.is_runc:
        assert container.run().out == "alone\n"


# -- block I/O: this host's disk


@requires("cgroup-v1", "controller:blkio")
def test_block_io_of_v1(container: Container) -> None:
    import os

    device = os.stat("/").st_dev
    number = {"major": os.major(device), "minor": os.minor(device)}
    with_resources(
        container,
        blockIO={
            "weight": 300,
            "throttleReadBpsDevice": [{**number, "rate": MIB}],
            "throttleWriteIOPSDevice": [{**number, "rate": 100}],
        },
    ).create()
    assert "300" in read(container, "blkio.bfq.weight", "")
    line = f"{number['major']}:{number['minor']}"
    assert read(container, "blkio.throttle.read_bps_device", "") == f"{line} {MIB}"
    assert read(container, "blkio.throttle.write_iops_device", "") == f"{line} 100"


# -- unified


@requires("cgroup-v2")
def test_unified(container: Container) -> None:
    unified = {"memory.high": str(50 * MIB), "pids.max": "77", "cgroup.max.depth": "3"}
    with_resources(container, pids={"limit": 5}, unified=unified).create()
    for name, value in unified.items():
        assert read(container, "", name) == value


@requires("cgroup-v2")
@pytest.mark.parametrize("name", ["bogus.max", "memory.bogus"])
def test_unified_that_is_not_there(container: Container, name: str) -> None:
    with_resources(container, unified={name: "1"})
    container.is_rejected(f"/linux/resources/unified/{name}")
    assert leftovers.cgroups(container.id) == []


@requires("cgroup-v1")
def test_unified_on_v1(container: Container) -> None:
    with_resources(container, unified={"memory.high": "1"})
    container.is_rejected("/linux/resources/unified/memory.high")


# -- errors


@pytest.mark.parametrize(
    ("resources", "pointer"),
    [
        ({"cpu": {"period": 10}}, "/linux/resources/cpu/period"),
        ({"cpu": {"quota": 10}}, "/linux/resources/cpu/quota"),
        ({"cpu": {"cpus": "4000"}}, "/linux/resources/cpu/cpus"),
        ({"memory": {"limit": 100, "swap": 10}}, "/linux/resources/memory/swap"),
        ({"blockIO": {"weight": 1001}}, "/linux/resources/blockIO/weight"),
        (
            {"hugepageLimits": [{"pageSize": "3XB", "limit": 1}]},
            "/linux/resources/hugepageLimits/0",
        ),
        ({"rdma": {"mlx": {"hcaObjects": 1}}}, "/linux/resources/rdma"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_value_names_its_field_and_leaves_nothing(
    container: Container, resources: Any, pointer: str
) -> None:
    if container.runtime.is_runc and "rdma" in resources:
        pytest.skip("runc 1.1 ignores rdma where there is no such controller")
    with_resources(container, **resources)
    container.is_rejected(pointer)
    assert leftovers.cgroups(container.id) == []


def test_a_cgroup_with_processes_is_refused(make_container: Any) -> None:
    """Spec: "MUST generate an error if such a check fails"; runc 1.1 only warns."""
    first, second = make_container(), make_container()
    second.linux["cgroupsPath"] = first.linux["cgroupsPath"]
    pid = first.up()
    if second.runtime.is_runc:
        return
    second.create(check=False).failed("container's cgroup is not empty")
    assert first.pid == pid
    assert first.status == "running"


def test_an_existing_cgroup_is_used_and_left(container: Container) -> None:
    """Spec (runtime.md#delete): what create did not make, delete MUST NOT take away."""
    import os

    made = [f"{root}/{container.id}" for root in leftovers.cgroup_roots()]
    for path in made:
        os.mkdir(path)
    try:
        container.script("echo ok")
        assert container.run().out == "ok\n"
        if container.runtime.is_ocipy:
            assert sorted(leftovers.cgroups(container.id)) == sorted(made)
    finally:
        leftovers.remove(container.id)
