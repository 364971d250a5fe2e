"""Whatever resources a config has: planned, or refused by an error that names one of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocipy.cgroup.devices import plan_devices
from ocipy.config.resources import accept_resources
from ocipy.errors import ConfigError
from ocipy.plan.describe import plan_to_text
from tests.unit.cgroup.hosts import HYBRID, V1, V2, homes, limits

SIGNED = st.sampled_from([-(1 << 63), -2, -1, 0, 1, 5, 1000, 100000, 1 << 40, (1 << 63) - 1])
UNSIGNED = st.sampled_from([0, 1, 2, 10, 1000, 100000, 1 << 31, 1 << 32, (1 << 64) - 1])
SMALL = st.integers(0, 65535)
TEXT = st.sampled_from(["", "0", "0-1", "1-0", "x", "../x", "2MB", "B", "a b", "memory.high", "é"])
LIST = st.sampled_from(["", "0", "0-3,7", "0-31:2/4", "all", "3-1", "x"])


def some(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


THROTTLES = st.lists(
    st.fixed_dictionaries({"major": SIGNED, "minor": SIGNED}, optional={"rate": UNSIGNED}),
    max_size=2,
)
RESOURCES = some(
    memory=some(
        limit=SIGNED, reservation=SIGNED, swap=SIGNED, kernel=SIGNED, kernelTCP=SIGNED,
        swappiness=UNSIGNED, disableOOMKiller=st.booleans(), useHierarchy=st.booleans(),
        checkBeforeUpdate=st.booleans(),
    ),
    cpu=some(
        shares=UNSIGNED, quota=SIGNED, burst=UNSIGNED, period=UNSIGNED, realtimeRuntime=SIGNED,
        realtimePeriod=UNSIGNED, cpus=LIST, mems=LIST, idle=SIGNED,
    ),
    pids=st.fixed_dictionaries({"limit": SIGNED}),
    blockIO=some(
        weight=SMALL, leafWeight=SMALL,
        weightDevice=st.lists(
            st.fixed_dictionaries(
                {"major": SIGNED, "minor": SIGNED},
                optional={"weight": SMALL, "leafWeight": SMALL},
            ),
            max_size=2,
        ),
        throttleReadBpsDevice=THROTTLES, throttleWriteIOPSDevice=THROTTLES,
    ),
    hugepageLimits=st.lists(
        st.fixed_dictionaries({"pageSize": TEXT, "limit": UNSIGNED}), max_size=2
    ),
    network=some(
        classID=st.integers(0, (1 << 32) - 1),
        priorities=st.lists(
            st.fixed_dictionaries({"name": TEXT, "priority": st.integers(0, (1 << 32) - 1)}),
            max_size=2,
        ),
    ),
    rdma=st.dictionaries(TEXT, some(hcaHandles=st.integers(0, 9), hcaObjects=st.integers(0, 9))),
    unified=st.dictionaries(TEXT, TEXT),
    devices=st.lists(
        st.fixed_dictionaries(
            {"allow": st.booleans()},
            optional={
                "type": st.sampled_from(["", "a", "b", "c", "p"]),
                "major": SIGNED, "minor": SIGNED,
                "access": st.sampled_from(["", "r", "w", "m", "rw", "mwr", "rwm", "x"]),
            },
        ),
        max_size=4,
    ),
)  # fmt: skip


def pointers(value: Any, at: str = "") -> set[str]:
    """Return the JSON pointer of a value and of all that is in it."""
    found = {at}
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            token = str(name).replace("~", "~0").replace("/", "~1")
            found |= pointers(inner, f"{at}/{token}")
    return found


@pytest.mark.parametrize("facts", [V1, V2, HYBRID], ids=["v1", "v2", "hybrid"])
@given(resources=RESOURCES)
@settings(max_examples=150, deadline=None, database=None)
def test_planned_or_refused(facts: Any, resources: Any) -> None:
    refused: ConfigError | None = None
    try:
        accept_resources(resources, "")
        plan = limits(facts, resources)
        plan += plan_devices(resources.get("devices", []), homes(facts), "/linux/resources")
    except ConfigError as error:
        refused = error
    if refused is None:
        assert plan_to_text(plan).count("\n") >= len(plan)
        assert all(step.source.startswith("/linux/resources/") for step in plan)
        return
    pointer = refused.pointer.removeprefix("/linux/resources")
    # A field that stands for its neighbours, or one that is missing, has a parent there.
    known = pointers(resources)
    assert pointer in known or pointer.rpartition("/")[0] in known, (pointer, str(refused))
