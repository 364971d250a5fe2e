"""Docker, podman and containerd with the runtime under test, each in a room of its own.

One class per client, with the same methods, so that one test asks the same of all three. Networks
are left out (`none`): they are the client's work, not the runtime's.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from tests.clients.room import Room, wait_until

if TYPE_CHECKING:
    from tests.clients.dialogue import Dialogue

IMAGE = "busybox"


class Engine:
    """What a test asks of a client. `name` is a container's name."""

    programs: tuple[str, ...] = ()
    # The state roots that the client uses or, where it leaves that to the runtime, may use.
    state_roots: tuple[str, ...] = ("/run/ocipy", "/run/runc", "/run/crun")

    def __init__(self, directory: str, runtime: str, tag: str) -> None:
        self.directory, self.runtime, self.tag = directory, runtime, tag
        self.room = Room(directory, self.environment())

    def environment(self) -> dict[str, str]:
        return {}

    def start(self, rootfs: str) -> None:
        """Start what the client needs, and import `rootfs` as the image."""
        raise NotImplementedError

    def interactive(self, name: str, *command: str) -> Dialogue:
        """`run -it`, removed at its end."""
        raise NotImplementedError

    def run(self, name: str, *command: str) -> tuple[int, str]:
        """Run in the foreground, removed at its end; return exit status and output with errors."""
        raise NotImplementedError

    def start_detached(self, name: str, *command: str) -> None:
        raise NotImplementedError

    def exec(self, name: str, *command: str) -> tuple[int, str]:
        raise NotImplementedError

    def logs(self, name: str) -> str:
        raise NotImplementedError

    def stop(self, name: str) -> int:
        """Send SIGTERM, wait for the end; return the container's exit status."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """Remove a container, running or not."""
        raise NotImplementedError

    def daemons(self) -> str:
        """A regular expression of the command lines that belong to no container."""
        return "$^"

    def remains(self) -> list[str]:
        """What should not be there when no container is: processes, state, cgroups."""
        left = [
            f"process {pid}: {command}"
            for pid, command in self.room.processes().items()
            if not re.match(self.daemons(), command)
        ]
        for root in self.state_roots:
            left += [f"state {root}/{name}" for name in self.room.run("ls", root).stdout.split()]
        # podman itself keeps one cgroup, "conmon"
        found = self.room.run("find", "/sys/fs/cgroup", "-type", "d", "-path", f"*/{self.tag}/*")
        left += [f"cgroup {path}" for path in found.stdout.split() if "/conmon" not in path]
        return left

    def _result(self, *command: str) -> tuple[int, str]:
        done = self.room.run(*command)
        return done.returncode, (done.stdout + done.stderr).strip()


class DockerLike(Engine):
    """What docker and podman have the same words for; `program` is the client."""

    program: str

    def _run(self, name: str) -> tuple[str, ...]:
        """Return the command line of `run`, up to the name."""
        raise NotImplementedError

    def interactive(self, name: str, *command: str) -> Dialogue:
        return self.room.talk(*self._run(name), "-it", "--rm", IMAGE, *command)

    def run(self, name: str, *command: str) -> tuple[int, str]:
        return self._result(*self._run(name), "--rm", IMAGE, *command)

    def start_detached(self, name: str, *command: str) -> None:
        self.room.run(*self._run(name), "-d", IMAGE, *command, check=True)

    def exec(self, name: str, *command: str) -> tuple[int, str]:
        return self._result(self.program, "exec", name, *command)

    def logs(self, name: str) -> str:
        return self.room.output(self.program, "logs", name)

    def stop(self, name: str) -> int:
        self.room.run(self.program, "stop", "-t", "20", name, check=True)
        return int(self.room.output(self.program, "inspect", "-f", "{{.State.ExitCode}}", name))


class Docker(DockerLike):
    program = "docker"
    daemon = "dockerd"
    programs: tuple[str, ...] = ("docker", "dockerd", "containerd", "containerd-shim-runc-v2")

    def __init__(self, directory: str, runtime: str, tag: str) -> None:
        super().__init__(directory, runtime, tag)
        self.state_roots = (f"{directory}/exec/runtime-runc/moby", *self.state_roots)

    def environment(self) -> dict[str, str]:
        return {
            "DOCKER_HOST": f"unix://{self.directory}/docker.sock",
            "DOCKER_CONFIG": self.directory,
            "DOCKER_BUILDKIT": "0",
        }

    def configuration(self) -> dict[str, object]:
        """Return what the daemon is told in daemon.json."""
        return {
            "runtimes": {"undertest": {"path": self.runtime}},
            "default-runtime": "undertest",
            "data-root": f"{self.directory}/data",
            "exec-root": f"{self.directory}/exec",
            "hosts": [f"unix://{self.directory}/docker.sock"],
            "pidfile": f"{self.directory}/dockerd.pid",
            "cgroup-parent": f"/{self.tag}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "bridge": "none",
            "iptables": False,
            "ip6tables": False,
            "experimental": True,
        }

    def start(self, rootfs: str) -> None:
        with open(f"{self.directory}/daemon.json", "w", encoding="utf-8") as file:
            json.dump(self.configuration(), file)
        self.room.start_daemon(
            "dockerd.log", self.daemon, "--config-file", f"{self.directory}/daemon.json"
        )
        wait_until(lambda: self.room.run("docker", "version").returncode == 0, "dockerd answers")
        shell = f"tar -C {rootfs} -c . | docker import -c 'CMD [\"sh\"]' - {IMAGE}"
        self.room.run("bash", "-o", "pipefail", "-c", shell, check=True)

    def remove(self, name: str) -> None:
        self.room.run("docker", "rm", "-f", name, check=True)

    def daemons(self) -> str:
        return "(docker|container)d "

    def _run(self, name: str) -> tuple[str, ...]:
        return ("docker", "run", "--network", "none", "--name", name)


class Podman(DockerLike):
    program = "podman"
    programs: tuple[str, ...] = ("podman", "conmon")
    driver = "overlay"

    def environment(self) -> dict[str, str]:
        return {
            "CONTAINERS_CONF": f"{self.directory}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.directory}/storage.conf",
        }

    def start(self, rootfs: str) -> None:
        store = f"{self.directory}/store"
        with open(f"{self.directory}/containers.conf", "w", encoding="utf-8") as file:
            file.write(f"""
