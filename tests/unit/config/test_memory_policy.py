"""The rules of config-linux.md#memory-policy that a schema cannot say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.config.faults import linux_faults

EXCLUSIVE = ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]


def faults(**policy: Any) -> dict[str, str]:
    return linux_faults(memoryPolicy=policy)


@pytest.mark.parametrize(
    "policy",
    [
        {"mode": "MPOL_DEFAULT"},
        {"mode": "MPOL_LOCAL", "nodes": ""},
        {"mode": "MPOL_PREFERRED"},
        {"mode": "MPOL_PREFERRED", "nodes": "1"},
        {"mode": "MPOL_BIND", "nodes": "0-3,7", "flags": ["MPOL_F_STATIC_NODES"]},
    ],
)
def test_good(policy: dict[str, Any]) -> None:
    assert not faults(**policy)


@pytest.mark.parametrize(
    ("pointer", "text", "policy"),
    [
        ("", '"mode" is missing', {"nodes": "0"}),
        ("/nodes", "takes no nodes", {"mode": "MPOL_DEFAULT", "nodes": "0"}),
        ("/nodes", "takes no nodes", {"mode": "MPOL_LOCAL", "nodes": "0"}),
        ("", "needs at least one node", {"mode": "MPOL_BIND"}),
        ("", "needs at least one node", {"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": ""}),
        ("/nodes", "neither a number nor a range", {"mode": "MPOL_BIND", "nodes": "a"}),
        ("/nodes", "runs backwards", {"mode": "MPOL_BIND", "nodes": "3-1"}),
        ("/flags", "exclude each other", {"mode": "MPOL_BIND", "nodes": "0", "flags": EXCLUSIVE}),
    ],
)
def test_bad(pointer: str, text: str, policy: dict[str, Any]) -> None:
    ((found, message),) = faults(**policy).items()
    assert found == f"/linux/memoryPolicy{pointer}"
    assert text in message
