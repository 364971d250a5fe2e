"""A Kubernetes node without its kubelet: containerd's CRI plugin in a room, and a CRI client.

The runtime under test is the node's default, and again the handler "second", as a RuntimeClass
names it. Pods get their network from CNI's bridge plugin, inside of the room.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import grpc

from tests.clients.engines import Engine
from tests.clients.room import SECONDS, wait_until
from tests.clusters.cri_protocol import Protocol
from tests.clusters.images import write_archive
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "docker.io/library/busybox:latest"
PAUSE = "docker.io/library/pause:latest"
CNI_PLUGINS = "/usr/lib/cni"
SLEEP = ["/bin/sleep", "100000"]
IDLE = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]

_ROOM = """
version = 2
root = "{directory}/root"
state = "{directory}/state"
[grpc]
  address = "{directory}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{directory}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  disable_tcp_service = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "first"
    snapshotter = "{snapshotter}"
    disable_snapshot_annotations = true
"""
_HANDLER = """
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}.options]
        BinaryName = "{runtime}"
        Root = "{directory}/runtime"
"""


class Node(Engine):
    """containerd with the CRI plugin. `pod` and `container` below are ids."""

    programs = ("containerd", "ctr", "containerd-shim-runc-v2", f"{CNI_PLUGINS}/bridge", "ip")

    def __init__(self, directory: str, runtime: str, tag: str) -> None:
        super().__init__(directory, runtime, tag)
        self.state_roots = (f"{directory}/runtime/k8s.io", *self.state_roots)
        self._attempts = itertools.count()
        self.snapshotter = "overlayfs"

    def environment(self) -> dict[str, str]:
        return {
            "CONTAINERD_ADDRESS": f"{self.directory}/containerd.sock",
            "CONTAINERD_NAMESPACE": "k8s.io",
            "PYTHONPATH": REPOSITORY,
        }

    def daemons(self) -> str:
        return "containerd "

    def start(self, rootfs: str) -> None:
        self._write_config()
        self.start_containerd()
        config = {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"], "Volumes": {"/volume": {}}}
        for name, about in ((IMAGE, config), (PAUSE, {"Cmd": SLEEP})):
            archive = f"{self.directory}/image.tar"
            write_archive(archive, name, rootfs, about)
            snapshotter = ("--snapshotter", self.snapshotter)
            self.room.run("ctr", "images", "import", *snapshotter, archive, check=True)
            os.unlink(archive)
        wait_until(self._has_images, "the CRI plugin knows the images")

    def start_containerd(self) -> None:
        self.room.start_daemon(
            "containerd.log", "containerd", "-c", f"{self.directory}/config.toml"
        )
        self.protocol = Protocol("/usr/bin/containerd")
        self.channel = grpc.insecure_channel(f"unix://{self.directory}/containerd.sock")
        wait_until(self._is_ready, "the runtime and the network are ready", SECONDS)

    def restart_containerd(self) -> None:
        """Kill containerd hard and start it again; shims and containers go on meanwhile."""
        for pid, command in self.room.processes().items():
            if command.startswith("containerd -c"):
                self.room.run("kill", "-9", str(pid), check=True)
        self.channel.close()
        self.start_containerd()

    def _write_config(self) -> None:
        os.mkdir(f"{self.directory}/cni")
        network = {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "cni0",
                    "isGateway": True,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": f"{self.directory}/ipam",
                        "ranges": [[{"subnet": "10.88.0.0/16"}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                }
            ],
        }
        with open(f"{self.directory}/cni/10-pods.conflist", "w", encoding="utf-8") as file:
            json.dump(network, file)
        values = {"directory": self.directory, "runtime": self.runtime}
        with open(f"{self.directory}/config.toml", "w", encoding="utf-8") as file:
            file.write(
                _ROOM.format(pause=PAUSE, cni=CNI_PLUGINS, snapshotter=self.snapshotter, **values)
            )
            for handler in ("first", "second"):
                file.write(_HANDLER.format(handler=handler, **values))

    def _is_ready(self) -> bool:
        try:
            status = self.call("Status", seconds=5).status
        except grpc.RpcError:
            return False
        return all(condition.status for condition in status.conditions)

    def _has_images(self) -> bool:
        known = {tag for image in self.call("ListImages").images for tag in image.repo_tags}
        return {IMAGE, PAUSE} <= known

    # -- the interface

    def call(self, method: str, *, seconds: float = SECONDS, **fields: Any) -> Any:
        return self.protocol.call(self.channel, method, fields, seconds)

    def run_pod(self, name: str, handler: str = "", **more: Any) -> tuple[str, dict[str, Any]]:
        """Start a pod's sandbox; return its id and its config, which its containers need."""
        linux = {"cgroup_parent": f"/{self.tag}", **more.pop("linux", {})}
        attempt = next(self._attempts)
        config = {
            "metadata": {"name": name, "uid": f"{name}-{attempt}", "namespace": "default"},
            "hostname": name,
            "log_directory": f"{self.directory}/logs/{name}",
            "linux": linux,
            **more,
        }
        config["metadata"]["attempt"] = attempt
        answer = self.call("RunPodSandbox", config=config, runtime_handler=handler)
        return answer.pod_sandbox_id, config

    def create(
        self, pod: tuple[str, dict[str, Any]], name: str, command: list[str], **more: Any
    ) -> str:
        """Create a container in a pod; return its id."""
        config = {
            "metadata": {"name": name, "attempt": next(self._attempts)},
            "image": {"image": IMAGE},
            "command": command,
            "log_path": f"{name}.log",
            **more,
        }
        answer = self.call(
            "CreateContainer", pod_sandbox_id=pod[0], config=config, sandbox_config=pod[1]
        )
        return str(answer.container_id)

    def start_container(
        self, pod: tuple[str, dict[str, Any]], name: str, command: list[str], **more: Any
    ) -> str:
        container = self.create(pod, name, command, **more)
        self.call("StartContainer", container_id=container)
        return container

    def status(self, container: str) -> Any:
        return self.call("ContainerStatus", container_id=container).status

    def wait_exit(self, container: str) -> int:
        """Wait for the container's end; return its exit code."""
        wait_until(lambda: self.status(container).state == 2, f"{container} ends", SECONDS)
        return int(self.status(container).exit_code)

    def exec_sync(self, container: str, *command: str, seconds: int = 0) -> tuple[int, str, str]:
        done = self.call("ExecSync", container_id=container, cmd=command, timeout=seconds)
        return done.exit_code, done.stdout.decode(), done.stderr.decode()

    def output(self, container: str, script: str) -> str:
        """Run a shell script in the container; return what it prints, with what went wrong."""
        _, out, err = self.exec_sync(container, "/bin/sh", "-c", script)
        return (out + err).strip()

    def log_lines(self, pod: tuple[str, dict[str, Any]], name: str) -> list[tuple[str, str]]:
        """Return a container's log as pairs of stream and line."""
        path = f"{self.directory}/logs/{pod[1]['metadata']['name']}/{name}.log"
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            rows = [line.rstrip("\n").split(" ", 3) for line in file]
        return [(row[1], row[3]) for row in rows]

    def stream(
        self, method: str, sent: str = "", wait_for: str = "", **fields: Any
    ) -> dict[str, str]:
        """exec, attach or port-forward by the URL that containerd gives; see streaming.py."""
        url = self.call(method, **fields).url
        if method == "PortForward":
            url += f"?port={fields['port'][0]}"
        done = self.room.run(
            sys.executable, "-m", "tests.clusters.streaming", url, wait_for, stdin=sent, check=True
        )
        channels: dict[str, str] = json.loads(done.stdout)
        return channels

    def remove_pod(self, pod: tuple[str, dict[str, Any]]) -> None:
        self.call("StopPodSandbox", pod_sandbox_id=pod[0])
        self.call("RemovePodSandbox", pod_sandbox_id=pod[0])

    def remains(self) -> list[str]:
        left = super().remains()
        shown = self.room.output("ip", "-br", "link").splitlines()
        left += [f"interface {line.split()[0]}" for line in shown if line.startswith("veth")]
        named = self.room.run("sh", "-c", "ls /run/netns /var/run/netns 2>/dev/null").stdout
        left += [f"network namespace {name}" for name in named.split() if name.startswith("cni-")]
        held = self.room.output("cat", "/proc/self/mounts").splitlines()
        left += [f"mount {line}" for line in held if f"{self.directory}/state/io" in line]
        return left

    def pods(self) -> Iterator[str]:
        yield from (item.id for item in self.call("ListPodSandbox").items)

    def remove_all(self) -> None:
        for pod in self.pods():
            self.call("StopPodSandbox", pod_sandbox_id=pod)
            self.call("RemovePodSandbox", pod_sandbox_id=pod)
