"""linux.resources.memory to writes: memory and swap depend on each other, differently in v2."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan import _generated_steps as steps
from tests.unit.cgroup.hosts import V1, V2, limits, writes

LIMIT, SWAP = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"


def memory(facts: Any, given: Any, **current: str) -> list[tuple[str, str]]:
    return writes(limits(facts, {"memory": given}, **current))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"limit": 100}, [(LIMIT, "100")]),
        ({"limit": 100, "swap": 200}, [(LIMIT, "100"), (SWAP, "200")]),
        ({"limit": 100, "swap": -1}, [(LIMIT, "100"), (SWAP, "-1")]),
        ({"limit": -1}, [(LIMIT, "-1"), (SWAP, "-1")]),
        ({"swap": -1}, [(SWAP, "-1")]),
        ({"reservation": 50}, [("memory.soft_limit_in_bytes", "50")]),
        ({"kernelTCP": 50}, [("memory.kmem.tcp.limit_in_bytes", "50")]),
        ({"swappiness": 0}, [("memory.swappiness", "0")]),
        ({"swappiness": (1 << 64) - 1}, []),
        ({"disableOOMKiller": True}, [("memory.oom_control", "1")]),
        ({"disableOOMKiller": False}, []),
        ({"useHierarchy": True}, [("memory.use_hierarchy", "1")]),
        ({"useHierarchy": False}, [("memory.use_hierarchy", "0")]),
        ({"checkBeforeUpdate": True}, []),
        # As runc; the config's rules warn of it.
        ({"kernel": 50}, []),
    ],
)
def test_v1(given: Any, expected: list[tuple[str, str]]) -> None:
    assert memory(V1, given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"limit": 100}, [("memory.max", "100")]),
        ({"limit": 100, "swap": 250}, [("memory.swap.max", "150"), ("memory.max", "100")]),
        ({"limit": 100, "swap": 100}, [("memory.swap.max", "0"), ("memory.max", "100")]),
        ({"limit": 100, "swap": -1}, [("memory.swap.max", "max"), ("memory.max", "100")]),
        ({"limit": -1}, [("memory.swap.max", "max"), ("memory.max", "max")]),
        ({"limit": -1, "swap": 50}, [("memory.swap.max", "50"), ("memory.max", "max")]),
        ({"swap": -1}, [("memory.swap.max", "max")]),
        ({"reservation": 50}, [("memory.low", "50")]),
        ({"reservation": -1}, [("memory.low", "max")]),
        ({"useHierarchy": True, "kernelTCP": -1, "disableOOMKiller": False}, []),
        ({"swappiness": (1 << 64) - 1}, []),
    ],
)
def test_v2(given: Any, expected: list[tuple[str, str]]) -> None:
    assert memory(V2, given) == expected


def test_swap_that_is_not_accounted_is_missed_only_where_it_matters() -> None:
    def ignored(facts: Any, given: Any) -> set[tuple[str, ...]]:
        return {
            tuple(step.ignore)
            for step in limits(facts, {"memory": given})
            if isinstance(step, steps.WriteCgroupFile | steps.WriteDependentCgroupFiles)
            and "sw" in str(getattr(step, "path", getattr(step, "paths", "")))
        }

    assert ignored(V1, {"limit": 100, "swap": 200}) == {()}
    assert ignored(V1, {"limit": -1}) == {("ENOENT",)}
    assert ignored(V2, {"limit": 100, "swap": 200}) == {()}
    assert ignored(V2, {"limit": 100, "swap": 100}) == {("ENOENT",)}
    assert ignored(V2, {"limit": 100, "swap": -1}) == {("ENOENT",)}


def test_converted_swap_is_visible() -> None:
    first, _ = limits(V2, {"memory": {"limit": 100, "swap": 250}})
    assert isinstance(first, steps.WriteCgroupFile)
    assert first.converted_from == "swap 250 less limit 100"
    assert first.source == "/linux/resources/memory/swap"


@pytest.mark.parametrize("given", [{"swap": 100}, {"swap": 100, "limit": 0}])
@pytest.mark.parametrize("facts", [V1, V2], ids=["v1", "v2"])
def test_swap_needs_a_limit(facts: Any, given: Any) -> None:
    with pytest.raises(ConfigError, match="needs a memory limit") as caught:
        memory(facts, given)
    assert caught.value.pointer == "/linux/resources/memory/swap"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kernelTCP", 5),
        ("swappiness", 0),
        ("swappiness", 60),
        ("disableOOMKiller", True),
        ("useHierarchy", False),
    ],
)
def test_v2_has_not(field: str, value: object) -> None:
    with pytest.raises(UnsupportedError, match="cgroup v2") as caught:
        memory(V2, {field: value})
    assert caught.value.pointer == f"/linux/resources/memory/{field}"


# -- updates: "current" is what the kernel says of the running container


def test_v1_update_leaves_the_comparison_to_the_kernel() -> None:
    assert memory(V1, {"swap": 100}, cpu_max="") == [(SWAP, "100")]


@pytest.mark.parametrize(
    ("given", "limit", "swap", "expected"),
    [
        # The limit of both together stays what it was, as in v1.
        ({"limit": 150}, "100", "100", [("memory.swap.max", "50"), ("memory.max", "150")]),
        ({"limit": 50}, "100", "0", [("memory.swap.max", "50"), ("memory.max", "50")]),
        ({"limit": 150}, "100", "max", [("memory.max", "150")]),
        ({"limit": 150}, "max", "max", [("memory.max", "150")]),
        ({"swap": 150}, "100", "0", [("memory.swap.max", "50")]),
        ({"limit": 0, "swap": 0}, "100", "0", []),
    ],
)
def test_v2_update(given: Any, limit: str, swap: str, expected: list[tuple[str, str]]) -> None:
    assert memory(V2, given, memory_max=limit, memory_swap_max=swap) == expected


@pytest.mark.parametrize(("given", "field"), [({"limit": 201}, "limit"), ({"swap": 99}, "swap")])
def test_v2_update_refused(given: Any, field: str) -> None:
    with pytest.raises(ConfigError, match="memory and swap together") as caught:
        limits(V2, {"memory": given}, memory_max="100", memory_swap_max="100")
    assert caught.value.pointer == f"/linux/resources/memory/{field}"


def test_check_before_update() -> None:
    plan = limits(V2, {"memory": {"limit": 100, "checkBeforeUpdate": True}})
    assert plan[0] == steps.CheckMemoryUsage(
        "/linux/resources/memory/limit", path="/cg/c", limit=100
    )
    assert writes(plan) == [("memory.max", "100")]
