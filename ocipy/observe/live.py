"""What is really in force for a process, read from the kernel: /proc/PID and its cgroup.

Only reads. Names of the container are read below a descriptor of its root, with RESOLVE_IN_ROOT,
so that its links lead nowhere else.
"""

from __future__ import annotations

import os

from ocipy.cgroup.stats import read_stats
from ocipy.sys import native
from ocipy.sys.constants import CAPABILITIES, NAMESPACE_FILE, RLIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocipy.json_text import Json

_SETS = {
    "CapBnd": "bounding",
    "CapEff": "effective",
    "CapInh": "inheritable",
    "CapPrm": "permitted",
    "CapAmb": "ambient",
}
_SECCOMP = {"0": "none", "1": "strict", "2": "filter"}
_TCP_LISTEN = "0A"
# The files of a cgroup that limit something, by version; what is not there is left out.
LIMITS_V1 = {
    "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes",
               "memory.soft_limit_in_bytes"),
    "pids": ("pids.max",),
    "cpu": ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
    "cpuset": ("cpuset.cpus", "cpuset.mems"),
    "blkio": ("blkio.bfq.weight", "blkio.weight"),
}  # fmt: skip
LIMITS_V2 = (
    "memory.max", "memory.high", "memory.low", "memory.swap.max", "pids.max", "cpu.max",
    "cpu.weight", "cpuset.cpus", "cpuset.mems", "io.max", "io.weight",
)  # fmt: skip


def read(path: str) -> str:
    """Return the content of a small file, "" where it is not there or not for us."""
    try:
        with open(path, "rb", buffering=0) as file:
            parts = []
            while part := file.read(65536):
                parts.append(part)
            return os.fsdecode(b"".join(parts))
    except OSError:
        return ""


def read_status(pid: int) -> dict[str, str]:
    """Return the fields of /proc/PID/status (proc_pid_status(5))."""
    lines = (line.partition(":") for line in read(f"/proc/{pid}/status").splitlines())
    return {name: value.strip() for name, _, value in lines}


def read_process(pid: int, cgroup_paths: Mapping[str, str]) -> dict[str, Json]:
    """Return everything that is known of a process, as `inspect --format json` prints it."""
    status = read_status(pid)
    command = read(f"/proc/{pid}/cmdline").rstrip("\0").split("\0")
    return {
        "pid": pid,
        "args": [*command],
        "executable": _link(f"/proc/{pid}/exe"),
        "cwd": _link(f"/proc/{pid}/cwd"),
        "namespaces": read_namespaces(pid),
        "user": _user(status, pid),
        "capabilities": read_capabilities(status),
        "noNewPrivileges": status.get("NoNewPrivs") == "1",
        "seccomp": {
            "mode": _SECCOMP.get(status.get("Seccomp", ""), "unknown"),
            "filters": int(status.get("Seccomp_filters", "0") or 0),
        },
        "label": read(f"/proc/{pid}/attr/current").rstrip("\0\n"),
        "oomScoreAdj": int(read(f"/proc/{pid}/oom_score_adj") or 0),
        "rlimits": read_rlimits(pid),
        "mounts": [*read_mounts(pid)],
        "devices": read_devices(pid),
        "sockets": read_sockets(pid),
        "cgroup": read_cgroup(cgroup_paths) if cgroup_paths else {},
    }


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def read_namespaces(pid: int) -> dict[str, Json]:
    """Return for each type the inode, and whose it is: "own" or "host" (ours, that is)."""
    found: dict[str, Json] = {}
    for kind, name in NAMESPACE_FILE.items():
        link, ours = _link(f"/proc/{pid}/ns/{name}"), _link(f"/proc/self/ns/{name}")
        if link:
            inode = int(link.rpartition("[")[2].rstrip("]"))
            found[kind] = {"inode": inode, "of": "host" if link == ours else "own"}
    return found


def _user(status: Mapping[str, str], pid: int) -> Json:
    # Real, effective, saved, and of the file system; as the host sees them.
    uid, gid = status.get("Uid", "").split(), status.get("Gid", "").split()
    return {
        "uid": int(uid[1]) if uid else None,
        "gid": int(gid[1]) if gid else None,
        "groups": [int(group) for group in status.get("Groups", "").split()],
        "uidMappings": _id_map(pid, "uid"),
        "gidMappings": _id_map(pid, "gid"),
    }


def _id_map(pid: int, kind: str) -> Json:
    lines = (line.split() for line in read(f"/proc/{pid}/{kind}_map").splitlines())
    return [
        {"containerID": int(line[0]), "hostID": int(line[1]), "size": int(line[2])}
        for line in lines
    ]


