"""Pods as a kubelet runs them, by containerd's CRI plugin with the runtime under test."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.clients.room import wait_until
from tests.clusters.cri import IDLE, IMAGE, SLEEP

if TYPE_CHECKING:
    from tests.clusters.cri import Node

RUNNING, EXITED = 1, 2


def test_pod_with_two_containers_shares_its_network_and_logs(node: Node, name: str) -> None:
    pod = node.run_pod(name)
    serve = "while :; do echo hello | nc -l -p 80; done"
    node.start_container(pod, "server", ["/bin/sh", "-c", serve])
    ask = "until nc 127.0.0.1 80 </dev/null; do sleep 0.1; done; echo problem >&2; hostname; exit 7"
    client = node.start_container(pod, "client", ["/bin/sh", "-c", ask])
    assert node.wait_exit(client) == 7
    lines = node.log_lines(pod, "client")
    assert [line for stream, line in lines if stream == "stdout"] == ["hello", name]
    assert ("stderr", "problem") in lines
    assert node.status(client).reason == "Error"


def test_pods_reach_each_other_by_address(node: Node, name: str) -> None:
    server = node.run_pod(f"{name}-a")
    node.start_container(server, "server", ["/bin/sh", "-c", "echo from-a | nc -l -p 80"])
    address = node.call("PodSandboxStatus", pod_sandbox_id=server[0]).status.network.ip
    other = node.run_pod(f"{name}-b")
    ask = f"until nc {address} 80 </dev/null | grep from-a; do sleep 0.1; done"
    client = node.start_container(other, "client", ["/bin/sh", "-c", ask])
    assert node.wait_exit(client) == 0


def test_handler_of_a_runtime_class(node: Node, name: str) -> None:
    pod = node.run_pod(name, handler="second")
    assert node.call("PodSandboxStatus", pod_sandbox_id=pod[0]).status.runtime_handler == "second"
    container = node.start_container(pod, "main", IDLE)
    assert node.output(container, "echo $((6 * 7))") == "42"
    with pytest.raises(grpc.RpcError) as failure:
        node.run_pod(f"{name}-none", handler="nowhere")
    assert 'no runtime for "nowhere"' in str(failure.value.details())


def test_exec_sync(node: Node, name: str) -> None:
    container = node.start_container(node.run_pod(name), "main", IDLE)
    script = "echo out; echo err >&2; exit 3"
    assert node.exec_sync(container, "/bin/sh", "-c", script) == (3, "out\n", "err\n")
    with pytest.raises(grpc.RpcError) as failure:
        node.exec_sync(container, "/bin/sleep", "1000", seconds=1)
    assert failure.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN)
    assert "timeout" in str(failure.value.details()) or "deadline" in str(failure.value.details())
    wait_until(lambda: "sleep 1000\n" not in node.output(container, "ps") + "\n", "it is killed")


def test_exec_of_a_missing_command_says_so(node: Node, name: str) -> None:
    container = node.start_container(node.run_pod(name), "main", IDLE)
    with pytest.raises(grpc.RpcError) as failure:
        node.exec_sync(container, "no-such-command")
    assert 'exec: "no-such-command": executable file not found in $PATH' in str(
        failure.value.details()
    )


def test_exec_streams(node: Node, name: str) -> None:
    container = node.start_container(node.run_pod(name), "main", IDLE)
    script = "read -r line; echo got $line; echo err >&2; exit 5"
    got = node.stream(
        "Exec", "some words\n",
        container_id=container, cmd=["/bin/sh", "-c", script], stdin=True, stdout=True, stderr=True,
    )  # fmt: skip
    assert got["1"] == "got some words\n"
    assert got["2"] == "err\n"
    status = json.loads(got["3"])
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "5"}]


def test_exec_on_a_terminal(node: Node, name: str) -> None:
    container = node.start_container(node.run_pod(name), "main", IDLE)
    got = node.stream(
        "Exec", "tty; exit\n", "# ",
        container_id=container, cmd=["/bin/sh"], stdin=True, stdout=True, tty=True,
    )  # fmt: skip
    assert "/dev/pts/" in got["1"]


def test_attach(node: Node, name: str) -> None:
    script = "while read -r line; do echo heard $line; done"
    container = node.start_container(
        node.run_pod(name), "main", ["/bin/sh", "-c", script], stdin=True
    )
    got = node.stream(
        "Attach", "one\nbye\n",
        container_id=container, stdin=True, stdout=True, stderr=True,
    )  # fmt: skip
    assert got["1"] == "heard one\nheard bye\n"


def test_port_forward(node: Node, name: str) -> None:
    pod = node.run_pod(name)
    serve = "read -r line; echo answer to $line, bye"
    serving = f"while :; do nc -l -p 8080 -e /bin/sh -c '{serve}'; done"
    container = node.start_container(pod, "main", ["/bin/sh", "-c", serving])
    wait_until(
        lambda: (
            ":8080"
            in node.output(
                container,
                "netstat -ltn 2>/dev/null || "
                "grep -q 1F90 /proc/net/tcp /proc/net/tcp6 && echo :8080",
            )
        ),
        "the port is open",
    )
    got = node.stream("PortForward", "question\n", pod_sandbox_id=pod[0], port=[8080])
    assert "answer to question, bye" in got["0"]


@pytest.mark.requires("controller:memory", "controller:cpu")
def test_update_and_stats(node: Node, name: str) -> None:
    pod = node.run_pod(name)
    limits = {"memory_limit_in_bytes": 64 << 20, "cpu_shares": 512, "cpu_quota": 50000}
    container = node.start_container(pod, "main", IDLE, linux={"resources": limits})
    read = (
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null;"
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null"
    )
    assert node.output(container, read).split()[:2] == [str(64 << 20), "50000"]
    more = {"memory_limit_in_bytes": 96 << 20, "cpu_quota": 70000, "cpu_period": 100000}
    node.call("UpdateContainerResources", container_id=container, linux=more)
    assert node.output(container, read).split()[:2] == [str(96 << 20), "70000"]
    wait_until(
        lambda: (
            node.call("ContainerStats", container_id=container).stats.memory.usage_bytes.value > 0
        ),
        "the memory in use is known",
    )
    listed = node.call("ListContainerStats", filter={"pod_sandbox_id": pod[0]}).stats
    assert [one.attributes.id for one in listed] == [container]
    assert listed[0].cpu.usage_core_nano_seconds.value > 0


def test_out_of_memory_is_the_reason(node: Node, name: str) -> None:
    limits = {"memory_limit_in_bytes": 16 << 20, "memory_swap_limit_in_bytes": 16 << 20}
    eat = "x=a; while :; do x=$x$x; done"
    container = node.start_container(
        node.run_pod(name), "main", ["/bin/sh", "-c", eat], linux={"resources": limits}
    )
    assert node.wait_exit(container) == 137
    wait_until(lambda: node.status(container).reason == "OOMKilled", "the reason is known")


def test_volume_of_the_image(node: Node, name: str) -> None:
    """What the image declares as a volume is a mount of its own, with the image's content."""
    container = node.start_container(node.run_pod(name), "main", IDLE)
    assert node.output(container, "grep -c ' /volume ' /proc/mounts; cat /volume/inside") == (
        "1\nfrom the image"
    )


