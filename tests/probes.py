"""What this machine can do, found out by trying. A probe returns "" or the reason why not."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import socket
import subprocess
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CAP_SYS_RESOURCE = 24
CAP_SYS_BOOT = 22
PER_LINUX32 = 0x0008
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _output(*command: str) -> str:
    """Run a command; return "" if it succeeds, and else what it wrote."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or f"status {done.returncode}"


def root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


def capability(number: int) -> str:
    with open("/proc/self/status", encoding="utf-8") as status:
        mask = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    return "" if mask >> number & 1 else f"this machine lacks capability {number}"


def cgroup_v1() -> str:
    return "" if _cgroup_mounts("cgroup") else "no cgroup v1 hierarchy is mounted"


def cgroup_v2() -> str:
    """Pure cgroup v2, as opposed to the hybrid layout with an empty unified hierarchy."""
    return "" if _cgroup_mounts("cgroup2") == ["/sys/fs/cgroup"] else "cgroups are not pure v2"


def controller(name: str) -> str:
    """A controller in v1 or v2 that containers may use."""
    for target in _cgroup_mounts("cgroup2"):
        with open(f"{target}/cgroup.controllers", encoding="utf-8") as controllers:
            if name in controllers.read().split():
                return ""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, _, fstype, options, *_ = line.split(" ")
            if fstype == "cgroup" and name in options.split(","):
                return ""
    return f"no cgroup controller {name}"


def _cgroup_mounts(wanted: str) -> list[str]:
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return [line.split(" ")[1] for line in mounts if line.split(" ")[2] == wanted]


def time_namespaces() -> str:
    return "" if os.path.exists("/proc/self/ns/time") else "no time namespaces"


def user_namespaces() -> str:
    return _output("unshare", "--user", "true")


def overlay() -> str:
    directory = tempfile.mkdtemp(prefix="ocipy-probe-")
    try:
        for name in ("l", "u", "w", "m"):
            os.mkdir(f"{directory}/{name}")
        options = f"lowerdir={directory}/l,upperdir={directory}/u,workdir={directory}/w"
        return _output(
            "unshare", "-m", "mount", "-t", "overlay", "-o", options, "o", f"{directory}/m"
        )
    finally:
        shutil.rmtree(directory)


def veth() -> str:
    try:
        # Where IPv6 is a module, this loads it; ip(8) over netlink would not.
        socket.socket(socket.AF_INET6).close()
    except OSError as error:
        return f"no IPv6: {error}"
    return _output("unshare", "-n", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")


def personality_linux32() -> str:
    """Whether it has an effect: user-mode Linux takes it, and goes on as before."""
    done = subprocess.run(["setarch", "linux32", "uname", "-m"], capture_output=True, text=True)
    if done.returncode == 0 and done.stdout.strip() != os.uname().machine:
        return ""
    return done.stderr.strip() or "the machine's name stays the same"


def realtime_scheduling() -> str:
    """Try it where containers are: with CONFIG_RT_GROUP_SCHED a v2 cgroup has no budget for it."""
    if cgroup_v2():
        return _output("chrt", "-f", "1", "true")
    cgroup = tempfile.mkdtemp(prefix="ocipy-probe-", dir="/sys/fs/cgroup")
    try:
        return _output("sh", "-c", f"echo $$ > {cgroup}/cgroup.procs; exec chrt -f 1 true")
    finally:
        os.rmdir(cgroup)


def idmapped_mounts(where: str | None = None) -> str:
    """Try mount_setattr(2) with MOUNT_ATTR_IDMAP on a directory where bundles are, or `where`."""
    code = """
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
child = subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; read x"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
for kind in "gid", "uid":
    open(f"/proc/{child.pid}/{kind}_map", "w").write("0 1000 10")
userns = os.open(f"/proc/{child.pid}/ns/user", os.O_RDONLY)
open_tree, mount_setattr = 428, 442
tree = libc.syscall(open_tree, -100, sys.argv[1].encode(), 1 | os.O_CLOEXEC)
attr = (ctypes.c_uint64 * 4)(0x100000, 0, 0, userns)
failed = libc.syscall(mount_setattr, tree, b"", 0x1000, attr, 32)
code = ctypes.get_errno()
child.communicate()
sys.exit(f"mount_setattr: {os.strerror(code)}" if failed else 0)
"""
    directory = tempfile.mkdtemp(prefix="ocipy-probe-", dir=where)
    try:
        return _output("python3", "-c", code, directory)
    finally:
        shutil.rmtree(directory)


def seccomp() -> str:
    pr_get_seccomp = 21
    return "" if ctypes.CDLL(None).prctl(pr_get_seccomp) >= 0 else "no seccomp"


def swap_accounting() -> str:
    files = ("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes",)
    return "" if any(map(os.path.exists, files)) or not cgroup_v2() else "no swap accounting"


def systemd() -> str:
    """A systemd that manages this machine, and can be asked to make units."""
    if not os.path.isdir("/run/systemd/system"):
        return "systemd is not process 1 here"
    return cgroup_v2() or _output("busctl", "call", *_PING_SYSTEMD)


_PING_SYSTEMD = (
    *("org.freedesktop.systemd1", "/org/freedesktop/systemd1"),
    *("org.freedesktop.DBus.Peer", "Ping"),
)


def official_schemas() -> str:
    """The schemas that the specification comes with: test data beside the project, never in it."""
    repository = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    directory = os.path.join(os.path.dirname(repository), "shared", "runtime-spec")
    return "" if os.path.isdir(directory) else f"{directory} is not there"


def resctrl_mount() -> str:
    """Return where resctrl is mounted, or ""."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return next((line.split(" ")[1] for line in mounts if line.split(" ")[2] == "resctrl"), "")


def resctrl() -> str:
    return "" if resctrl_mount() else "resctrl is not mounted"


PROBES: dict[str, Callable[[], str]] = {
    "official-schemas": official_schemas,
    "root": root,
    "cap-sys-resource": lambda: capability(CAP_SYS_RESOURCE),
    "cap-sys-boot": lambda: capability(CAP_SYS_BOOT),
    "cgroup-v1": cgroup_v1,
    "cgroup-v2": cgroup_v2,
    "time-namespaces": time_namespaces,
    "user-namespaces": user_namespaces,
    "overlay": overlay,
    "veth": veth,
    "personality-linux32": personality_linux32,
    "realtime-scheduling": realtime_scheduling,
    "idmapped-mounts": idmapped_mounts,
    "idmapped-tmpfs": lambda: idmapped_mounts("/dev/shm"),
    "resctrl": resctrl,
    "ps": lambda: _output("ps", "-ef"),
    "seccomp": seccomp,
    "swap-accounting": swap_accounting,
    "systemd": systemd,
}


@functools.cache
def missing(feature: str) -> str:
    """Return "" if the machine has `feature`, or the reason.

    Besides those of PROBES there are `controller:NAME` and `program:NAME`.
    """
    kind, _, name = feature.partition(":")
    if kind == "controller":
        return controller(name)
    if kind == "program":
        return "" if shutil.which(name, path=PROGRAMS) else f"{name} is not installed"
    return PROBES[feature]()
