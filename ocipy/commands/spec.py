"""`ocipy spec`: a config.json to start from. As runc's, for spec 1.3."""

from __future__ import annotations

import os

from ocipy.commands.version import SPEC_VERSION
from ocipy.errors import StateError, errno_text
from ocipy.sys.fd import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request

_CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
_NO_SUID_EXEC_DEV = ("nosuid", "noexec", "nodev")


def run(request: Request) -> int:
    import json

    config = example_config(
        cgroup_v2=os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
        rootless_ids=(os.geteuid(), os.getegid()) if request.flag("rootless") else None,
    )
    path = os.path.join(request.text("bundle"), "config.json")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        raise StateError("File config.json exists. Remove it first") from None
    except OSError as error:
        raise StateError(f"cannot write {path}: {(error.strerror or '').lower()}") from None
    try:
        write_all(fd, (json.dumps(config, indent="\t") + "\n").encode())
    except OSError as error:
        os.unlink(path)  # half of one would be in the way
        raise StateError(f"cannot write {path}: {errno_text(error.errno or 0)}") from None
    finally:
        os.close(fd)
    return 0


def example_config(*, cgroup_v2: bool, rootless_ids: tuple[int, int] | None) -> dict[str, object]:
    """Return a config of a busybox-like rootfs; `rootless_ids` are the uid and gid of its user."""
    namespaces = ["pid", "network", "ipc", "uts", "mount"]
    if cgroup_v2:
        namespaces.append("cgroup")
    linux: dict[str, object] = {}
    if rootless_ids is None:
        linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    else:
        # The host's network: making another one useful takes privileges.
        namespaces.remove("network")
        namespaces.append("user")
        for name, host_id in zip(("uidMappings", "gidMappings"), rootless_ids, strict=True):
            linux[name] = [{"containerID": 0, "hostID": host_id, "size": 1}]
    linux["namespaces"] = [{"type": name} for name in namespaces]
    linux["maskedPaths"] = [
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/sys/firmware",
        "/proc/scsi",
        "/sys/devices/virtual/tpm",
    ]
    linux["readonlyPaths"] = [
        "/proc/bus",
        "/proc/fs",
        "/proc/irq",
        "/proc/sys",
        "/proc/sysrq-trigger",
    ]
    return {
        "ociVersion": SPEC_VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
            ],
            "cwd": "/",
            "capabilities": {
                kind: list(_CAPABILITIES) for kind in ("bounding", "effective", "permitted")
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "ocipy",
        "mounts": _mounts(rootless=rootless_ids is not None),
        "linux": linux,
    }


def _mounts(*, rootless: bool) -> list[dict[str, object]]:
    devpts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if not rootless:
        devpts.append("gid=5")  # has no mapping for an unprivileged user
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("/dev/pts", "devpts", "devpts", *devpts),
        _mount("/dev/shm", "tmpfs", "shm", *_NO_SUID_EXEC_DEV, "mode=1777", "size=65536k"),
        _mount("/dev/mqueue", "mqueue", "mqueue", *_NO_SUID_EXEC_DEV),
        # A new sysfs belongs to a network namespace; who shares the host's may only bind it.
        _mount("/sys", "none", "/sys", "rbind", *_NO_SUID_EXEC_DEV, "ro")
        if rootless
        else _mount("/sys", "sysfs", "sysfs", *_NO_SUID_EXEC_DEV, "ro"),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", *_NO_SUID_EXEC_DEV, "relatime", "ro"),
    ]


def _mount(destination: str, fstype: str, source: str, *options: str) -> dict[str, object]:
    return {
        "destination": destination,
        "type": fstype,
        "source": source,
        "options": list(options),
    }
