"""The rules of config-linux.md#network-devices that a schema cannot say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.config.faults import linux_faults


def faults(devices: dict[str, Any], **linux: Any) -> list[str]:
    return list(linux_faults(netDevices=devices, **linux))


@pytest.mark.parametrize("name", ["x" * 15, "a.b", "a-b_c", "%d", "eth%d", "a%db", "ä"], ids=ascii)
def test_good_names(name: str) -> None:
    assert not faults({"eth0": {"name": name}})


@pytest.mark.parametrize("name", ["x" * 16, ".", "..", "a/b", "a:b", "a b", "a%", "%d%d", "%s"])
def test_bad_names(name: str) -> None:
    assert faults({"eth0": {"name": name}}) == ["/linux/netDevices/eth0/name"]


@pytest.mark.parametrize("device", ["", "x" * 16, "a b", "eth%d"])
def test_bad_devices(device: str) -> None:
    assert faults({device: {}}) == [f"/linux/netDevices/{device}"]


def test_two_devices_of_one_name() -> None:
    assert faults({"eth0": {"name": "eth1"}, "eth1": {}}) == ["/linux/netDevices/eth1/name"]


def test_templates_may_be_shared_and_names_exchanged() -> None:
    assert not faults({"eth0": {"name": "net%d"}, "eth1": {"name": "net%d"}})
    assert not faults({"eth0": {"name": "eth1"}, "eth1": {"name": "eth0"}})


def test_no_namespace_to_move_to() -> None:
    assert faults({"eth0": {}}, namespaces=[{"type": "mount"}]) == ["/linux/netDevices"]
