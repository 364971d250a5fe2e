"""The step move_network_device itself, between two private network namespaces."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from ocipy.errors import StepError
from ocipy.plan._generated_steps import MoveNetworkDevice
from ocipy.spawn.network_devices import execute
from ocipy.spawn.undo import Undo
from tests.integration.containers import wait_until
from tests.integration.netns import addresses, ip, link, links, new_network_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.requires("veth")


@pytest.fixture
def pid() -> Iterator[int]:
    """Return a process in a network namespace of its own; this one has devices v0 and v1."""
    with new_network_namespace():
        inside = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; read x"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert inside.stdout is not None
        inside.stdout.readline()
        ip("link add v0 type veth peer name v1")
        yield inside.pid
        inside.communicate()


def move(pid: int, name: str = "v0", device: str = "v0", undo: Undo | None = None) -> Undo:
    undo = undo or Undo()
    step = MoveNetworkDevice("/linux/netDevices/v0", device=device, name=name)
    execute(step, pid, undo)
    return undo


def test_it_keeps_its_name_or_gets_another(pid: int) -> None:
    move(pid)
    move(pid, device="v1", name="uplink")
    assert links() == []
    assert links(pid) == ["uplink", "v0"]


def test_it_is_set_up(pid: int) -> None:
    assert "UP" not in link("v0")["flags"]
    move(pid)
    assert "UP" in link("v0", pid)["flags"]


def test_a_template_finds_the_next_free_name(pid: int) -> None:
    ip("link add eth0 type veth peer name eth2", pid)
    move(pid, "eth%d")
    move(pid, "eth%d", device="v1")
    assert links(pid) == ["eth0", "eth1", "eth2", "eth3"]


def test_attributes_are_kept(pid: int) -> None:
    ip("link set v0 mtu 1400 address 02:00:00:00:00:09 txqueuelen 77 alias front")
    move(pid, "x")
    after = link("x", pid)
    assert (after["mtu"], after["address"]) == (1400, "02:00:00:00:00:09")
    assert (after["txqlen"], after["ifalias"]) == (77, "front")


def test_permanent_global_addresses_are_kept(pid: int) -> None:
    ip("link set v0 up")
    ip("addr add 10.1.2.3/24 brd + dev v0 label v0:one")
    ip("addr add 10.9.0.1 peer 10.9.0.2/32 dev v0 metric 77")
    ip("addr add fd00::1/64 dev v0 nodad")
    expected = addresses("v0")
    assert len(expected) == 3
    ip("addr add 10.5.0.1/24 dev v0 valid_lft 1000 preferred_lft 500")
    ip("addr add 10.6.0.1/24 scope link dev v0")
    move(pid, "x")
    assert addresses("x", pid) == expected
    infos = {info["local"]: info for info in link("x", pid)["addr_info"]}
    assert infos["10.1.2.3"]["broadcast"] == "10.1.2.255"
    assert infos["10.1.2.3"]["label"] == "x:one"
    assert infos["10.9.0.1"]["metric"] == 77
    assert "10.6.0.1" not in infos, "an address of link scope went along"


def test_a_name_that_is_taken_is_an_error_and_nothing_happens(pid: int) -> None:
    ip("link add taken type veth peer name other", pid)
    ip("addr add 10.1.2.3/24 dev v0")
    ip("link set v0 up")
    ip("link set v1 up")
    wait_until(lambda: link("v0")["operstate"] == "UP", "a carrier")
    before = link("v0")
    with pytest.raises(StepError, match="the container has a network device 'taken'") as caught:
        move(pid, "taken")
    assert caught.value.errno == errno.EEXIST
    # The kernel notices a carrier a moment later.
    wait_until(lambda: link("v0")["operstate"] == before["operstate"], "the carrier's state", 2)
    assert link("v0") == before
    assert links(pid) == ["other", "taken"]


@pytest.mark.parametrize(("device", "code"), [("nosuch", errno.ENODEV), ("lo", errno.EINVAL)])
def test_what_cannot_be_moved(pid: int, device: str, code: int) -> None:
    with pytest.raises(StepError) as caught:
        move(pid, "x", device=device)
    assert caught.value.errno == code
    assert caught.value.hint
    assert links(pid) == []


def test_a_bridge_cannot_be_moved(pid: int) -> None:
    ip("link add br0 type bridge")
    with pytest.raises(StepError, match=r"EINVAL"):
        move(pid, device="br0", name="br0")
    assert links() == ["br0", "v0", "v1"]


def test_the_runtimes_own_namespace_is_no_place_to_move_to(pid: int) -> None:
    with pytest.raises(StepError, match="own network namespace"):
        move(os.getpid(), "x")


def routes() -> list[str]:
    """Return the routes over v0 that somebody made; the kernel makes its own in its own time."""
    lines = ip("route show table all dev v0").splitlines()
    return sorted(line for line in lines if "proto kernel" not in line)


@pytest.mark.parametrize("name", ["v0", "x", "x%d"])
def test_undo_puts_it_back_as_it_was(pid: int, name: str) -> None:
    ip("link add br0 type bridge")
    ip("link set v0 mtu 1400 up")
    ip("link set v1 up")
    ip("link set v0 master br0")
    ip("addr add 10.1.2.3/24 brd + dev v0 label v0:one")
    ip("addr add 10.9.0.1 peer 10.9.0.2/32 dev v0 metric 77 noprefixroute")
    ip("addr add 10.5.0.1/24 dev v0 valid_lft 1000 preferred_lft 500")
    ip("addr add 10.6.0.1/24 scope link dev v0")
    ip("addr add fd00::1/64 dev v0 nodad")
    ip("route add 10.77.0.0/16 via 10.1.2.9")
    ip("route add 10.78.0.0/16 dev v0 table 100 metric 5")
    ip("-6 route add fd01::/64 via fd00::9")
    ip("route add default via 10.1.2.1")
    before = link("v0"), routes()
    assert len(before[1]) == 4
    undo = move(pid, name)
    assert links() == ["br0", "v1"]
    assert undo.run() == []
    after = link("v0"), routes()
    assert links(pid) == []
    for state in (before[0], after[0]):
        # The order is the kernel's; and time goes by.
        state["addr_info"].sort(key=lambda info: info["local"])
        for info in state["addr_info"]:
            info.pop("valid_life_time"), info.pop("preferred_life_time"), info.pop("tentative", 0)
        state.pop("operstate")
        state.pop("linkinfo")
    assert after == before


def test_undo_works_when_the_container_is_gone(pid: int) -> None:
    undo = move(pid, "x")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert undo.run() == []
    assert links() == ["v0", "v1"]


def test_undo_of_a_move_that_did_not_happen(pid: int) -> None:
    undo = Undo()
    with pytest.raises(StepError):
        move(pid, "x" * 16, undo=undo)
    assert undo.run() == []
    assert links() == ["v0", "v1"]


def test_a_later_failure_takes_all_devices_back(pid: int) -> None:
    undo = move(pid, "x")
    with pytest.raises(StepError):
        move(pid, "x", device="v1", undo=undo)
    assert undo.run() == []
    assert (links(), links(pid)) == (["v0", "v1"], [])
