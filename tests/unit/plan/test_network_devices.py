from __future__ import annotations

from typing import Any

from ocipy.plan._generated_steps import MoveNetworkDevice
from ocipy.plan.network_devices import plan_network_devices
from ocipy.plan.step import Step

NETWORK = [{"type": "network"}]


def plan(devices: Any, namespaces: Any = NETWORK) -> list[Step]:
    config: Any = {"linux": {"netDevices": devices, "namespaces": namespaces}}
    return plan_network_devices(config)


def test_nothing_asked() -> None:
    assert plan({}, []) == []


def test_a_device_keeps_its_name_or_gets_another() -> None:
    source = "/linux/netDevices"
    assert plan({"eth0": {}, "eth1": {"name": "uplink"}, "eth2": {"name": "net%d"}}) == [
        MoveNetworkDevice(f"{source}/eth0", device="eth0", name="eth0"),
        MoveNetworkDevice(f"{source}/eth1", device="eth1", name="uplink"),
        MoveNetworkDevice(f"{source}/eth2", device="eth2", name="net%d"),
    ]
