"""`update`: new limits for a running container, from options and from what engines send."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cgroup_files import PURE_V2, has, read
from tests.integration.containers import Container

GOLDEN = Path(__file__).parent.parent / "unit" / "golden" / "resources"
requires = pytest.mark.requires
MIB = 1 << 20


def memory_and_swap(container: Container) -> tuple[int, int]:
    """Return the limits of memory, and of memory and swap together."""
    memory = int(read(container, "memory.limit_in_bytes", "memory.max"))
    swap = int(read(container, "memory.memsw.limit_in_bytes", "memory.swap.max"))
    return memory, memory + swap if PURE_V2 else swap


@requires("controller:memory", "swap-accounting")
def test_memory_and_swap_up_and_down(container: Container) -> None:
    """Each is compared with the old other one by v1, so the right order changes."""
    container.up()
    for memory, swap in ((64, 128), (256, 512), (32, 48), (48, 48), (16, 400), (300, 400)):
        container.verb("update", "--memory", f"{memory}M", "--memory-swap", f"{swap}m")
        assert memory_and_swap(container) == (memory * MIB, swap * MIB)


@requires("controller:memory", "swap-accounting")
def test_memory_alone_keeps_the_limit_of_both(container: Container) -> None:
    container.linux["resources"] = {"memory": {"limit": 64 * MIB, "swap": 128 * MIB}}
    container.up()
    container.verb("update", "--memory", "96M")
    assert memory_and_swap(container) == (96 * MIB, 128 * MIB)
    call = container.verb("update", "--memory", "192M", check=False)
    assert call.status == 1
    assert memory_and_swap(container)[0] == 96 * MIB


@requires("controller:memory")
def test_no_limit(container: Container) -> None:
    container.linux["resources"] = {"memory": {"limit": 64 * MIB, "swap": 128 * MIB}}
    container.up()
    container.verb("update", "--memory", "-1")
    unlimited = read(container, "memory.limit_in_bytes", "memory.max")
    assert unlimited == "max" or int(unlimited) > 1 << 60


@requires("controller:memory")
def test_check_before_update(container: Container) -> None:
    """v1 refuses of its own; v2 would kill."""
    pid = container.up(
        "dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; echo up; sleep 99"
    )
    resources = b'{"memory": {"limit": 4194304, "checkBeforeUpdate": true}}'
    file = Path(container.bundle.path, "r.json")
    file.write_bytes(resources)
    before = read(container, "memory.limit_in_bytes", "memory.max")
    call = container.verb("update", "-r", str(file), check=False)
    assert call.status == 1
    assert "memory limit" in call.err
    assert read(container, "memory.limit_in_bytes", "memory.max") == before
    assert container.pid == pid


@requires("controller:cpu")
def test_cpu(container: Container) -> None:
    def bandwidth() -> list[str]:
        if PURE_V2:
            return read(container, "", "cpu.max").split()
        return [read(container, f"cpu.cfs_{name}_us", "") for name in ("quota", "period")]

    container.linux["resources"] = {"cpu": {"quota": 10000, "period": 50000}}
    container.up()
    container.verb("update", "--cpu-quota", "20000")
    assert bandwidth() == ["20000", "50000"]
    container.verb("update", "--cpu-period", "100000", "--cpu-share", "1024")
    assert bandwidth() == ["20000", "100000"]
    assert read(container, "cpu.shares", "cpu.weight") == ("100" if PURE_V2 else "1024")
    container.verb("update", "--cpu-quota", "-1")
    assert bandwidth() == ["max" if PURE_V2 else "-1", "100000"]


@requires("controller:cpu")
@pytest.mark.runc_deviates("runc 1.1 has neither")
def test_burst_and_idle(container: Container) -> None:
    container.up()
    container.verb("update", "--cpu-quota", "20000", "--cpu-burst", "20000")
    assert read(container, "cpu.cfs_burst_us", "cpu.max.burst") == "20000"
    container.verb("update", "--cpu-quota", "10000", "--cpu-burst", "5000")
    assert read(container, "cpu.cfs_burst_us", "cpu.max.burst") == "5000"
    container.verb("update", "--cpu-idle", "1")
    assert read(container, "cpu.idle", "cpu.idle") == "1"
    container.verb("update", "--cpu-idle", "0", "--cpu-share", "2048")
    assert read(container, "cpu.idle", "cpu.idle") == "0"


@requires("controller:pids")
def test_pids(container: Container) -> None:
    container.up()
    container.verb("update", "--pids-limit", "10")
    assert read(container, "pids.max", "pids.max") == "10"
    container.verb("update", "--pids-limit", "-1")
    assert read(container, "pids.max", "pids.max") == "max"


@requires("controller:cpuset")
def test_cpuset(container: Container) -> None:
    container.up()
    container.verb("update", "--cpuset-cpus", "1", "--cpuset-mems", "0")
    assert read(container, "cpuset.cpus", "cpuset.cpus") == "1"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("dash", [True, False], ids=["stdin", "file"])
def test_what_engines_send(container: Container, path: Path, dash: bool) -> None:
    container.up()
    if dash:
        with path.open("rb") as stdin:
            container.verb("update", "--resources", "-", stdin=stdin)
    else:
        container.verb("update", f"--resources={path}")
    quota = read(container, "cpu.cfs_quota_us", "cpu.max").split()[0]
    assert quota == "25000"
    assert container.status == "running"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--memory", "1x"], "invalid value for memory: invalid size: '1x'"),
        (["--cpu-period", "five"], "invalid value for cpu-period"),
        (["--cpu-share", "-5"], "invalid value for cpu-share"),
        (["--resources", "/nonexistent"], "no such file"),
    ],
)
def test_bad_options(container: Container, options: list[str], text: str) -> None:
    container.up()
    container.verb("update", *options, check=False).failed(text)
    assert container.status == "running"


@pytest.mark.runc_deviates("decodes into a Go struct, and takes what is left out for zero")
@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (b'{"memory": {"limit": "64M"}}', "/memory/limit"),
        (b'{"cpu": {"period": 10}}', "/cpu/period"),
        (b'{"pids": {}}', "/pids"),
    ],
)
def test_bad_resources_name_the_field(container: Container, text: bytes, pointer: str) -> None:
    container.up()
    file = Path(container.bundle.path, "r.json")
    file.write_bytes(text)
    container.verb("update", "-r", str(file), check=False).failed(pointer)


@pytest.mark.parametrize("option", ["--l3-cache-schema", "--mem-bw-schema"])
def test_a_container_without_intel_rdt(container: Container, option: str) -> None:
    container.up()
    call = container.verb("update", option, "L3:0=f", check=False)
    call.failed("Intel RDT")


def test_statuses(container: Container) -> None:
    call = container.runtime.call("update", "--pids-limit", "5", container.id)
    call.failed("container does not exist")
    container.create()
    container.verb("update", "--pids-limit", "50")
    assert read(container, "pids.max", "pids.max") == "50"
    container.kill_and_wait()
    container.verb("update", "--pids-limit", "5", check=False).failed("container not running")


def test_a_paused_container_can_be_updated(container: Container) -> None:
    container.up()
    container.verb("pause")
    container.verb("update", "--pids-limit", "50")
    assert read(container, "pids.max", "pids.max") == "50"
    assert container.status == "paused"
    container.verb("resume")


@requires("cgroup-v2")
def test_unified(container: Container) -> None:
    container.up()
    resources = b'{"unified": {"memory.high": "52428800", "pids.max": "9"}}'
    done = subprocess.run(
        [container.runtime.program, *container.runtime.global_options,
         "update", "-r", "-", container.id],
        input=resources, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read(container, "", "memory.high") == "52428800"
    assert read(container, "", "pids.max") == "9"


def test_block_io_weight(container: Container) -> None:
    container.up()
    names = ("blkio.bfq.weight", "blkio.weight", "io.bfq.weight", "io.weight")
    found = [name for name in names if has(container, name)]
    call = container.verb("update", "--blkio-weight", "300", check=False)
    if not found:
        assert call.status == 1
        assert "weight" in call.err
        return
    call.succeeded()
    value: Any = read(container, found[0], found[0])
    assert "300" in value or found[0] == "io.weight"
