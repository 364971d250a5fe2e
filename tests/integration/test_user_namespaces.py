"""User namespaces, alone and with others joined; config-linux.md#user-namespace-mappings."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bundles import with_namespace
from tests.integration.containers import Container, wait_until
from tests.integration.namespaces import FILES, SLEEPERS, map_ids, namespace, up_and_sharing

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates


def test_all_of_them(container: Container) -> None:
    with_namespace(container.config, "cgroup")
    map_ids(container)
    pid = container.up()
    for kind in set(FILES) - {"time"}:
        assert namespace(pid, kind) != namespace("self", kind), kind


@runc_deviates("1.1 wants mappings beside the path")
def test_joined_user_namespace(
    container: Container, make_container: Callable[[], Container]
) -> None:
    first, other = up_and_sharing(container, make_container)
    with_namespace(other.config, "user", f"/proc/{first}/ns/user")
    second = other.up("cat /proc/self/uid_map; exec sleep 1000")
    assert namespace(second, "user") == namespace(first, "user")
    assert other.created.out.split() == ["0", "100000", "65536"]


@pytest.mark.parametrize("kinds", [("network",), ("network", "ipc"), ("ipc", "uts")], ids="+".join)
def test_new_user_namespace_and_joined_others(
    container: Container,
    sleeper: Callable[..., subprocess.Popen[bytes]],
    kinds: tuple[str, ...],
) -> None:
    """The joined ones belong to the runtime's user namespace, so they come before the new one."""
    owner = sleeper(*(SLEEPERS[kind] for kind in kinds))
    map_ids(container)
    container.config.pop("hostname")
    for kind in kinds:
        with_namespace(container.config, kind, f"/proc/{owner.pid}/ns/{FILES[kind]}")
    container.config["mounts"] = [
        m for m in container.config["mounts"] if m["type"] not in ("sysfs", "mqueue")
    ]
    pid = container.up()
    for kind in kinds:
        assert namespace(pid, kind) == namespace(owner.pid, kind), kind
    assert namespace(pid, "user") != namespace("self", "user")


@runc_deviates("1.1 wants mappings beside the path")
def test_pod_with_a_user_namespace(
    container: Container, make_container: Callable[[], Container]
) -> None:
    """User and network namespace joined together, where the first owns the second."""
    map_ids(container)
    first = container.up()
    other = make_container()
    map_ids(other)
    del other.linux["uidMappings"], other.linux["gidMappings"], other.config["hostname"]
    kinds = ("user", "network", "ipc", "uts")
    for kind in kinds:
        with_namespace(other.config, kind, f"/proc/{first}/ns/{FILES[kind]}")
    second = other.up("id -u; hostname; exec sleep 1000")
    for kind in kinds:
        assert namespace(second, kind) == namespace(first, kind), kind
    assert namespace(second, "pid") != namespace(first, "pid")
    wait_until(lambda: other.created.out.count("\n") == 2, "the second's words")
    assert other.created.out == "0\nhost0\n"


@pytest.mark.parametrize("options", [("uid", "gid"), ("uid",)], ids="+".join)
def test_id_mappings(container: Container, options: tuple[str, ...]) -> None:
    map_ids(container, 200000, 1000)
    container.linux["uidMappings"].append({"containerID": 5000, "hostID": 0, "size": 1})
    if "gid" not in options:
        del container.linux["gidMappings"]
        call = container.create(check=False)
        assert call.status == 1, call
        return
    pid = container.up("cat /proc/self/uid_map /proc/self/gid_map; exec sleep 1000")
    wait_until(lambda: container.created.out.count("\n") == 3, "the maps")
    maps = [line.split() for line in container.created.out.splitlines()]
    assert maps == [["0", "200000", "1000"], ["5000", "0", "1"], ["0", "200000", "1000"]]
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        assert "Uid:\t200000\t200000\t200000\t200000" in status.read()


def test_root_of_a_user_namespace_owns_what_is_made_for_it(container: Container) -> None:
    map_ids(container)
    out = container.sh("touch /new /dev/shm/x; stat -c '%u:%g' /new /dev/shm/x /dev/null /dev/pts")
    owners = out.splitlines()
    assert owners[:2] == ["0:0", "0:0"]
    assert os.stat(f"{container.bundle.rootfs}/new").st_uid == 100000


def test_user_of_a_user_namespace(container: Container) -> None:
    map_ids(container)
    container.process["user"] = {"uid": 7, "gid": 8, "additionalGids": [9]}
    pid = container.up("id; exec sleep 1000")
    assert "uid=7 gid=8" in container.created.out
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        text = status.read()
    assert "Uid:\t100007" in text
    assert "Gid:\t100008" in text


def test_an_unmapped_user(container: Container) -> None:
    map_ids(container, size=10)
    container.process["user"] = {"uid": 10, "gid": 0}
    container.is_rejected("/process/user")


def test_user_namespace_without_mappings(container: Container) -> None:
    with_namespace(container.config, "user")
    container.is_rejected("/linux/")


@runc_deviates("1.1 silently takes mappings without a user namespace")
def test_mappings_without_a_user_namespace(container: Container) -> None:
    container.linux["uidMappings"] = [{"containerID": 0, "hostID": 1, "size": 1}]
    container.is_rejected("/linux/uidMappings")
