from __future__ import annotations

from typing import Any

import pytest

from ocipy.plan._generated_steps import SetMemoryPolicy
from ocipy.plan.memory_policy import FLAGS, MODES, plan_memory_policy


def plan(mode: str, **more: Any) -> SetMemoryPolicy:
    config: Any = {"linux": {"memoryPolicy": {"mode": mode, **more}}}
    (step,) = plan_memory_policy(config)
    assert isinstance(step, SetMemoryPolicy)
    assert step.source == "/linux/memoryPolicy"
    return step


def test_nothing_asked() -> None:
    assert plan_memory_policy({"ociVersion": "1.3.0", "linux": {}}) == []


@pytest.mark.parametrize("mode", MODES)
def test_modes(mode: str) -> None:
    nodes = "" if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else "0"
    step = plan(mode, nodes=nodes)
    assert step.mode == MODES[mode]
    assert step.nodes == (b"\1" + b"\0" * 7 if nodes else b"")


@pytest.mark.parametrize("flag", FLAGS)
def test_flags(flag: str) -> None:
    assert plan("MPOL_BIND", nodes="1", flags=[flag]).mode == 2 | FLAGS[flag]


@pytest.mark.parametrize(
    ("nodes", "mask"),
    [
        ("0-3,7", b"\x8f" + b"\0" * 7),
        ("63", b"\0" * 7 + b"\x80"),
        ("64", b"\0" * 8 + b"\1" + b"\0" * 7),
    ],
)
def test_the_mask_has_whole_words(nodes: str, mask: bytes) -> None:
    step = plan("MPOL_INTERLEAVE", nodes=nodes)
    assert step.nodes == mask
    assert nodes in step.describe()


def test_preferred_may_have_no_nodes() -> None:
    assert plan("MPOL_PREFERRED").nodes == b""