@pytest.mark.parametrize("readonly", [False, True])
def test_mounts(node: Node, name: str, readonly: bool) -> None:
    shared = f"{node.directory}/shared-{name}"
    node.room.run("mkdir", shared, check=True)
    mount = {"container_path": "/shared", "host_path": shared, "readonly": readonly}
    container = node.start_container(node.run_pod(name), "main", IDLE, mounts=[mount])
    told = node.output(container, "echo x > /shared/x && cat /shared/x")
    assert ("Read-only" in told) if readonly else (told == "x")


@pytest.mark.parametrize(
    ("propagation", "seen_inside", "seen_outside"),
    [
        ("PROPAGATION_PRIVATE", False, False),
        ("PROPAGATION_HOST_TO_CONTAINER", True, False),
        ("PROPAGATION_BIDIRECTIONAL", True, True),
    ],
)
def test_mount_propagation(
    node: Node, name: str, propagation: str, seen_inside: bool, seen_outside: bool
) -> None:
    shared = f"{node.directory}/shared-{name}"
    setup = f"mkdir -p {shared} && mount -t tmpfs shared {shared} && mount --make-shared {shared}"
    node.room.run("sh", "-c", f"{setup} && mkdir {shared}/out {shared}/in", check=True)
    mount = {"container_path": "/shared", "host_path": shared, "propagation": propagation}
    added = {"capabilities": {"add_capabilities": ["SYS_ADMIN"]}}
    container = node.start_container(
        node.run_pod(name), "main", IDLE, mounts=[mount], linux={"security_context": added}
    )
    node.room.run("mount", "-t", "tmpfs", "later", f"{shared}/out", check=True)
    inside = node.output(container, "mount -t tmpfs own /shared/in; cat /proc/mounts")
    assert " /shared/in " in inside, inside
    assert (" /shared/out " in inside) is seen_inside
    outside = node.room.output("cat", "/proc/mounts")
    assert (f" {shared}/in " in outside) is seen_outside
    node.remove_all()
    node.room.run("umount", "-R", shared, check=True)


