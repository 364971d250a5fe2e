"""Eight namespaces, new, joined by path, or the runtime's own; config-linux.md#namespaces."""

from __future__ import annotations

import itertools
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bundles import with_namespace, without_namespace
from tests.integration.containers import Container
from tests.integration.namespaces import FILES, SLEEPERS, namespace

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates


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
