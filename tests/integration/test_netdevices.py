"""netDevices from config.json to the container; each test's host is a namespace of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.bundles import with_namespace, without_namespace
from tests.integration.netns import addresses, ip, link, links, new_network_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.containers import Container

# runc 1.1 does not know the field.
pytestmark = pytest.mark.requires("veth")
runc_deviates = pytest.mark.runc_deviates("1.1 ignores netDevices")


@pytest.fixture(autouse=True)
def devices() -> Iterator[None]:
    """Be in a network namespace with the two devices v0 and v1, v0 being up with an address."""
    with new_network_namespace():
        ip("link add v0 type veth peer name v1")
        ip("link set v0 mtu 1400 up")
        ip("addr add 10.1.2.3/24 dev v0")
        ip("addr add fd00::1/64 dev v0 nodad")
        yield


@runc_deviates
def test_a_device_is_moved_and_renamed(container: Container) -> None:
    container.linux["netDevices"] = {"v0": {"name": "uplink"}}
    before = addresses("v0")
    pid = container.up()
    assert links() == ["v1"]
    assert links(pid) == ["uplink"]
    assert addresses("uplink", pid) == before
    moved = link("uplink", pid)
    assert moved["mtu"] == 1400
    assert "UP" in moved["flags"]


@runc_deviates
def test_the_container_sees_it(container: Container) -> None:
    container.linux["netDevices"] = {"v0": {}, "v1": {"name": "eth%d"}}
    shown = container.lines("ls /sys/class/net")
    assert sorted(shown) == ["eth0", "lo", "v0"]


@runc_deviates
def test_in_a_user_namespace(container: Container) -> None:
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    container.linux["uidMappings"] = container.linux["gidMappings"] = mapping
    os.chown(container.bundle.rootfs, 100000, 100000)
    container.linux["netDevices"] = {"v0": {"name": "uplink"}}
    for names in container.process["capabilities"].values():
        names.append("CAP_NET_ADMIN")
    shown = container.sh("ip addr show dev uplink; ip link set uplink mtu 1300 && echo mine")
    assert "10.1.2.3/24" in shown
    assert shown.endswith("mine")


@runc_deviates
def test_into_a_namespace_that_exists(container: Container, sleeper: Callable[..., object]) -> None:
    holder = sleeper("--net")
    pid: int = holder.pid  # type: ignore[attr-defined]
    with_namespace(container.config, "network", f"/proc/{pid}/ns/net")
    container.linux["netDevices"] = {"v0": {"name": "uplink"}}
    assert container.lines("ls /sys/class/net") == ["lo", "uplink"]
    # Spec: the runtime MUST NOT attempt to move the interface out of the namespace.
    assert links(pid) == ["uplink"]
    assert addresses("uplink", pid) == ["10.1.2.3/24", "fd00::1/64"]


@runc_deviates
def test_a_clash_leaves_everything_as_it_was(
    container: Container, sleeper: Callable[..., object]
) -> None:
    holder = sleeper("--net")
    pid: int = holder.pid  # type: ignore[attr-defined]
    ip("link add taken type veth peer name other", pid)
    with_namespace(container.config, "network", f"/proc/{pid}/ns/net")
    container.linux["netDevices"] = {"v0": {"name": "first"}, "v1": {"name": "taken"}}
    before = addresses("v0")
    container.is_rejected("/linux/netDevices/v1", "taken")
    assert links() == ["v0", "v1"]
    assert links(pid) == ["other", "taken"]
    assert addresses("v0") == before
    assert "UP" in link("v0")["flags"]


def test_a_later_failure_puts_it_back(container: Container) -> None:
    container.linux["netDevices"] = {"v0": {"name": "uplink"}}
    container.config["mounts"].append(
        {"destination": "/mnt", "type": "bind", "source": "/nonexistent", "options": ["bind"]}
    )
    container.create(check=False).failed("/nonexistent")
    assert links() == ["v0", "v1"]
    assert addresses("v0") == ["10.1.2.3/24", "fd00::1/64"]
    assert "UP" in link("v0")["flags"]


def test_a_hook_failure_puts_it_back(container: Container) -> None:
    container.linux["netDevices"] = {"v0": {"name": "uplink"}}
    container.config["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}
    container.create(check=False).failed()
    assert links() == ["v0", "v1"]
    assert addresses("v0") == ["10.1.2.3/24", "fd00::1/64"]


@runc_deviates
def test_hooks_see_it(container: Container, directory: str) -> None:
    script = f"{directory}/hook"
    with open(script, "w", encoding="utf-8") as file:
        pid = "sed 's/.*\"pid\":\\s*\\([0-9]*\\).*/\\1/'"
        file.write(f"#!/bin/sh\nnsenter --net=/proc/$({pid})/ns/net ip -o link >{directory}/seen\n")
    os.chmod(script, 0o755)
    container.linux["netDevices"] = {"v0": {"name": "uplink"}}
    container.config["hooks"] = {
        "createRuntime": [{"path": script, "env": [f"PATH={os.environ['PATH']}"]}]
    }
    container.sh("true")
    with open(f"{directory}/seen", encoding="utf-8") as file:
        assert "uplink" in file.read()


@runc_deviates
@pytest.mark.parametrize(
    ("device", "name", "text"),
    [
        ("nosuch", "uplink", "no such device"),
        ("lo", "uplink", ""),
        ("v0", "much-too-long-a-name", "much-too-long-a-name"),
        ("v0", "a/b", "a/b"),
    ],
)
def test_rejected(container: Container, device: str, name: str, text: str) -> None:
    container.linux["netDevices"] = {device: {"name": name}}
    container.is_rejected(f"/linux/netDevices/{device}", text)
    assert links() == ["v0", "v1"]


@runc_deviates
def test_no_namespace_to_move_to(container: Container) -> None:
    without_namespace(container.config, "network")
    container.linux["netDevices"] = {"v0": {}}
    container.is_rejected("/linux/netDevices", "network namespace")
