"""The six bundles whose every step is walked; each as large as its kind of container gets."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bundles import Bundle, base_config, mount, with_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIGS = Path(__file__).parent.parent / "unit" / "golden" / "configs"
FIRST_ID, IDS = 100000, 65536
TRUE = {"path": "/bin/true", "args": ["true"], "timeout": 60}


class Neighbours:
    """What bundles need beside them: namespaces to join, sockets that take descriptors."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen[bytes]] = []

    def sleeper(self, *options: str) -> int:
        """Start a process in new namespaces; return its pid, or its child's with --fork."""
        process = subprocess.Popen(
            ["unshare", *options, "/bin/busybox", "sh", "-c", "echo; read x"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n", options
        return process.pid

    def receiver(self, name: str) -> str:
        """Return the path of a socket on which everything is accepted, read and closed."""
        path = f"{self.directory}/{name}"
        process = subprocess.Popen(
            ["/usr/bin/env", "python3", "-c", _RECEIVER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n", name
        return path

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


_RECEIVER = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
os.write(1, b"\\n")
kept = []
while True:
    connection = listener.accept()[0]
    try:
        fds = socket.recv_fds(connection, 4096, 8)[1]
    except OSError:
        fds = []
    connection.close()
    # A terminal whose master is closed hangs up, and SIGHUP ends the container.
    kept.append(fds)
    for old in kept[:-8]:
        for fd in old:
            os.close(fd)
    kept = kept[-8:]
"""


def minimal(bundle: Bundle, neighbours: Neighbours) -> None:
    bundle.config["linux"]["namespaces"] = [{"type": "pid"}, {"type": "mount"}]
    bundle.config.pop("hostname")
    bundle.config["mounts"] = [mount("/proc", "proc", "proc")]


def _of_client(bundle: Bundle, name: str) -> None:
    """Take the configuration that a client wrote; files of the client's are the bundle's own."""
    config = json.loads((CONFIGS / f"{name}.json").read_text())
    for key in ("root", "hostname"):
        config[key] = bundle.config[key]
    config["linux"]["cgroupsPath"] = bundle.linux["cgroupsPath"]
    config["process"]["args"] = bundle.process["args"]
    config["process"]["env"].append(bundle.process["env"][0])
    for entry in config["mounts"]:
        if entry["type"] != "bind":
            continue
        source = f"{bundle.path}/{entry['destination'].replace('/', '-')}"
        if entry["destination"] == "/dev/shm":
            os.makedirs(source, exist_ok=True)
        else:
            Path(source).touch()
        entry["source"] = source
    for hooks in config.get("hooks", {}).values():
        for hook in hooks:
            hook |= {"path": "/bin/true", "args": ["true"]}
    bundle.config = config


def docker(bundle: Bundle, neighbours: Neighbours) -> None:
    _of_client(bundle, "docker-run")


def podman(bundle: Bundle, neighbours: Neighbours) -> None:
    _of_client(bundle, "podman-hooks")


def user_namespace(bundle: Bundle, neighbours: Neighbours) -> None:
    with_namespace(bundle.config, "user")
    with_namespace(bundle.config, "cgroup")
    _map_ids(bundle)


def _map_ids(bundle: Bundle) -> None:
    mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}]
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = mapping
    for directory, _, files in os.walk(bundle.rootfs):
        for name in (".", *files):
            os.chown(f"{directory}/{name}", FIRST_ID, FIRST_ID, follow_symlinks=False)


def joined_namespaces(bundle: Bundle, neighbours: Neighbours) -> None:
    pid = neighbours.sleeper("--net", "--ipc", "--uts")
    for kind, file in (("network", "net"), ("ipc", "ipc"), ("uts", "uts")):
        with_namespace(bundle.config, kind, f"/proc/{pid}/ns/{file}")
    bundle.config.pop("hostname")


def everything(bundle: Bundle, neighbours: Neighbours) -> None:
    config = bundle.config
    profile = json.loads((CONFIGS / "docker-run.json").read_text())["linux"]["seccomp"]
    for rule in profile["syscalls"]:
        if "getcwd" in rule["names"]:
            rule["names"].remove("getcwd")
    profile["syscalls"].append({"names": ["getcwd"], "action": "SCMP_ACT_NOTIFY"})
    profile["listenerPath"] = neighbours.receiver("agent")
    profile["listenerMetadata"] = "faults"
    for kind in ("cgroup", "time", "user"):
        with_namespace(config, kind)
    _map_ids(bundle)
    data = f"{bundle.path}/data"
    os.makedirs(data, exist_ok=True)
    config["mounts"] += [
        mount("/tmp", "tmpfs", "tmpfs", "nosuid", "nodev", "tmpcopyup", "size=1m"),
        mount("/mnt/bound", "bind", data, "rbind", "ro", "nosuid"),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev"),
    ]
    config["root"]["readonly"] = True
    config["domainname"] = "example"
    config["hooks"] = {
        kind: [TRUE] for kind in ("prestart", "createRuntime", "createContainer", "startContainer")
    } | {"poststart": [TRUE], "poststop": [TRUE]}
    config["hooks"]["createContainer"] = [TRUE | {"path": "/bin/true"}]
    config["process"] |= {
        "terminal": True,
        "user": {"uid": 1000, "gid": 1000, "umask": 63, "additionalGids": [2000]},
        "cwd": "/tmp/made",
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 64}],
        "oomScoreAdj": 100,
        "scheduler": {"policy": "SCHED_BATCH", "nice": 19},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 5},
        "execCPUAffinity": {"initial": "0", "final": "0"},
    }
    bundle.linux.update(
        timeOffsets={"monotonic": {"secs": 10}},
        netDevices={"faults0": {"name": "uplink"}},
        sysctl={"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"},
        maskedPaths=["/proc/kcore", "/proc/acpi", "/proc/timer_list"],
        readonlyPaths=["/proc/sys", "/proc/bus"],
        rootfsPropagation="slave",
        personality={"domain": "LINUX"},
        seccomp=profile,
        devices=[{"path": "/dev/zero2", "type": "c", "major": 1, "minor": 5, "fileMode": 438}],
        resources={
            "devices": [
                {"allow": False, "access": "rwm"},
                {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"},
            ],
            "memory": {"limit": 256 << 20, "reservation": 128 << 20},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"},
            "pids": {"limit": 64},
        },
    )


BUNDLES: dict[str, Callable[[Bundle, Neighbours], None]] = {
    "minimal": minimal,
    "docker": docker,
    "podman": podman,
    "user-namespace": user_namespace,
    "joined-namespaces": joined_namespaces,
    "everything": everything,
}


def make_bundle(name: str, path: str, tag: str, neighbours: Neighbours, busybox: str) -> Bundle:
    """Make the bundle of that name in the new directory `path`; its cgroup has `tag` in its name.

    The busybox may be linked into it.
    """
    bundle = Bundle(path, busybox, "faults", f"/{tag}/{name}")
    bundle.config = base_config("faults", f"/{tag}/{name}")
    bundle.process["args"] = ["/bin/sleep", "100000"]
    os.makedirs(f"{bundle.rootfs}/mnt/bound")
    BUNDLES[name](bundle, neighbours)
    return bundle