def read_capabilities(status: Mapping[str, str]) -> dict[str, Json]:
    """Return the five sets by their names in config.json; numbers where we know no name."""
    found: dict[str, Json] = {}
    for field, name in _SETS.items():
        mask = int(status.get(field, "0"), 16)
        found[name] = [
            CAPABILITIES[number] if number < len(CAPABILITIES) else str(number)
            for number in range(64)
            if mask >> number & 1
        ]
    return found


def read_rlimits(pid: int) -> dict[str, Json]:
    """Return soft and hard limit by name; None for no limit."""
    import resource

    found: dict[str, Json] = {}
    for name, number in RLIMITS.items():
        try:
            limits = resource.prlimit(pid, number)
        except OSError:
            continue
        soft, hard = (None if value == resource.RLIM_INFINITY else value for value in limits)
        found[name] = {"soft": soft, "hard": hard}
    return found


def read_mounts(pid: int) -> Iterator[dict[str, Json]]:
    """Yield the mounts, in the order in which they were made (proc_pid_mountinfo(5))."""
    for line in read(f"/proc/{pid}/mountinfo").splitlines():
        fields = line.split(" ")
        if "-" not in fields:
            continue
        dash = fields.index("-")
        propagation = [tag.partition(":")[0] for tag in fields[6:dash]]
        yield {
            "destination": unescape(fields[4]),
            "type": fields[dash + 1],
            "source": unescape(fields[dash + 2]),
            "root": unescape(fields[3]),
            "options": [*fields[5].split(",")],
            "superOptions": [*fields[dash + 3].split(",")] if len(fields) > dash + 3 else [],
            "propagation": propagation[0] if propagation else "private",
        }


def unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo."""
    parts = text.split("\\")
    return parts[0] + "".join(
        chr(int(part[:3], 8)) + part[3:] if part[:3].isdigit() else f"\\{part}"
        for part in parts[1:]
    )


def read_devices(pid: int) -> list[Json]:
    """Return the device nodes of /dev, without what is below."""
    found: list[Json] = []
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return found
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        directory = native.open_in_root(root, "/dev", flags)
    except OSError:
        return found
    finally:
        os.close(root)
    try:
        for name in sorted(os.listdir(directory)):
            try:
                info = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except OSError:
                continue
            kind = {0o020000: "c", 0o060000: "b"}.get(info.st_mode & 0o170000)
            if kind:
                found.append(
                    {
                        "path": f"/dev/{name}",
                        "type": kind,
                        "major": os.major(info.st_rdev),
                        "minor": os.minor(info.st_rdev),
                        "fileMode": info.st_mode & 0o7777,
                    }
                )
    finally:
        os.close(directory)
    return found


def read_sockets(pid: int) -> list[Json]:
    """Return what somebody listens on in the network namespace: tcp, and Unix sockets by name."""
    found: list[Json] = []
    for family in ("tcp", "tcp6", "udp", "udp6"):
        for line in read(f"/proc/{pid}/net/{family}").splitlines()[1:]:
            fields = line.split()
            if family.startswith("udp") or fields[3] == _TCP_LISTEN:
                found.append({"type": family, "address": _address(fields[1])})
    for line in read(f"/proc/{pid}/net/unix").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        # A name may hold line breaks, and then imitate a line: what is no number is none.
        try:
            listens = len(fields) == 8 and int(fields[3], 16) & 0x10000  # __SO_ACCEPTCON
        except ValueError:
            continue
        if listens:
            found.append({"type": "unix", "address": fields[7]})
    return found


def _address(text: str) -> str:
    import ipaddress

    address, _, port = text.partition(":")
    words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
    host = ipaddress.ip_address(b"".join(words))
    return f"[{host}]:{int(port, 16)}" if host.version == 6 else f"{host}:{int(port, 16)}"


def read_cgroup(paths: Mapping[str, str]) -> dict[str, Json]:
    """Return where it is, the limits that are set, and what is used now."""
    limits: dict[str, Json] = {}
    for controllers, path in paths.items():
        if not controllers:
            names: tuple[str, ...] = LIMITS_V2
        else:
            names = sum((LIMITS_V1.get(name, ()) for name in controllers.split(",")), ())
        for name in names:
            value = read(f"{path}/{name}").strip()
            if value:
                limits[name] = value
    return {
        "paths": {**paths},
        "limits": limits,
        "usage": read_stats(paths),  # type: ignore[dict-item]
    }
