"""Statistics from the texts of the kernel's files to runc's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocipy.cgroup import stats
from ocipy.cgroup.stats import read_stats

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

UNLIMITED = (1 << 64) - 1


def write(directory: Path, **contents: str) -> str:
    """Make files; "__" in a name stands for "."."""
    directory.mkdir(exist_ok=True)
    for name, content in contents.items():
        (directory / name.replace("__", ".")).write_text(content)
    return str(directory)


def test_v2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "_huge_page_sizes", lambda: ["2MB", "1GB"])
    path = write(
        tmp_path,
        cpu__stat="usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 7\n"
        "nr_throttled 2\nthrottled_usec 900\n",
        cpu__pressure="some avg10=1.50 avg60=0.00 avg300=0.00 total=123\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        memory__current="1000\n",
        memory__max="2000\n",
        memory__peak="1500\n",
        memory__swap__current="10\n",
        memory__swap__max="max\n",
        memory__stat="anon 600\nfile 400\n",
        pids__current="3\n",
        pids__max="max\n",
        io__stat="8:0 rbytes=1 wbytes=2 rios=3 wios=0 dbytes=9\n254:16 rbytes=5\n",
        hugetlb__2MB__rsvd__current="4\n",
        hugetlb__2MB__events="max 6\n",
    )
    assert read_stats({"": path}) == {
        "cpu": {
            "usage": {"total": 5_000_000, "kernel": 2_000_000, "user": 3_000_000},
            "throttling": {"periods": 7, "throttledPeriods": 2, "throttledTime": 900_000},
            "psi": {
                "some": {"avg10": 1.5, "avg60": 0.0, "avg300": 0.0, "total": 123},
                "full": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0},
            },
        },
        "cpuset": {
            "cpu_exclusive": 0,
            "mem_hardwall": 0,
            "mem_exclusive": 0,
            "memory_migrate": 0,
            "memory_spread_page": 0,
            "memory_spread_slab": 0,
            "memory_pressure": 0,
            "sched_load_balance": 0,
            "sched_relax_domain_level": 0,
        },
        "memory": {
            "cache": 400,
            "usage": {"limit": 2000, "usage": 1000, "max": 1500, "failcnt": 0},
            "swap": {"limit": UNLIMITED, "usage": 1010, "failcnt": 0},
            "kernel": {"limit": 0, "failcnt": 0},
            "kernelTCP": {"limit": 0, "failcnt": 0},
            "raw": {"anon": 600, "file": 400},
        },
        "pids": {"current": 3},
        "blkio": {
            "ioServiceBytesRecursive": [
                {"major": 8, "op": "Read", "value": 1},
                {"major": 8, "op": "Write", "value": 2},
                {"major": 254, "minor": 16, "op": "Read", "value": 5},
            ],
            "ioServicedRecursive": [
                {"major": 8, "op": "Read", "value": 3},
                {"major": 8, "op": "Write"},
            ],
        },
        "hugetlb": {"2MB": {"usage": 4, "failcnt": 6}},
        "intel_rdt": {},
        "network_interfaces": None,
    }


def test_v1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "_huge_page_sizes", lambda: ["2MB"])
    paths = {
        "cpu,cpuacct": write(
            tmp_path / "cpu",
            cpuacct__usage="31709982\n",
            cpuacct__usage_percpu="12617519 19092463 \n",
            cpuacct__usage_all="cpu user system\n0 0 4000000\n1 4000000 12000000\n",
            cpuacct__stat="user 0\nsystem 2\n",
            cpu__stat="nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
        ),
        "cpuset": write(
            tmp_path / "cpuset",
            cpuset__cpus="0-1,3\n",
            cpuset__mems="0\n",
            cpuset__sched_load_balance="1\n",
            cpuset__sched_relax_domain_level="-1\n",
        ),
        "memory": write(
            tmp_path / "memory",
            memory__stat="rss 5\ncache 32768\n",
            memory__usage_in_bytes="737280\n",
            memory__limit_in_bytes="9223372036854771712\n",
            memory__max_usage_in_bytes="2326528\n",
            memory__failcnt="4\n",
            memory__kmem__usage_in_bytes="307200\n",
        ),
        "pids": write(tmp_path / "pids", pids__current="2\n", pids__max="7\n"),
        "blkio": write(
            tmp_path / "blkio",
            blkio__bfq__io_serviced_recursive="Total 0\n",
            blkio__throttle__io_serviced_recursive="8:16 Read 2\n8:16 Total 2\nTotal 2\n",
        ),
        "hugetlb": write(
            tmp_path / "hugetlb",
            hugetlb__2MB__usage_in_bytes="1\n",
            hugetlb__2MB__max_usage_in_bytes="2\n",
            hugetlb__2MB__failcnt="3\n",
        ),
    }
    found = read_stats(paths)
    assert found["cpu"] == {
        "usage": {
            "total": 31709982,
            "percpu": [12617519, 19092463],
            "percpu_kernel": [4000000, 12000000],
            "percpu_user": [0, 4000000],
            "kernel": 20000000,
            "user": 0,
        },
        "throttling": {},
    }
    cpuset = found["cpuset"]
    assert isinstance(cpuset, dict)
    assert list(cpuset)[:3] == ["cpus", "cpu_exclusive", "mems"]
    assert (cpuset["cpus"], cpuset["sched_relax_domain_level"]) == ([0, 1, 3], -1)
    assert found["memory"] == {
        "cache": 32768,
        "usage": {"limit": 9223372036854771712, "usage": 737280, "max": 2326528, "failcnt": 4},
        "swap": {"limit": 0, "failcnt": 0},
        "kernel": {"limit": 0, "usage": 307200, "failcnt": 0},
        "kernelTCP": {"limit": 0, "failcnt": 0},
        "raw": {"cache": 32768, "rss": 5},
    }
    assert found["pids"] == {"current": 2, "limit": 7}
    assert found["blkio"] == {
        "ioServicedRecursive": [
            {"major": 8, "minor": 16, "op": "Read", "value": 2},
            {"major": 8, "minor": 16, "op": "Total", "value": 2},
        ]
    }
    assert found["hugetlb"] == {"2MB": {"usage": 1, "max": 2, "failcnt": 3}}


def test_pressure_beside_v1(tmp_path: Path) -> None:
    unified = write(
        tmp_path / "u", memory__pressure="some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
    )
    memory = read_stats({"memory": write(tmp_path / "m"), "": unified})["memory"]
    assert isinstance(memory, dict)
    assert memory["psi"] == {"some": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 5}}


def test_without_controllers_processes_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, cgroup__procs="5\n7\n")
    assert read_stats({"": path})["pids"] == {"current": 2}


def test_a_cgroup_that_is_gone(tmp_path: Path) -> None:
    assert read_stats({"": f"{tmp_path}/gone"})["pids"] == {}
