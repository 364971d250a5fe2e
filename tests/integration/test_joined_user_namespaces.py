"""User namespaces that are joined together with others, and what root of one may do."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.bundles import with_namespace
from tests.integration.namespaces import FILES, map_ids, namespace, up_and_sharing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.containers import Container

KINDS = ("user", "network", "ipc", "pid")
# Linux has (uid_t)-1 for "no id": the last range of 65536 ends before it.
HIGHEST = (1 << 32) - 1 - 65536


def join(container: Container, kinds: tuple[str, ...], pid: int) -> None:
    """Let the container join these namespaces of a process, listed in this order, and first."""
    joined = [{"type": kind, "path": f"/proc/{pid}/ns/{FILES[kind]}"} for kind in kinds]
    others = [ns for ns in container.linux["namespaces"] if ns["type"] not in kinds]
    container.linux["namespaces"] = joined + others
    # What shows a joined namespace may be mounted, as the user namespace owns all of them.
    container.process["user"] = {"uid": 0, "gid": 0}


@pytest.mark.runc_deviates("1.1 wants mappings beside the path")
def test_listed_in_every_order(
    container: Container, make_container: Callable[[], Container]
) -> None:
    """The order in which config.json lists them is not that in which they must be joined."""
    first, other = up_and_sharing(container, make_container)
    for kinds in itertools.permutations(KINDS):
        join(other, kinds, first)
        other.args("/bin/sh", "-c", "for n in user net ipc pid; do readlink /proc/self/ns/$n; done")
        found = other.run().out.split()
        assert found == [namespace(first, kind) for kind in KINDS], kinds


@pytest.mark.runc_deviates("1.1 wants mappings beside the path")
@pytest.mark.parametrize(
    "kinds",
    [
        ("user", *kinds)
        for count in range(4)
        for kinds in itertools.combinations(("network", "ipc", "uts"), count)
    ],
    ids="+".join,
)
def test_some_joined_and_the_others_new(
    container: Container, make_container: Callable[[], Container], kinds: tuple[str, ...]
) -> None:
    """New namespaces beside joined ones belong to the joined user namespace."""
    first, other = up_and_sharing(container, make_container)
    other.config.pop("hostname", None)
    join(other, kinds, first)
    second = other.up()
    for kind in ("user", "network", "ipc", "uts"):
        assert (namespace(second, kind) == namespace(first, kind)) == (kind in kinds), kind
    call = other.exec("/bin/sh", "-c", "readlink /proc/self/ns/user; id -u")
    assert call.out.split() == [namespace(first, "user"), "0"]


def test_root_mapped_to_the_highest_ids(container: Container) -> None:
    map_ids(container, HIGHEST)
    pid = container.up("touch /new /tmp/x && echo up; exec sleep 1000")
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        assert f"Uid:\t{HIGHEST}\t{HIGHEST}" in status.read()
    assert os.stat(f"{container.bundle.rootfs}/new").st_uid == HIGHEST
    assert container.exec("/bin/id", "-u").out == "0\n"


@pytest.mark.parametrize(
    ("sysctl", "value"), [("kernel.msgmax", "4321"), ("net.ipv4.ip_unprivileged_port_start", "81")]
)
def test_sysctls_of_its_own_namespaces(container: Container, sysctl: str, value: str) -> None:
    map_ids(container)
    container.linux["sysctl"] = {sysctl: value}
    path = sysctl.replace(".", "/")
    with open(f"/proc/sys/{path}", encoding="utf-8") as file:
        before = file.read()
    assert container.sh(f"cat /proc/sys/{path}") == value
    with open(f"/proc/sys/{path}", encoding="utf-8") as file:
        assert file.read() == before, "the host's"


@pytest.mark.runc_deviates("1.1 looks for the host's device by the path in the container")
def test_devices_are_bound(container: Container) -> None:
    """Nobody can make one in a user namespace: what is asked for is the host's own."""
    map_ids(container)
    device: dict[str, Any] = {"path": "/dev/other", "type": "c", "major": 1, "minor": 5}
    container.linux["devices"] = [device]
    with_namespace(container.config, "cgroup")
    out = container.sh(
        "stat -c '%t:%T %u' /dev/other /dev/null; head -c 3 /dev/zero | wc -c; echo x > /dev/null"
    )
    lines = out.split()
    assert lines[0] == "1:5"
    assert lines[2] == "1:3"
    assert lines[-1] == "3"
