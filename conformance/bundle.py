"""Bundles: a root file system made of a static busybox, and the smallest usual configuration."""

from __future__ import annotations

import os
from typing import Any

BUSYBOX = "/bin/busybox"
APPLETS = """[ awk basename cat chmod chown cmp cp cut date dd df dirname echo env false find fold
grep head hostname id ifconfig ionice ip kill ln ls mkdir mkfifo mknod mount mountpoint mv nc
nice od ping printf ps pwd readlink rm rmdir sed seq setpriv sh sleep sort stat stty sync sysctl
tail test timeout touch tr true tty umount uname unshare usleep wc which xargs""".split()
DIRECTORIES = "bin dev etc home mnt proc root sbin sys tmp usr/bin var".split()
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAPABILITIES = """CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL
CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID
CAP_SYS_CHROOT""".split()


def write_rootfs(path: str, busybox: str) -> None:
    """Make a root file system in the new directory `path`; `busybox` is linked, not copied."""
    for directory in DIRECTORIES:
        os.makedirs(f"{path}/{directory}")
    os.chmod(f"{path}/tmp", 0o1777)
    os.link(busybox, f"{path}/bin/busybox")
    for applet in APPLETS:
        os.symlink("busybox", f"{path}/bin/{applet}")
    for name, text in (("passwd", "root:x:0:0::/root:/bin/sh\n"), ("group", "root:x:0:\n")):
        with open(f"{path}/etc/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def mount(destination: str, fstype: str, source: str, *options: str) -> dict[str, Any]:
    """Return one entry of `mounts`."""
    return {
        "destination": destination, "type": fstype, "source": source, "options": list(options),
    }  # fmt: skip


def minimal_config(cgroups_path: str) -> dict[str, Any]:
    """Return a new configuration that any Linux runtime must be able to run: `/bin/true`."""
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/true"],
            "env": [PATH],
            "cwd": "/",
            "capabilities": {
                name: list(CAPABILITIES) for name in ("bounding", "effective", "permitted")
            },
        },
        "root": {"path": "rootfs"},
        "mounts": [
            mount("/proc", "proc", "proc"),
            mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755", "size=1024k"),
        ],
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")],
            "cgroupsPath": cgroups_path,
        },
    }
