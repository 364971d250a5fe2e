"""Eight namespaces, new, joined by path, or the runtime's own; config-linux.md#namespaces."""

from __future__ import annotations

import itertools
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bundles import with_namespace, without_namespace
from tests.integration.containers import Container, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates

# The types of config.json and their names in /proc/PID/ns.
FILES = {
    "cgroup": "cgroup",
    "ipc": "ipc",
    "mount": "mnt",
    "network": "net",
    "pid": "pid",
    "time": "time",
    "user": "user",
    "uts": "uts",
}


def namespace(pid: int | str, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{FILES[kind]}")


def only_namespaces(container: Container, *kinds: str) -> None:
    without_namespace(container.config, *FILES)
    if "uts" in kinds:
        container.config["hostname"] = "host0"
    for kind in kinds:
        with_namespace(container.config, kind)
    # A new instance of these needs a namespace that is the container's.
    container.config["mounts"] = [
        entry
        for entry in container.config["mounts"]
        if entry["type"] != "sysfs" and (entry["type"] != "mqueue" or "ipc" in kinds)
    ]


def map_ids(container: Container, host: int = 100000, size: int = 65536) -> None:
    """Give the container a user namespace whose root is `host`."""
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": host, "size": size}]
    container.linux["uidMappings"] = mapping
    container.linux["gidMappings"] = list(mapping)
    for directory, directories, files in os.walk(container.bundle.rootfs):
        for name in (".", *directories, *files):
            path = f"{directory}/{name}"
            if os.stat(path, follow_symlinks=False).st_nlink == 1 or os.path.isdir(path):
                os.chown(path, host, host, follow_symlinks=False)


MIXTURES = [
    kinds
    for count in range(7)
    for kinds in itertools.combinations(("cgroup", "ipc", "network", "pid", "uts"), count)
    if count in (0, 1, 4, 5)
]


@pytest.mark.parametrize("kinds", MIXTURES, ids="+".join)
def test_new_ones_are_new_and_others_are_ours(container: Container, kinds: tuple[str, ...]) -> None:
    only_namespaces(container, "mount", *kinds)
    pid = container.up()
    for kind in FILES:
        if kind == "time" and not os.path.exists("/proc/self/ns/time"):
            continue
        fresh = namespace(pid, kind) != namespace("self", kind)
        assert fresh == (kind in (*kinds, "mount")), kind


def test_all_of_them(container: Container) -> None:
    with_namespace(container.config, "cgroup")
    map_ids(container)
    pid = container.up()
    for kind in set(FILES) - {"time"}:
        assert namespace(pid, kind) != namespace("self", kind), kind


SLEEPERS = {
    "network": "--net",
    "ipc": "--ipc",
    "uts": "--uts",
    "cgroup": "--cgroup",
}


@pytest.mark.parametrize(
    "kinds",
    [kinds for count in (1, 2, 4) for kinds in itertools.combinations(sorted(SLEEPERS), count)],
    ids="+".join,
)
def test_joined_by_path(
    container: Container,
    sleeper: Callable[..., subprocess.Popen[bytes]],
    kinds: tuple[str, ...],
) -> None:
    owner = sleeper(*(SLEEPERS[kind] for kind in kinds))
    container.config.pop("hostname")
    for kind in kinds:
        with_namespace(container.config, kind, f"/proc/{owner.pid}/ns/{FILES[kind]}")
    pid = container.up()
    for kind in ("network", "ipc", "uts", "pid", "mount"):
        joined = namespace(pid, kind) == namespace(owner.pid, kind)
        assert joined == (kind in kinds), kind
        assert namespace(pid, kind) != namespace("self", kind)


def test_join_through_a_bind_mounted_file(
    container: Container, sleeper: Callable[..., subprocess.Popen[bytes]], directory: str
) -> None:
    """As `ip netns` and the engines keep network namespaces."""
    owner = sleeper("--net")
    path = f"{directory}/netns"
    with open(path, "w", encoding="utf-8"):
        pass
    subprocess.run(["mount", "--bind", f"/proc/{owner.pid}/ns/net", path], check=True)
    try:
        with_namespace(container.config, "network", path)
        pid = container.up()
        assert namespace(pid, "network") == namespace(owner.pid, "network")
        container.kill_and_wait()
        container.delete()
    finally:
        subprocess.run(["umount", path], check=True)


def test_join_of_all_but_mount_from_another_container(
    container: Container, make_container: Callable[[], Container]
) -> None:
    """A pod: the second container lives in the first one's namespaces."""
    first = container.up()
    other = make_container()
    other.config.pop("hostname")
    kinds = ("pid", "network", "ipc", "uts")
    for kind in kinds:
        with_namespace(other.config, kind, f"/proc/{first}/ns/{FILES[kind]}")
    second = other.up("hostname; exec sleep 1000")
    for kind in kinds:
        assert namespace(second, kind) == namespace(first, kind), kind
    assert namespace(second, "mount") != namespace(first, "mount")
    assert other.created.out == "host0\n"
    other.kill("KILL")
    assert other.wait(second) == 137
    other.delete()
    assert container.status == "running"


def test_a_joined_pid_namespace_whose_init_dies(
    container: Container, make_container: Callable[[], Container]
) -> None:
    first = container.up()
    other = make_container()
    with_namespace(other.config, "pid", f"/proc/{first}/ns/pid")
    second = other.up()
    container.kill("KILL")
    # The first one's exit waits until this one is reaped, as it is the last of the namespace.
    assert other.wait(second) == 137
    container.wait(first)
    assert other.status == "stopped"


@runc_deviates("1.1 wants mappings beside the path")
def test_joined_user_namespace(
    container: Container, make_container: Callable[[], Container]
) -> None:
    map_ids(container)
    first = container.up()
    other = make_container()
    map_ids(other)
    del other.linux["uidMappings"], other.linux["gidMappings"]
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
    assert other.created.out == "0\nhost0\n"


def test_our_own_namespace_by_path(container: Container) -> None:
    with_namespace(container.config, "network", "/proc/self/ns/net")
    pid = container.up()
    assert namespace(pid, "network") == namespace("self", "network")


@pytest.mark.parametrize(
    ("kind", "path", "text"),
    [
        ("network", "/nonexistent/ns", "no such file"),
        ("network", "/proc/self/ns/uts", ""),
        ("network", "/etc/passwd", ""),
        ("network", "relative/path", ""),
        ("uts", "/proc/self/ns/net", ""),
    ],
)
def test_wrong_paths(container: Container, kind: str, path: str, text: str) -> None:
    """config-linux.md#namespaces: a path that is no namespace of the type MUST be an error."""
    container.config.pop("hostname")
    with_namespace(container.config, kind, path)
    index = len(container.linux["namespaces"]) - 1
    container.is_rejected(f"/linux/namespaces/{index}", text)


@pytest.mark.parametrize("kind", ["network", "pid", "mount"])
def test_duplicates(container: Container, kind: str) -> None:
    container.linux["namespaces"].append({"type": kind})
    container.is_rejected(f"/linux/namespaces/{len(container.linux['namespaces']) - 1}")


def test_unknown_type(container: Container) -> None:
    container.linux["namespaces"].append({"type": "banana"})
    container.is_rejected("/linux/namespaces/5/type", "banana")


def test_loopback_is_up_in_a_new_network_namespace(container: Container) -> None:
    out = container.sh("ip addr show dev lo; ping -c1 -W2 127.0.0.1 > /dev/null && echo reachable")
    assert "LOOPBACK,UP" in out
    assert "127.0.0.1/8" in out
    assert "reachable" in out


def test_a_joined_network_namespace_is_left_as_it_is(
    container: Container, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    owner = sleeper("--net")
    with_namespace(container.config, "network", f"/proc/{owner.pid}/ns/net")
    assert "UP" not in container.sh("ip link show dev lo").split(">")[0].replace("LOOPBACK", "")


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