def test_containers_survive_a_restart_of_containerd(node: Node, name: str) -> None:
    pod = node.run_pod(name)
    script = "trap 'exit 4' TERM; echo ready; while :; do sleep 0.1; done"
    container = node.start_container(pod, "main", ["/bin/sh", "-c", script])
    wait_until(lambda: bool(node.log_lines(pod, "main")), "it is ready")
    ended = node.start_container(pod, "short", ["/bin/sh", "-c", "sleep 1; exit 6"])
    node.restart_containerd()
    assert node.call("PodSandboxStatus", pod_sandbox_id=pod[0]).status.state == 0
    assert node.status(container).state == RUNNING
    assert node.output(container, "echo again") == "again"
    assert node.wait_exit(ended) == 6
    node.call("StopContainer", container_id=container, timeout=60)
    assert node.status(container).exit_code == 4


def test_stop_asks_and_then_kills(node: Node, name: str) -> None:
    pod = node.run_pod(name)
    deaf = node.start_container(
        pod, "deaf", ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
    )
    node.call("StopContainer", container_id=deaf, timeout=1)
    assert node.status(deaf).exit_code == 137
    kind = node.start_container(
        pod, "kind", ["/bin/sh", "-c", "trap 'exit 9' TERM; echo x; while :; do sleep 0.1; done"]
    )
    wait_until(lambda: bool(node.log_lines(pod, "kind")), "it is ready")
    node.call("StopContainer", container_id=kind, timeout=60)
    assert node.status(kind).exit_code == 9


def test_log_is_reopened_after_rotation(node: Node, name: str) -> None:
    pod = node.run_pod(name)
    container = node.start_container(
        pod, "main", ["/bin/sh", "-c", "while :; do echo line; sleep 0.1; done"]
    )
    wait_until(lambda: bool(node.log_lines(pod, "main")), "it logs")
    path = f"{node.directory}/logs/{name}/main.log"
    node.room.run("mv", path, f"{path}.1", check=True)
    node.call("ReopenContainerLog", container_id=container)
    wait_until(lambda: bool(node.log_lines(pod, "main")), "it logs to the new file")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["no-such-command"], 'exec: "no-such-command": executable file not found in $PATH'),
        (["/etc/noexec"], "/etc/noexec"),
        (["/etc"], "/etc"),
    ],
)
def test_errors_of_start_name_the_cause(
    node: Node, name: str, command: list[str], text: str
) -> None:
    """What `kubectl describe pod` shows as the message of a RunContainerError."""
    pod = node.run_pod(name)
    container = node.create(pod, "main", command)
    with pytest.raises(grpc.RpcError) as failure:
        node.call("StartContainer", container_id=container)
    assert text in str(failure.value.details())
    assert "Traceback" not in str(failure.value.details())
    assert node.status(container).state == EXITED


def test_error_of_a_missing_image(node: Node, name: str) -> None:
    pod = node.run_pod(name)
    with pytest.raises(grpc.RpcError) as failure:
        node.create(pod, "main", SLEEP, image={"image": f"{IMAGE}-none"})
    assert "not found" in str(failure.value.details())


def test_error_of_a_mount_onto_what_is_no_directory(node: Node, name: str) -> None:
    mount = {"container_path": "/etc/passwd/below", "host_path": node.directory}
    pod = node.run_pod(name)
    container = node.create(pod, "main", SLEEP, mounts=[mount])
    with pytest.raises(grpc.RpcError) as failure:
        node.call("StartContainer", container_id=container)
    assert "/etc/passwd" in str(failure.value.details())
    assert "not a directory" in str(failure.value.details())


def test_many_pods_at_once(node: Node, name: str) -> None:
    def one(number: int) -> int:
        pod = node.run_pod(f"{name}-{number}")
        container = node.start_container(pod, "main", ["/bin/sh", "-c", f"exit {number}"])
        return node.wait_exit(container)

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(one, range(10))) == list(range(10))
