"""Bundles built in code: a busybox root file system, and a config that a test then changes.

`base_config()` is a plain container as an engine would ask for it, in its own pid, network, ipc,
uts and mount namespaces; a test states only how its own container differs. Nothing here starts one.
"""

from __future__ import annotations

import json
import os
from typing import Any

BUSYBOX = "/bin/busybox"

# The applets that tests call; busybox has more, but each link of each bundle costs a system call.
APPLETS = """[ awk basename cat chgrp chmod chown chroot chrt cmp cp cut date dd df dirname dmesg du
echo env expr false find fold free getty grep head hexdump hostname id ifconfig ionice ip kill
killall ln ls mkdir mkfifo mknod mktemp more mount mountpoint mv nc nproc od pgrep ping printf ps
pwd readlink realpath renice reset rm rmdir route sed seq setpriv setsid sh sleep sort stat stty su
sync sysctl tail tee test time timeout touch tr true tty umount uname uniq unshare uptime usleep vi
wc which whoami xargs yes""".split()

DIRECTORIES = "bin dev etc home mnt proc root run sbin sys tmp usr/bin var".split()

CAPABILITIES = """CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL
CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID
CAP_SYS_CHROOT""".split()

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build_rootfs(path: str, busybox: str) -> None:
    """Make a root file system in the new directory `path`; `busybox` is linked, or else copied."""
    for directory in DIRECTORIES:
        os.makedirs(f"{path}/{directory}")
    os.chmod(f"{path}/tmp", 0o1777)
    os.link(busybox, f"{path}/bin/busybox")
    for applet in APPLETS:
        os.symlink("busybox", f"{path}/bin/{applet}")
    write_file(
        f"{path}/etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home:/bin/sh\n"
    )
    write_file(f"{path}/etc/group", "root:x:0:\napp:x:1000:\ndata:x:2000:app\n")


def write_file(path: str, text: str, mode: int = 0o644) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def base_config(hostname: str, cgroups_path: str) -> dict[str, Any]:
    """Return a new config that runs `/bin/true` in a usual container."""
    sets = ("bounding", "effective", "permitted")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/true"],
            "env": [PATH, "TERM=xterm"],
            "cwd": "/",
            "capabilities": {name: list(CAPABILITIES) for name in sets},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": hostname,
        "mounts": [
            mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
            mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount(
                "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
                "ptmxmode=0666", "mode=0620", "gid=5",
            ),
            mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777"),
            mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
            mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        ],
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")],
            "cgroupsPath": cgroups_path,
        },
    }  # fmt: skip


def mount(destination: str, fstype: str, source: str, *options: str) -> dict[str, Any]:
    """Return one entry of `mounts`; type "bind" may be given as the options do the work."""
    return {
        "destination": destination,
        "type": fstype,
        "source": source,
        "options": list(options),
    }


def without_namespace(config: dict[str, Any], *types: str) -> None:
    """Take these types out of `namespaces`: the container stays in the runtime's own."""
    linux = config["linux"]
    linux["namespaces"] = [ns for ns in linux["namespaces"] if ns["type"] not in types]
    if "uts" in types:
        config.pop("hostname", None)


def with_namespace(config: dict[str, Any], kind: str, path: str = "") -> None:
    """Ask for a namespace of type `kind`: a new one, or the one at `path` in place of a new one."""
    linux = config["linux"]
    linux["namespaces"] = [ns for ns in linux["namespaces"] if ns["type"] != kind]
    linux["namespaces"].append({"type": kind, "path": path} if path else {"type": kind})


class Bundle:
    """A bundle on disk; `config` may be changed until `write()`, which every command calls."""

    def __init__(self, path: str, busybox: str, hostname: str, cgroups_path: str) -> None:
        self.path = path
        self.rootfs = f"{path}/rootfs"
        self.config = base_config(hostname, cgroups_path)
        build_rootfs(self.rootfs, busybox)

    @property
    def process(self) -> dict[str, Any]:
        process: dict[str, Any] = self.config["process"]
        return process

    @property
    def linux(self) -> dict[str, Any]:
        linux: dict[str, Any] = self.config["linux"]
        return linux

    def write(self) -> None:
        write_file(f"{self.path}/config.json", json.dumps(self.config))

    def add_mount(
        self, destination: str, fstype: str, source: str, *options: str
    ) -> dict[str, Any]:
        """Append to `mounts` and return the entry, so that a test may add members to it."""
        entry = mount(destination, fstype, source, *options)
        self.config["mounts"].append(entry)
        return entry

    def add_file(self, name: str, text: str, mode: int = 0o644) -> str:
        """Write a file of the image, with its parents, and return its path on the host."""
        path = f"{self.rootfs}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_file(path, text, mode)
        return path

    def add_script(self, name: str, text: str) -> str:
        """Write an executable shell script into the image."""
        return self.add_file(name, f"#!/bin/sh\n{text}\n", 0o755)