[engine]
runtime = "{self.runtime}"
runtime_supports_json = ["{os.path.basename(self.runtime)}"]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{store}/tmp"
""")
        with open(f"{self.directory}/storage.conf", "w", encoding="utf-8") as file:
            file.write(f"""
[storage]
driver = "{self.driver}"
graphroot = "{store}/root"
runroot = "{store}/run"
""")
        shell = f"tar -C {rootfs} -c . | podman import -q -c 'CMD [\"sh\"]' - {IMAGE}"
        self.room.run("bash", "-o", "pipefail", "-c", shell, check=True)

    def remove(self, name: str) -> None:
        self.room.run("podman", "rm", "-f", "-t", "0", name, check=True)

    def _run(self, name: str) -> tuple[str, ...]:
        return (
            "podman", "run", "--network", "none", "--cgroup-parent", f"/{self.tag}", "--name", name
        )  # fmt: skip


class Containerd(Engine):
    """containerd by ctr. The namespace is also the parent cgroup of its containers."""

    programs = ("containerd", "ctr", "containerd-shim-runc-v2")

    def __init__(self, directory: str, runtime: str, tag: str) -> None:
        super().__init__(directory, runtime, tag)
        self.state_roots = (f"{directory}/runc/{tag}", *self.state_roots)

    def environment(self) -> dict[str, str]:
        return {
            "CONTAINERD_ADDRESS": f"{self.directory}/containerd.sock",
            "CONTAINERD_NAMESPACE": self.tag,
        }

    def start(self, rootfs: str) -> None:
        self.rootfs = rootfs
        with open(f"{self.directory}/config.toml", "w", encoding="utf-8") as file:
            file.write(f"""
version = 2
root = "{self.directory}/root"
state = "{self.directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{self.directory}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{self.directory}/opt"
""")
        self.room.start_daemon(
            "containerd.log", "containerd", "-c", f"{self.directory}/config.toml"
        )
        wait_until(lambda: self.room.run("ctr", "version").returncode == 0, "containerd answers")
        self.room.run("ctr", "namespace", "create", self.tag, check=True)

    def interactive(self, name: str, *command: str) -> Dialogue:
        return self.room.talk(*self._run(name, "-t", "--rm"), *command)

    def run(self, name: str, *command: str) -> tuple[int, str]:
        # ctr 1.6 may lose what a container prints at its very end.
        last = ("/bin/sh", "-c", '"$@"; status=$?; sleep 0.2; exit $status', "sh")
        return self._result(*self._run(name, "--rm"), *last, *command)

    def start_detached(self, name: str, *command: str) -> None:
        log = f"file://{self.directory}/{name}.log"
        self.room.run(*self._run(name, "-d", "--log-uri", log), *command, check=True)

    def exec(self, name: str, *command: str) -> tuple[int, str]:
        return self._result("ctr", "task", "exec", "--exec-id", "exec", name, *command)

    def logs(self, name: str) -> str:
        with open(f"{self.directory}/{name}.log", encoding="utf-8") as log:
            return log.read().rstrip("\n")

    def stop(self, name: str) -> int:
        self.room.run("ctr", "task", "kill", "-s", "SIGTERM", name, check=True)
        wait_until(lambda: self._status(name) == "STOPPED", f"{name} stops")
        # It removes the task, and complains about the exit status that it tells.
        done = self.room.run("ctr", "task", "rm", name)
        told = re.search(r"exit code (\d+)", done.stdout + done.stderr)
        return int(told[1]) if told else 0

    def remove(self, name: str) -> None:
        if self._status(name):
            self.room.run("ctr", "task", "rm", "-f", name)
        self.room.run("ctr", "container", "rm", name, check=True)

    def daemons(self) -> str:
        return "containerd "

    def _status(self, name: str) -> str:
        for line in self.room.output("ctr", "task", "ls").splitlines():
            if line.split()[0] == name:
                return line.split()[2]
        return ""

    def _run(self, name: str, *options: str) -> tuple[str, ...]:
        runtime = ("--runc-binary", self.runtime, "--runc-root", f"{self.directory}/runc")
        return ("ctr", "run", *runtime, *options, "--rootfs", self.rootfs, name)


ENGINES: dict[str, type[Engine]] = {"docker": Docker, "podman": Podman, "ctr": Containerd}
