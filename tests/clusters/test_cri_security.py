"""Security contexts of pods and containers, as a kubelet sends them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.clusters.cri import IDLE

if TYPE_CHECKING:
    from tests.clusters.cri import Node

POD, CONTAINER, HOST, TARGET = range(4)
UNCONFINED, LOCALHOST = 1, 2
DEFAULT = 0


def start(node: Node, name: str, **context: Any) -> str:
    return node.start_container(
        node.run_pod(name), "main", IDLE, linux={"security_context": context}
    )


def test_user_group_and_supplemental_groups(node: Node, name: str) -> None:
    container = start(
        node, name,
        run_as_user={"value": 1000}, run_as_group={"value": 3000}, supplemental_groups=[4000, 5000],
    )  # fmt: skip
    assert node.output(container, "id -u; id -g") == "1000\n3000"
    groups = node.output(container, "grep Groups /proc/self/status").split()[1:]
    assert {"4000", "5000"} <= set(groups)


def test_user_by_name(node: Node, name: str) -> None:
    container = start(node, name, run_as_username="app")
    assert node.output(container, "id -u; id -g") == "1000\n1000"


def test_capabilities(node: Node, name: str) -> None:
    container = start(
        node, name,
        capabilities={"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["CHOWN", "KILL"]},
    )  # fmt: skip
    bounding = int(node.output(container, "grep CapBnd /proc/self/status").split()[1], 16)
    assert bounding >> 12 & 1, "NET_ADMIN"
    assert not bounding & 1, "CHOWN"
    assert not bounding >> 5 & 1, "KILL"
    assert "not permitted" in node.output(container, "touch /tmp/x; chown 5 /tmp/x").lower()


def test_all_capabilities_dropped(node: Node, name: str) -> None:
    container = start(node, name, capabilities={"drop_capabilities": ["ALL"]})
    told = node.output(container, "grep -E 'Cap(Bnd|Eff|Prm|Inh|Amb)' /proc/self/status")
    assert {int(line.split()[1], 16) for line in told.splitlines()} == {0}


def test_no_new_privileges(node: Node, name: str) -> None:
    container = start(node, name, no_new_privs=True)
    assert node.output(container, "grep NoNewPrivs /proc/self/status").split()[1] == "1"


def test_readonly_root(node: Node, name: str) -> None:
    container = start(node, name, readonly_rootfs=True)
    assert "Read-only" in node.output(container, "touch /new")
    assert node.output(container, "touch /dev/shm/new && echo fine") == "fine"


def test_masked_and_readonly_paths(node: Node, name: str) -> None:
    container = start(node, name, masked_paths=["/proc/version"], readonly_paths=["/proc/sys"])
    assert node.output(container, "head -c 1 /proc/version | wc -c") == "0"
    assert "Read-only" in node.output(container, "echo 1 > /proc/sys/kernel/domainname")


def test_unmasked_paths(node: Node, name: str) -> None:
    """procMount: Unmasked gives empty lists."""
    container = start(node, name)
    mounted = node.output(container, "grep -c ' /proc/' /proc/mounts")
    assert mounted == "0"


SECCOMP = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 93}],
}


@pytest.mark.parametrize("kind", ["default", "unconfined", "localhost"])
def test_seccomp(node: Node, name: str, kind: str) -> None:
    profile = f"{node.directory}/profile-{name}.json"
    with open(profile, "w", encoding="utf-8") as file:
        json.dump(SECCOMP, file)
    os.chmod(profile, 0o644)
    asked = {
        "default": {"profile_type": DEFAULT},
        "unconfined": {"profile_type": UNCONFINED},
        "localhost": {"profile_type": LOCALHOST, "localhost_ref": profile},
    }[kind]
    container = start(node, name, seccomp=asked)
    mode = node.output(container, "grep Seccomp: /proc/self/status").split()[1]
    assert mode == ("0" if kind == "unconfined" else "2")
    told = node.output(container, "mkdir /tmp/new && echo made")
    assert ("not supported" in told) if kind == "localhost" else (told == "made")


def test_error_of_a_missing_seccomp_profile(node: Node, name: str) -> None:
    pod = node.run_pod(name)
    asked = {"seccomp": {"profile_type": LOCALHOST, "localhost_ref": "/nonexistent.json"}}
    with pytest.raises(grpc.RpcError) as failure:
        node.start_container(pod, "main", IDLE, linux={"security_context": asked})
    assert "/nonexistent.json" in str(failure.value.details())


def test_sysctls_of_the_pod(node: Node, name: str) -> None:
    pod = node.run_pod(name, linux={"sysctls": {"net.ipv4.ip_unprivileged_port_start": "99"}})
    container = node.start_container(pod, "main", IDLE)
    assert node.output(container, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start") == "99"


def test_error_of_a_sysctl_that_belongs_to_the_host(node: Node, name: str) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        node.run_pod(name, linux={"sysctls": {"kernel.panic": "1"}})
    assert "kernel.panic" in str(failure.value.details())


def namespaces(node: Node, container: str) -> dict[str, str]:
    kinds = ("pid", "ipc", "net", "uts", "mnt")
    told = node.output(container, f"for n in {' '.join(kinds)}; do readlink /proc/self/ns/$n; done")
    return dict(zip(kinds, told.split(), strict=True))


@pytest.mark.parametrize("mode", [POD, CONTAINER], ids=["pod", "container"])
def test_pid_sharing(node: Node, name: str, mode: int) -> None:
    options = {"namespace_options": {"pid": mode}}
    pod = node.run_pod(name, linux={"security_context": options})
    both = [
        node.start_container(pod, each, IDLE, linux={"security_context": options})
        for each in ("one", "two")
    ]
    one, two = (namespaces(node, container) for container in both)
    assert (one["pid"] == two["pid"]) is (mode == POD)
    assert {one[kind] == two[kind] for kind in ("net", "ipc", "uts")} == {True}
    assert one["mnt"] != two["mnt"]
    first = node.output(both[0], "cat /proc/1/cmdline").replace("\0", " ")
    assert first.startswith("/bin/sleep" if mode == POD else "/bin/sh -c")


def test_pid_namespace_of_another_container(node: Node, name: str) -> None:
    """As an ephemeral container of `kubectl debug --target` joins."""
    pod = node.run_pod(name)
    alone = {"namespace_options": {"pid": CONTAINER}}
    main = node.start_container(pod, "main", IDLE, linux={"security_context": alone})
    target = {"namespace_options": {"pid": TARGET, "target_id": main}}
    debug = node.start_container(pod, "debug", IDLE, linux={"security_context": target})
    assert namespaces(node, debug)["pid"] == namespaces(node, main)["pid"]


def test_namespaces_of_the_node(node: Node, name: str) -> None:
    options = {"namespace_options": {"network": HOST, "pid": HOST, "ipc": HOST}}
    # A kubelet names no host name here: it is the node's.
    pod = node.run_pod(name, hostname="", linux={"security_context": options})
    container = node.start_container(pod, "main", IDLE, linux={"security_context": options})
    inside = namespaces(node, container)
    outside = node.room.output("sh", "-c", "readlink /proc/self/ns/pid; readlink /proc/1/ns/net")
    assert [inside["pid"], inside["net"]] == outside.split()


def test_privileged(node: Node, name: str) -> None:
    """containerd 1.6 asks for the capabilities that it has itself, so it needs no others here."""
    context = {"privileged": True}
    pod = node.run_pod(name, linux={"security_context": context})
    container = node.start_container(pod, "main", IDLE, linux={"security_context": context})
    assert node.output(container, "mount -t tmpfs x /mnt && echo fine") == "fine"


def test_user_namespace(node: Node, name: str) -> None:
    mapping = {"host_id": 200000, "container_id": 0, "length": 65536}
    asked = {"mode": POD, "uids": [mapping], "gids": [mapping]}
    context = {"namespace_options": {"userns_options": asked}}
    pod = node.run_pod(name, linux={"security_context": context})
    container = node.start_container(pod, "main", IDLE, linux={"security_context": context})
    mapped = node.output(container, "cat /proc/self/uid_map").split()
    if mapped[1] == "0":
        pytest.skip("this containerd passes over userns_options: 1.7 is the first to read them")
    assert mapped == ["0", "200000", "65536"]


def test_device(node: Node, name: str) -> None:
    device = {"container_path": "/dev/other", "host_path": "/dev/null", "permissions": "rw"}
    container = node.start_container(node.run_pod(name), "main", IDLE, devices=[device])
    assert node.output(container, "echo x > /dev/other && stat -c %t:%T /dev/other") == "1:3"
