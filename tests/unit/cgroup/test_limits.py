"""linux.resources to exact writes. What runc and crun write was recorded with strace(1)."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.cpu import cpu_weight
from ocipy.cgroup.io import io_weight
from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan import _generated_steps as steps
from tests.unit.cgroup.hosts import HYBRID, V1, V2, limits, writes

EVERYTHING: Any = {
    "memory": {
        "limit": 134217728,
        "reservation": 67108864,
        "swap": 268435456,
        "disableOOMKiller": True,
        "swappiness": 10,
    },
    "cpu": {
        "shares": 512,
        "quota": 150000,
        "period": 100000,
        "cpus": "0",
        "mems": "0",
        "realtimeRuntime": 1000,
        "realtimePeriod": 100000,
    },
    "pids": {"limit": 200},
    "blockIO": {
        "weight": 300,
        "throttleReadBpsDevice": [{"major": 254, "minor": 0, "rate": 1048576}],
        "throttleWriteIOPSDevice": [{"major": 254, "minor": 0, "rate": 100}],
    },
}


def test_v1_writes_what_runc_writes() -> None:
    """runc 1.1.5 on Linux 6.18, where only BFQ has weights: as EVERYTHING, without devices."""
    assert writes(limits(V1, EVERYTHING)) == [
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
        ("memory.limit_in_bytes", "134217728"),
        ("memory.memsw.limit_in_bytes", "268435456"),
        ("memory.soft_limit_in_bytes", "67108864"),
        ("memory.oom_control", "1"),
        ("memory.swappiness", "10"),
        ("cpu.shares", "512"),
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_quota_us", "150000"),
        ("cpu.rt_period_us", "100000"),
        ("cpu.rt_runtime_us", "1000"),
        ("pids.max", "200"),
        ("blkio.weight", "300"),
        ("blkio.throttle.read_bps_device", "254:0 1048576"),
        ("blkio.throttle.write_iops_device", "254:0 100"),
    ]


def test_v2_writes() -> None:
    resources = {
        "memory": {"limit": 134217728, "reservation": 67108864, "swap": 268435456},
        "cpu": {"shares": 512, "quota": 150000, "period": 100000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 200},
        "blockIO": EVERYTHING["blockIO"],
    }
    assert writes(limits(V2, resources)) == [
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
        ("memory.swap.max", "134217728"),
        ("memory.max", "134217728"),
        ("memory.low", "67108864"),
        ("cpu.weight", "59"),
        ("cpu.max", "150000 100000"),
        ("pids.max", "200"),
        ("io.bfq.weight", "300"),
        ("io.max", "254:0 rbps=1048576"),
        ("io.max", "254:0 wiops=100"),
    ]


def test_zeros_mean_unset() -> None:
    """What Docker sends with an update, and in a config."""
    resources = {
        "memory": {"limit": 0, "reservation": 0, "swap": 0, "kernel": 0, "disableOOMKiller": False},
        "cpu": {"shares": 0, "quota": 0, "period": 0, "realtimeRuntime": 0, "cpus": "", "mems": ""},
        "blockIO": {"weight": 0, "weightDevice": [], "throttleReadBpsDevice": []},
        "network": {"classID": 0},
        "devices": [],
        "hugepageLimits": [],
        "unified": {},
    }
    assert limits(V1, resources) == []
    assert limits(V2, resources) == []


def test_steps_name_the_field() -> None:
    sources = {
        step.source
        for step in limits(V1, EVERYTHING)
        if isinstance(step, steps.WriteCgroupFile | steps.WriteDependentCgroupFiles)
    }
    at = "/linux/resources"
    assert f"{at}/blockIO/throttleReadBpsDevice/0/rate" in sources
    assert {f"{at}/cpu/shares", f"{at}/memory/limit", f"{at}/pids/limit"} <= sources


# -- cpu


@pytest.mark.parametrize(
    ("shares", "weight"),
    # 1024 to 100 and the ends are what the formula is made for.
    [(1, 1), (2, 1), (3, 2), (10, 4), (128, 21), (512, 59), (1024, 100), (2048, 174), (4096, 303),
     (65536, 3023), (262143, 10000), (262144, 10000), (1 << 64, 10000)],
)  # fmt: skip
def test_cpu_weight(shares: int, weight: int) -> None:
    assert cpu_weight(shares) == weight


def test_converted_shares_are_visible() -> None:
    (step,) = limits(V2, {"cpu": {"shares": 512}})
    assert isinstance(step, steps.WriteCgroupFile)
    assert step.describe() == "write '59' to '/cg/c/cpu.weight' (from 512 shares)"


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ({"quota": 20000}, "20000 100000"),
        ({"period": 50000}, "max 50000"),
        ({"quota": -1}, "max 100000"),
        ({"quota": -7, "period": 5000}, "max 5000"),
        ({"quota": 1000, "period": 1000000}, "1000 1000000"),
    ],
)
def test_cpu_max(cpu: Any, expected: str) -> None:
    assert writes(limits(V2, {"cpu": cpu})) == [("cpu.max", expected)]


def test_an_update_keeps_the_other_half_of_cpu_max() -> None:
    assert writes(limits(V2, {"cpu": {"period": 50000}}, cpu_max="20000 100000")) == [
        ("cpu.max", "20000 50000")
    ]
    assert writes(limits(V2, {"cpu": {"quota": -1}}, cpu_max="20000 50000")) == [
        ("cpu.max", "max 50000")
    ]


def test_no_limit_is_minus_one_in_v1() -> None:
    assert writes(limits(V1, {"cpu": {"quota": -7}})) == [("cpu.cfs_quota_us", "-1")]


def test_burst_goes_with_the_quota() -> None:
    cpu = {"quota": 20000, "period": 100000, "burst": 20000}
    (step,) = limits(V1, {"cpu": cpu})
    assert isinstance(step, steps.WriteDependentCgroupFiles)
    assert writes([step])[-1] == ("cpu.cfs_burst_us", "20000")
    assert writes(limits(V2, {"cpu": cpu})) == [
        ("cpu.max", "20000 100000"),
        ("cpu.max.burst", "20000"),
    ]


def test_no_burst_is_taken_away_first() -> None:
    plan = limits(V2, {"cpu": {"quota": 5000, "burst": 0}})
    assert writes(plan) == [("cpu.max.burst", "0"), ("cpu.max", "5000 100000")]
    assert isinstance(plan[0], steps.WriteCgroupFile)
    assert plan[0].ignore == ("ENOENT",)


def test_an_idle_cgroup_takes_no_weight() -> None:
    assert writes(limits(V2, {"cpu": {"shares": 1024, "idle": 1}})) == [
        ("cpu.weight", "100"),
        ("cpu.idle", "1"),
    ]
    assert writes(limits(V1, {"cpu": {"shares": 1024, "idle": 0}})) == [
        ("cpu.idle", "0"),
        ("cpu.shares", "1024"),
    ]


@pytest.mark.parametrize(
    ("cpu", "field"),
    [
        ({"quota": 999}, "quota"),
        ({"period": 999}, "period"),
        ({"period": 1000001}, "period"),
    ],
)
@pytest.mark.parametrize("facts", [V1, V2], ids=["v1", "v2"])
def test_bandwidth_out_of_range(facts: Any, cpu: Any, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limits(facts, {"cpu": cpu})
    assert caught.value.pointer == f"/linux/resources/cpu/{field}"


@pytest.mark.parametrize("shares", [1, 262145])
def test_shares_that_v1_would_change_silently(shares: int) -> None:
    with pytest.raises(ConfigError) as caught:
        limits(V1, {"cpu": {"shares": shares}})
    assert caught.value.pointer == "/linux/resources/cpu/shares"


@pytest.mark.parametrize("field", ["realtimePeriod", "realtimeRuntime"])
def test_v2_has_no_realtime(field: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        limits(V2, {"cpu": {field: 1000}})
    assert caught.value.pointer == f"/linux/resources/cpu/{field}"


def test_cpuset_without_prefix() -> None:
    (step,) = limits(V1, {"cpu": {"cpus": "0-1"}})
    assert isinstance(step, steps.WriteCgroupFile)
    assert step.fallback_path == "/cg/cpuset/c/cpus"
    assert step.fallback_value == "0-1"


# -- pids, hugetlb, network, rdma, unified


@pytest.mark.parametrize(("limit", "text"), [(5, "5"), (0, "0"), (-1, "max"), (-9, "max")])
def test_pids(limit: int, text: str) -> None:
    assert writes(limits(V2, {"pids": {"limit": limit}})) == [("pids.max", text)]


def test_hugetlb() -> None:
    resources = {"hugepageLimits": [{"pageSize": "2MB", "limit": 4}]}
    plan = limits(V1, resources)
    assert writes(plan) == [
        ("hugetlb.2MB.limit_in_bytes", "4"),
        ("hugetlb.2MB.rsvd.limit_in_bytes", "4"),
    ]
    assert isinstance(plan[1], steps.WriteCgroupFile)
    assert plan[1].ignore == ("ENOENT",)
    assert writes(limits(V2, resources)) == [
        ("hugetlb.2MB.max", "4"),
        ("hugetlb.2MB.rsvd.max", "4"),
    ]
    (first, _) = limits(HYBRID, resources)
    assert isinstance(first, steps.WriteCgroupFile)
    assert first.path == "/cg/unified/c/hugetlb.2MB.max"


@pytest.mark.parametrize("size", ["2M", "MB", "2mb", "../x", "-1MB"])
def test_hugetlb_sizes_that_are_none(size: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limits(V2, {"hugepageLimits": [{"pageSize": size, "limit": 4}]})
    assert caught.value.pointer == "/linux/resources/hugepageLimits/0/pageSize"


def test_network() -> None:
    network = {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]}
    assert writes(limits(V1, {"network": network})) == [
        ("net_cls.classid", "1048577"),
        ("net_prio.ifpriomap", "eth0 500"),
    ]
    with pytest.raises(UnsupportedError, match="cgroup v2 has no controller net_cls") as caught:
        limits(V2, {"network": network})
    assert caught.value.pointer == "/linux/resources/network/classID"
    with pytest.raises(UnsupportedError, match="net_prio is not available"):
        limits(HYBRID, {"network": {"priorities": network["priorities"]}})


def test_rdma() -> None:
    rdma = {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "rxe3": {"hcaObjects": 0}}
    expected = [
        ("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"),
        ("rdma.max", "rxe3 hca_object=0"),
    ]
    assert writes(limits(V1, {"rdma": rdma})) == expected
    assert writes(limits(V2, {"rdma": rdma})) == expected


def test_unified_is_written_as_it_is_and_last() -> None:
    resources = {
        "unified": {"memory.high": "1", "io.max": "1:2 rbps=3\n4:5 wbps=6", "cgroup.freeze": "0"},
        "pids": {"limit": 1},
    }
    assert writes(limits(V2, resources)) == [
        ("pids.max", "1"),
        ("memory.high", "1"),
        ("io.max", "1:2 rbps=3\n4:5 wbps=6"),
        ("cgroup.freeze", "0"),
    ]
    assert writes(limits(HYBRID, {"unified": {"hugetlb.2MB.max": "0"}})) == [
        ("hugetlb.2MB.max", "0")
    ]


@pytest.mark.parametrize(
    ("facts", "key", "error"),
    [
        (V2, "bogus.max", UnsupportedError),
        (V1, "memory.max", UnsupportedError),
        (HYBRID, "memory.max", UnsupportedError),
        (V2, "memory", ConfigError),
        (V2, ".max", ConfigError),
        (V2, "memory.", ConfigError),
    ],
)
def test_unified_refused(facts: Any, key: str, error: type[ConfigError]) -> None:
    with pytest.raises(error) as caught:
        limits(facts, {"unified": {key: "1"}})
    assert caught.value.pointer == f"/linux/resources/unified/{key}"


@pytest.mark.parametrize(
    ("resources", "controller"),
    [
        ({"cpu": {"cpus": "0"}}, "cpuset"),
        ({"blockIO": {"weight": 100}}, "io"),
        ({"rdma": {"a": {"hcaObjects": 1}}}, "rdma"),
    ],
)
def test_a_controller_that_is_not_there(resources: Any, controller: str) -> None:
    with pytest.raises(UnsupportedError, match=f"cgroup controller {controller} is not available"):
        limits(HYBRID, resources)


# -- block I/O


def test_io_weights() -> None:
    assert [io_weight(weight) for weight in (1, 10, 100, 500, 1000)] == [1, 1, 910, 4950, 10000]
    plan = limits(V2, {"blockIO": {"weight": 500, "weightDevice": [
        {"major": 8, "minor": 0, "weight": 100},
    ]}})  # fmt: skip
    assert [
        (step.path, step.value, step.fallback_path, step.fallback_value)
        for step in plan
        if isinstance(step, steps.WriteCgroupFile)
    ] == [
        ("/cg/c/io.bfq.weight", "500", "/cg/c/io.weight", "4950"),
        ("/cg/c/io.bfq.weight", "8:0 100", "/cg/c/io.weight", "8:0 910"),
    ]


def test_v1_weights_have_bfq_names_too() -> None:
    plan = limits(V1, {"blockIO": {"weight": 500, "leafWeight": 300, "weightDevice": [
        {"major": 8, "minor": 0, "weight": 100, "leafWeight": 50},
    ]}})  # fmt: skip
    assert [
        (step.path, step.value, step.fallback_path)
        for step in plan
        if isinstance(step, steps.WriteCgroupFile)
    ] == [
        ("/cg/blkio/c/blkio.weight", "500", "/cg/blkio/c/blkio.bfq.weight"),
        ("/cg/blkio/c/blkio.leaf_weight", "300", ""),
        ("/cg/blkio/c/blkio.weight_device", "8:0 100", "/cg/blkio/c/blkio.bfq.weight_device"),
        ("/cg/blkio/c/blkio.leaf_weight_device", "8:0 50", ""),
    ]


@pytest.mark.parametrize(
    ("field", "file", "key"),
    [
        ("throttleReadBpsDevice", "read_bps", "rbps"),
        ("throttleWriteBpsDevice", "write_bps", "wbps"),
        ("throttleReadIOPSDevice", "read_iops", "riops"),
        ("throttleWriteIOPSDevice", "write_iops", "wiops"),
    ],
)
def test_throttles(field: str, file: str, key: str) -> None:
    devices = [{"major": 8, "minor": 16, "rate": 5}, {"major": 8, "minor": 0, "rate": 0}]
    v1, v2 = (limits(facts, {"blockIO": {field: devices}}) for facts in (V1, V2))
    file = f"blkio.throttle.{file}_device"
    assert writes(v1) == [(file, "8:16 5"), (file, "8:0 0")]
    # No rate is no limit.
    assert writes(v2) == [("io.max", f"8:16 {key}=5"), ("io.max", f"8:0 {key}=max")]
    assert [step.source for step in v1] == [
        f"/linux/resources/blockIO/{field}/{i}/rate" for i in (0, 1)
    ]


@pytest.mark.parametrize(
    ("block_io", "pointer"),
    [
        ({"leafWeight": 1001}, "leafWeight"),
        ({"weight": 1001}, "weight"),
        ({"weightDevice": [{"major": 1, "minor": 2, "weight": 1001}]}, "weightDevice/0/weight"),
        ({"weightDevice": [{"major": 1, "minor": 2}]}, "weightDevice/0"),
        (
            {"throttleReadBpsDevice": [{"major": -1, "minor": 2, "rate": 5}]},
            "throttleReadBpsDevice/0",
        ),
    ],
)
def test_block_io_refused(block_io: Any, pointer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limits(V1, {"blockIO": block_io})
    assert caught.value.pointer == f"/linux/resources/blockIO/{pointer}"


@pytest.mark.parametrize(
    "block_io",
    [{"leafWeight": 100}, {"weightDevice": [{"major": 1, "minor": 2, "leafWeight": 100}]}],
)
def test_v2_has_no_leaf_weights(block_io: Any) -> None:
    with pytest.raises(UnsupportedError, match="leaf weights"):
        limits(V2, {"blockIO": block_io})
