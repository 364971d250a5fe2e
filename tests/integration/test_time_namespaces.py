"""Time namespaces and their offsets; config-linux.md#offset-for-time-namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bundles import with_namespace
from tests.integration.containers import Container
from tests.integration.namespaces import namespace

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates


@pytest.mark.requires("time-namespaces")
@runc_deviates("1.1 does not know time namespaces")
def test_time_offsets(container: Container) -> None:
    with_namespace(container.config, "time")
    container.linux["timeOffsets"] = {
        "monotonic": {"secs": 172800, "nanosecs": 0},
        "boottime": {"secs": 864000, "nanosecs": 500},
    }
    pid = container.up("cat /proc/uptime; exec sleep 1000")
    with open("/proc/uptime", encoding="utf-8") as file:
        ours = float(file.read().split()[0])
    assert 864000 <= float(container.created.out.split()[0]) - ours + 60 < 864120
    assert namespace(pid, "time") != namespace("self", "time")
    with open(f"/proc/{pid}/timens_offsets", encoding="utf-8") as file:
        offsets = {line.split()[0]: line.split()[1:] for line in file}
    assert offsets == {"monotonic": ["172800", "0"], "boottime": ["864000", "500"]}


@pytest.mark.requires("time-namespaces")
@runc_deviates("1.1 does not know time namespaces")
def test_time_namespace_of_another_container(
    container: Container, make_container: Callable[[], Container]
) -> None:
    with_namespace(container.config, "time")
    container.linux["timeOffsets"] = {"boottime": {"secs": 5000}}
    first = container.up()
    other = make_container()
    with_namespace(other.config, "time", f"/proc/{first}/ns/time")
    second = other.up()
    assert namespace(second, "time") == namespace(first, "time")


@runc_deviates("1.1 does not know time namespaces")
def test_time_offsets_without_a_time_namespace(container: Container) -> None:
    container.linux["timeOffsets"] = {"boottime": {"secs": 5000}}
    container.is_rejected("/linux/timeOffsets")
