"""Three machines on one: dockerds in rooms of their own, on one network, joined to a swarm.

Services use their node's network (`--network host`): what a swarm lays between machines for them is
Docker's work alone.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from tests.clients.engines import IMAGE, Docker
from tests.clients.room import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

# Times are those of three daemons and their containers on two slow cores.
SECONDS = 300
SUBNET = "10.177.0"


class SwarmNode(Docker):
    """One machine; number 1 is the manager, and holds the bridge that joins all of them."""

    programs = (*Docker.programs, "ip")

    def __init__(self, directory: str, runtime: str, tag: str, number: int) -> None:
        os.makedirs(directory, exist_ok=True)
        super().__init__(directory, runtime, f"{tag}n{number}")
        self.number, self.hostname = number, f"node{number}"
        self.address = f"{SUBNET}.{number}"

    def docker(self, *words: str) -> str:
        return self.room.output("docker", *words)


def ip(room_pid: int, *words: str) -> None:
    """Run ip(8) in the network namespace of a room, but in the host's pid namespace."""
    subprocess.run(
        ["nsenter", "-t", str(room_pid), "-n", "ip", *words], check=True, stdin=subprocess.DEVNULL
    )


class Swarm:
    """The machines, from `with` to its end; `tag` begins the name of all that they make."""

    def __init__(self, directory: str, runtime: str, tag: str, size: int = 3) -> None:
        self.nodes = [
            SwarmNode(f"{directory}/node{number}", runtime, tag, number)
            for number in range(1, size + 1)
        ]
        self.manager = self.nodes[0]
        self.lost: list[SwarmNode] = []
        self._rooms = {node.number: ExitStack() for node in self.nodes}

    def __enter__(self) -> Self:
        for node in self.nodes:
            self._rooms[node.number].enter_context(node.room)
            node.room.run("hostname", node.hostname, check=True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for stack in self._rooms.values():
            stack.close()

    def start(self, rootfs: str) -> None:
        """Lay the network, start the daemons, join them."""
        switch = self.manager.room.pid
        ip(switch, "link", "add", "bridge0", "type", "bridge")
        ip(switch, "addr", "add", f"{self.manager.address}/24", "dev", "bridge0")
        ip(switch, "link", "set", "bridge0", "up")
        for node in self.nodes[1:]:
            port, pid = f"port{node.number}", node.room.pid
            there = ("peer", "name", "eth0", "netns", str(pid))
            ip(switch, "link", "add", port, "type", "veth", *there)
            ip(switch, "link", "set", port, "master", "bridge0", "up")
            ip(pid, "addr", "add", f"{node.address}/24", "dev", "eth0")
            ip(pid, "link", "set", "eth0", "up")
        for node in self.nodes:
            node.start(rootfs)
        self.manager.docker(
            "swarm", "init", "--advertise-addr", self.manager.address,
            "--dispatcher-heartbeat", "3s",
        )  # fmt: skip
        token = self.manager.docker("swarm", "join-token", "-q", "worker")
        for node in self.nodes[1:]:
            node.docker(
                "swarm", "join", "--token", token, "--advertise-addr", node.address,
                f"{self.manager.address}:2377",
            )  # fmt: skip

    def create(self, name: str, *words: str, command: tuple[str, ...]) -> None:
        """Create a service; does not wait for its tasks."""
        self.manager.docker(
            "service", "create", "--detach", "--quiet", "--no-resolve-image", "--network", "host",
            "--name", name, *words, IMAGE, *command,
        )  # fmt: skip

    def tasks(self, name: str) -> list[dict[str, str]]:
        """Return the tasks that should run, as `docker service ps` shows them."""
        listed = self.manager.docker(
            "service", "ps", "--no-trunc", "--filter", "desired-state=running",
            "--format", "{{json .}}", name,
        )  # fmt: skip
        return [json.loads(line) for line in listed.splitlines()]

    def running(self, name: str) -> list[str]:
        """Return the node of each running task, sorted."""
        return sorted(
            task["Node"] for task in self.tasks(name) if task["CurrentState"].startswith("Running")
        )

    def wait_running(self, name: str, count: int) -> None:
        wait_until(
            lambda: len(self.running(name)) == count, f"{name} has {count} running tasks", SECONDS
        )

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        wait_until(condition, what, SECONDS)

    def containers(self) -> int:
        """How many containers' processes there are on all nodes, by their shims."""
        return sum(
            "containerd-shim" in command
            for node in self.alive()
            for command in node.room.processes().values()
        )

    def kill_node(self, number: int) -> None:
        """Pull the plug: every process of the machine dies at once, with its interfaces."""
        self._rooms.pop(number).close()
        self.lost.append(self.nodes[number - 1])

    def alive(self) -> list[SwarmNode]:
        return [node for node in self.nodes if node not in self.lost]

    def remove(self, name: str) -> None:
        """Remove a service, and wait until its last container has gone."""
        self.manager.docker("service", "rm", name)
        self.wait(lambda: self.containers() == 0, f"the containers of {name} are gone")

    def remains(self) -> list[str]:
        return [f"{node.hostname}: {left}" for node in self.alive() for left in node.remains()]
