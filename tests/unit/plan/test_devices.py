from __future__ import annotations

import os
from typing import Any

import pytest

from ocipy.errors import ConfigError
from ocipy.plan._generated_steps import BindDevice, MakeDevice, MakeSymlink
from ocipy.plan.devices import DEFAULT_DEVICES, plan_devices
from ocipy.plan.request import CreateRequest
from ocipy.plan.step import HostFd, Step
from tests.unit.host_facts import ALL_CAPABILITIES, host_facts

CAP_MKNOD = 1 << 27
REQUEST = CreateRequest("c", bundle="/b", rootfs="/b/rootfs")


def plan(
    *devices: dict[str, Any], namespaces: str = "mount", mounts: Any = (), **facts: Any
) -> list[Step]:
    config: Any = {
        "mounts": list(mounts),
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces.split()],
            "devices": list(devices),
        },
    }
    return plan_devices(config, host_facts(**facts), REQUEST)


def configured(*devices: dict[str, Any], **more: Any) -> list[Step]:
    return [step for step in plan(*devices, **more) if step.source]


def test_default_devices_and_links() -> None:
    steps = plan()
    assert steps[0] == MakeDevice("", path="/dev/null", mode=0o20666, major=1, minor=3, keep=1)
    assert [s.path for s in steps if isinstance(s, MakeDevice)] == [d[0] for d in DEFAULT_DEVICES]
    links = {s.path: s.content for s in steps if isinstance(s, MakeSymlink)}
    # Spec (runtime-linux.md#dev-symbolic-links)
    assert links["/dev/fd"] == "/proc/self/fd"
    assert [links[f"/dev/{name}"] for name in ("stdin", "stdout", "stderr")] == [
        f"/proc/self/fd/{i}" for i in range(3)
    ]
    assert links["/dev/ptmx"] == "pts/ptmx"


def test_configured_devices() -> None:
    steps = configured(
        {"path": "/dev/sda", "type": "b", "major": 8, "minor": 0, "fileMode": 0o60640, "gid": 6},
        {"path": "/run/pipe", "type": "p", "uid": 3},
        {"path": "dev//tty9", "type": "u", "major": 4, "minor": 9},
    )
    assert steps == [
        MakeDevice("/linux/devices/0", path="/dev/sda", mode=0o60640, major=8, minor=0, gid=6),
        MakeDevice("/linux/devices/1", path="/run/pipe", mode=0o10666, major=0, minor=0, uid=3),
        MakeDevice("/linux/devices/2", path="/dev/tty9", mode=0o20666, major=4, minor=9),
    ]


def test_a_configured_device_takes_the_place_of_a_default_one() -> None:
    steps = plan({"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600})
    nulls = [s for s in steps if isinstance(s, MakeDevice) and s.path == "/dev/null"]
    assert [(s.mode, s.keep) for s in nulls] == [(0o20600, 0)]


def test_ptmx_stays_the_link_to_the_containers_own() -> None:
    assert configured({"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2}) == []


@pytest.mark.parametrize("option", ["bind", "rbind"])
def test_a_bound_dev_is_left_alone(option: str) -> None:
    mounts = [{"destination": "/dev/", "source": "/dev", "options": [option]}]
    devices = [
        {"path": "/dev/x", "type": "c", "major": 1, "minor": 1},
        {"path": "/x", "type": "c", "major": 1, "minor": 1},
    ]
    assert [step.source for step in plan(*devices, mounts=mounts)] == ["/linux/devices/1"]


@pytest.mark.parametrize(
    "where",
    [
        {"namespaces": "mount user"},
        {"in_user_namespace": True},
        {"capabilities": ALL_CAPABILITIES & ~CAP_MKNOD},
    ],
    ids=["user namespace", "rootless", "without CAP_MKNOD"],
)
def test_where_nodes_cannot_be_made_they_are_bound(where: dict[str, Any]) -> None:
    (fuse,) = configured({"path": "/dev/f", "type": "c", "major": 10, "minor": 229}, **where)
    tree = HostFd("/dev/f", "char", os.makedev(10, 229), wanted_by="/linux/devices/0")
    assert fuse == BindDevice(
        "/linux/devices/0",
        tree=None if "in_user_namespace" in where else tree,
        device="/dev/f",
        path="/dev/f",
        mode=0o20666,
        major=10,
        minor=229,
    )
    # A fifo is nobody's privilege.
    (fifo,) = configured({"path": "/p", "type": "p"}, **where)
    assert isinstance(fifo, MakeDevice)


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        ({"path": "/x", "type": "c", "major": 1}, "needs a major and a minor"),
        ({"path": "/x", "type": "b", "minor": 1}, "needs a major and a minor"),
        ({"path": "/x", "type": "s", "major": 1, "minor": 1}, "no type of device"),
    ],
)
def test_wrong_devices(device: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        plan(device)


def test_no_binds_without_a_mount_namespace() -> None:
    with pytest.raises(ConfigError, match="only in a mount namespace"):
        plan(namespaces="user")
    assert isinstance(plan(namespaces="pid")[0], MakeDevice)
