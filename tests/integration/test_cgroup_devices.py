"""Which devices a container may open: v1's list and v2's eBPF filter, by what the kernel does.

The device is one that no driver has. Where it may not be opened, the cgroup says EPERM; where it
may, the kernel goes on and finds no driver.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.bundles import CAPABILITIES
from tests.integration.cgroup_files import PURE_V2, path
from tests.integration.containers import Container

DENY_ALL = {"allow": False, "access": "rwm"}
ALLOW_ALL = {"allow": True, "access": "rwm"}
NODE = {"allow": True, "type": "c", "major": 10, "minor": 254}
MAKE = "mknod /node c 10 254"
OPEN = "(: {} /node) 2>&1 | grep -q permitted || echo {}"


def rules(container: Container, *devices: Any) -> Container:
    container.linux["resources"] = {"devices": list(devices)}
    return container


def opening(container: Container) -> list[str]:
    """Return, for reading, writing and both, whether the device can be opened."""
    tries = [OPEN.format(how, name) for how, name in (("<", "r"), (">>", "w"), ("<>", "rw"))]
    return container.lines("; ".join([MAKE, *tries, "true"]))


def can_read(container: Container) -> bool:
    """Ask in a container that runs."""
    call = container.exec("/bin/sh", "-c", ": < /node", check=False)
    return "permitted" not in call.err


def test_denied_by_default(container: Container) -> None:
    """GHSA-g54h-m393-cpwq: without any rule only the standard devices can be used."""
    assert opening(container) == []


def test_denied_by_default_with_resources(container: Container) -> None:
    assert opening(rules(container)) == []


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([DENY_ALL], []),
        ([DENY_ALL, NODE | {"access": "r"}], ["r"]),
        ([DENY_ALL, NODE | {"access": "w"}], ["w"]),
        ([NODE | {"access": "rw"}, DENY_ALL], []),
        ([DENY_ALL, NODE | {"access": "r"}, NODE | {"access": "w"}], ["r", "w", "rw"]),
        ([ALLOW_ALL], ["r", "w", "rw"]),
        ([ALLOW_ALL, NODE | {"allow": False, "access": "w"}], ["r"]),
        ([DENY_ALL, {"allow": True, "type": "c", "major": 10, "access": "rwm"}],
         ["r", "w", "rw"]),
        ([DENY_ALL, {"allow": True, "type": "b", "major": 10, "minor": 254, "access": "rwm"}], []),
    ],
)  # fmt: skip
def test_rules_in_order(container: Container, devices: list[Any], expected: list[str]) -> None:
    assert opening(rules(container, *devices)) == expected


def test_standard_devices_work(container: Container) -> None:
    out = container.sh(
        "head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/null && echo y;"
        "echo x 2>/dev/null > /dev/full || echo full; ls /dev/pts >/dev/null && echo pts"
    )
    assert out.split() == ["4", "4", "y", "full", "pts"]


def test_nodes_can_be_made_but_not_opened(container: Container) -> None:
    """mknod is allowed for all, as runc does; packages and archives hold device nodes."""
    assert "CAP_MKNOD" in CAPABILITIES
    out = container.sh("mknod /d b 8 0 && echo made; (: < /d) 2>&1 | grep -o permitted")
    assert out.split() == ["made", "permitted"]


@pytest.mark.requires("cgroup-v1")
def test_a_hole_that_v1_cannot_punch(container: Container) -> None:
    wide = {"allow": True, "type": "c", "major": 10, "access": "rw"}
    rules(container, DENY_ALL, wide, NODE | {"allow": False, "access": "r"})
    container.is_rejected("/linux/resources/devices/2", "not" if container.runtime.is_runc else "")


@pytest.mark.requires("cgroup-v2")
@pytest.mark.runc_deviates("runc refuses it as in v1")
def test_a_hole_in_v2(container: Container) -> None:
    wide = {"allow": True, "type": "c", "major": 10, "access": "rw"}
    rules(container, DENY_ALL, wide, NODE | {"allow": False, "access": "w"})
    assert opening(container) == ["r"]


@pytest.mark.runc_deviates("runc does not update devices")
def test_update_replaces_the_rules(container: Container) -> None:
    rules(container, DENY_ALL)
    container.up(f"{MAKE}; echo up; sleep 1000")
    assert not can_read(container)
    file = f"{container.bundle.path}/resources.json"
    for devices, allowed in (
        ([DENY_ALL, NODE | {"access": "r"}], True),
        ([DENY_ALL, NODE | {"access": "w"}], False),
        ([ALLOW_ALL], True),
        # What was configured: another list was in force meanwhile.
        ([DENY_ALL], False),
    ):
        with open(file, "w", encoding="utf-8") as stream:
            json.dump({"devices": devices}, stream)
        container.verb("update", "--resources", file)
        assert can_read(container) == allowed, devices
    if PURE_V2:
        from ocipy.sys.bpf_native import count_device_filters

        fd = os.open(path(container, "."), os.O_RDONLY)
        assert count_device_filters(fd) == 1
        os.close(fd)


def test_an_update_with_the_same_rules_takes_nothing_away(container: Container) -> None:
    """Kubernetes sends the list along; a hook may have allowed more meanwhile."""
    rules(container, DENY_ALL)
    container.up(f"{MAKE}; echo up; sleep 1000")
    if not PURE_V2:
        with open(path(container, "devices.allow"), "w", encoding="utf-8") as stream:
            stream.write("c 10:254 r")
        file = f"{container.bundle.path}/resources.json"
        with open(file, "w", encoding="utf-8") as stream:
            json.dump({"devices": [DENY_ALL]}, stream)
        container.verb("update", "--resources", file)
        assert can_read(container)
