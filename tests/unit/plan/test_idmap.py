from __future__ import annotations

from typing import Any

import pytest

from ocipy.plan._generated_steps import WriteIdMap
from ocipy.plan.idmap import plan_id_maps
from ocipy.plan.namespaces import plan_namespaces
from tests.unit.host_facts import host_facts

OWN_ID = [{"containerID": 0, "hostID": 1000, "size": 1}]
RANGES = [*OWN_ID, {"containerID": 1, "hostID": 100000, "size": 65536}]


def plan(mappings: list[dict[str, int]], **host: Any) -> dict[str, WriteIdMap]:
    config: Any = {
        "linux": {
            "namespaces": [{"type": "user"}],
            "uidMappings": mappings,
            "gidMappings": mappings,
        }
    }
    facts = host_facts(**host)
    found = {}
    for step in plan_id_maps(config, facts, plan_namespaces(config, facts)):
        assert isinstance(step, WriteIdMap)
        assert step.source == f"/linux/{step.kind}Mappings"
        found[step.kind] = step
    return found


def test_lines() -> None:
    for step in plan(RANGES).values():
        assert step.lines == ["0 1000 1", "1 100000 65536"]


@pytest.mark.parametrize(
    ("mappings", "may_set_groups", "deny"),
    [
        (OWN_ID, True, False),  # root, also that of an outer user namespace (rootless podman)
        (RANGES, True, False),
        (OWN_ID, False, True),  # the kernel takes it only so
        (RANGES, False, False),  # newgidmap(1) may do it, and decides itself
    ],
)
def test_setgroups_is_denied_only_where_it_must_be(
    mappings: list[dict[str, int]], may_set_groups: bool, deny: bool
) -> None:
    steps = plan(mappings, may_set_groups=may_set_groups, in_user_namespace=not may_set_groups)
    assert steps["gid"].deny_setgroups == deny
    assert not steps["uid"].deny_setgroups
