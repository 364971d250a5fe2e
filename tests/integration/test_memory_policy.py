"""memoryPolicy and intelRdt: by their effect where the kernel has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests import probes

if TYPE_CHECKING:
    from tests.integration.containers import Container

numa = pytest.mark.skipif(
    not os.path.exists("/proc/self/numa_maps"), reason="the kernel has no NUMA support"
)
new = pytest.mark.runc_deviates("1.1 ignores it")


def shown(container: Container) -> str:
    """Return the policy of the program's memory, as numa(7) shows it."""
    # The line of the program itself; the kernel's own pages in it, such as the vdso, have none.
    (line,) = container.lines("grep -m1 /bin/busybox /proc/self/numa_maps")
    return line.partition(" ")[2].partition(" file=")[0]


@numa
def test_no_policy(container: Container) -> None:
    assert shown(container) == "default"


@numa
@new
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"mode": "MPOL_BIND", "nodes": "0"}, "bind:0"),
        ({"mode": "MPOL_INTERLEAVE", "nodes": "0"}, "interleave:0"),
        ({"mode": "MPOL_PREFERRED", "nodes": "0"}, "prefer:0"),
        ({"mode": "MPOL_PREFERRED"}, "local"),
        ({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}, "prefer (many):0"),
        ({"mode": "MPOL_LOCAL"}, "local"),
        (
            {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
            "bind=static:0",
        ),
        (
            {"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]},
            "interleave=relative:0",
        ),
    ],
    ids=lambda value: value.replace(" ", "") if isinstance(value, str) else "",
)
def test_modes_and_flags(container: Container, policy: dict[str, Any], expected: str) -> None:
    container.linux["memoryPolicy"] = policy
    assert shown(container) == expected


@numa
def test_default_is_the_default(container: Container) -> None:
    container.linux["memoryPolicy"] = {"mode": "MPOL_DEFAULT"}
    assert shown(container) == "default"


@numa
@new
def test_exec_has_it_too(container: Container) -> None:
    container.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
    container.up()
    assert " bind:0 " in container.exec("cat", "/proc/self/numa_maps").out


@numa
@new
def test_a_node_that_the_host_does_not_have(container: Container) -> None:
    container.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "63"}
    container.is_rejected("/linux/memoryPolicy", "EINVAL")


@new
@pytest.mark.parametrize(
    ("pointer", "policy"),
    [
        ("/mode", {"mode": "MPOL_NO"}),
        ("", {"mode": "MPOL_BIND"}),
        ("/nodes", {"mode": "MPOL_DEFAULT", "nodes": "0"}),
        ("/flags/0", {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NO"]}),
    ],
    ids=["mode", "no nodes", "nodes", "flags"],
)
def test_rejected(container: Container, pointer: str, policy: dict[str, Any]) -> None:
    container.linux["memoryPolicy"] = policy
    container.is_rejected(f"/linux/memoryPolicy{pointer}")


# -- intelRdt; on a fake resctrl in tests/unit/cgroup/test_resctrl.py


@pytest.mark.skipif(not probes.missing("resctrl"), reason="this host has resctrl")
def test_intel_rdt_without_resctrl(container: Container) -> None:
    """Spec (config-linux.md#intelrdt): without a mounted resctrl MUST generate an error."""
    container.linux["intelRdt"] = {"l3CacheSchema": "L3:0=f"}
    container.is_rejected("/linux/intelRdt")


@pytest.mark.requires("resctrl")
def test_intel_rdt(container: Container) -> None:
    root = probes.resctrl_mount()
    container.linux["intelRdt"] = {"enableMonitoring": True}
    container.args("/bin/sleep", "1000").create()
    for group in (container.id, f"{container.id}/mon_groups/{container.id}"):
        with open(f"{root}/{group}/tasks", encoding="utf-8") as tasks:
            assert str(container.pid) in tasks.read().split()
    container.delete("--force")
    assert not os.path.exists(f"{root}/{container.id}")


@pytest.mark.parametrize(
    ("pointer", "given"),
    [
        ("/closID", {"closID": "a/b"}),
        ("/closID", {"closID": ".."}),
        ("/memBwSchema", {"memBwSchema": "L3:0=f"}),
        ("/memBwSchema", {"memBwSchema": "MB:0=1\nL3:0=f"}),
        ("/l3CacheSchema", {"l3CacheSchema": "L3:0=f\nMB:0=1"}),
        pytest.param(
            "/schemata/0",
            {"schemata": ["L3:0=f\nMB:0=1"]},
            marks=pytest.mark.runc_deviates("1.1 does not know schemata"),
        ),
    ],
)
def test_intel_rdt_rejected(container: Container, pointer: str, given: dict[str, Any]) -> None:
    container.linux["intelRdt"] = given
    container.is_rejected(f"/linux/intelRdt{pointer}")
