"""A host for planners: root on a new kernel with everything, unless a test says otherwise."""

from __future__ import annotations

from typing import Any

from ocipy.host.facts import HostFacts

ALL_CAPABILITIES = (1 << 41) - 1
ALL_NAMESPACES = 0x7E020080


def host_facts(**different: Any) -> HostFacts:
    """Return facts with some of them `different`."""
    facts: dict[str, Any] = {
        "kernel": "6.12.0",
        "euid": 0,
        "capabilities": ALL_CAPABILITIES,
        "bounding": ALL_CAPABILITIES,
        "last_capability": 40,
        "clone_flags": ALL_NAMESPACES,
        "in_user_namespace": False,
        "may_set_groups": True,
        "kcore": True,
        "lsms": (),
        "cgroup": None,
    }
    return HostFacts(**(facts | different))
