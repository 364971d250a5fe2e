"""Fills HostFacts: the only code that asks the kernel what it supports. A handful of small files,
read on every create; what few configs need is asked for by the planners that need it."""

from __future__ import annotations

import os

from ocipy.cgroup.facts import read_cgroup_facts
from ocipy.host.facts import HostFacts
from ocipy.sys.constants import CAP_SETGID, CLONE_FLAG, NAMESPACE_FILE


def _read(path: str) -> bytes:
    """Return a small file's content, b"" where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 65536)
    finally:
        os.close(fd)


def _own_capabilities() -> tuple[int, int]:
    """Return our effective and bounding sets from /proc/self/status (proc_pid_status(5))."""
    effective = bounding = 0
    for line in _read("/proc/self/status").splitlines():
        if line.startswith(b"CapEff:"):
            effective = int(line[7:], 16)
        elif line.startswith(b"CapBnd:"):
            bounding = int(line[7:], 16)
    return effective, bounding


def in_user_namespace() -> bool:
    """Whether we run in a user namespace other than the host's, which maps every id to itself."""
    return _read("/proc/self/uid_map").split() not in ([b"0", b"0", b"4294967295"], [])


def active_lsms() -> tuple[str, ...]:
    """Return which modules that label processes are active: "apparmor", "selinux"."""
    listed = _read("/sys/kernel/security/lsm").split(b",")
    found = [name for name in ("apparmor", "selinux") if name.encode() in listed]
    # securityfs is often not mounted in containers.
    if "apparmor" not in found and _read("/sys/module/apparmor/parameters/enabled")[:1] == b"Y":
        found.append("apparmor")
    return tuple(found)


def probe_host() -> HostFacts:
    """Read what planners may know. Raises OSError only where /proc is not mounted."""
    effective, bounding = _own_capabilities()
    present = set(os.listdir("/proc/self/ns"))
    clone_flags = 0
    for kind, flag in CLONE_FLAG.items():
        if NAMESPACE_FILE[kind] in present:
            clone_flags |= flag
    own_user_namespace = in_user_namespace()
    denied = own_user_namespace and _read("/proc/self/setgroups").startswith(b"deny")
    return HostFacts(
        kernel=os.uname().release,
        euid=os.geteuid(),
        capabilities=effective,
        bounding=bounding,
        last_capability=int(_read("/proc/sys/kernel/cap_last_cap") or b"40"),
        clone_flags=clone_flags,
        in_user_namespace=own_user_namespace,
        may_set_groups=bool(effective >> CAP_SETGID & 1) and not denied,
        kcore=os.path.exists("/proc/kcore"),
        lsms=active_lsms(),
        cgroup=read_cgroup_facts(),
    )
