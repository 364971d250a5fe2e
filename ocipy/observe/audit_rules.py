"""The rules of `audit`, one function each: what a config gives away, why it matters, the remedy.

A rule gets an accepted config and yields findings. Severities say what a process in the container
can do with it: "critical" is the host's root, "high" a good part of it or of the other containers,
"medium" a wall less, "low" a habit worth having.
"""

from __future__ import annotations

import os

from ocipy.json_position import escape
from ocipy.observe import docker_default

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocipy.config._generated_types import Config, Mount
    from ocipy.json_text import Json

SEVERITIES = ("info", "low", "medium", "high", "critical")


class Finding:
    """One thing that a config gives away.

    Attributes:
        rule: its name, stable: "host-pid-namespace".
        severity: one of SEVERITIES.
        pointer: the field of config.json; of what is missing, where it belongs.
        message: what there is; `reason` why that matters; `remedy` what to do.
        location: "config.json:12:7", set by who has the text.
    """

    __slots__ = ("location", "message", "pointer", "reason", "remedy", "rule", "severity")

    def __init__(
        self, rule: str, severity: str, pointer: str, message: str, reason: str, remedy: str
    ) -> None:
        self.rule = rule
        self.severity = severity
        self.pointer = pointer
        self.message = message
        self.reason = reason
        self.remedy = remedy
        self.location = ""

    def to_json(self) -> dict[str, Json]:
        return {name: getattr(self, name) for name in sorted(self.__slots__)}


_HOST_NAMESPACE = {
    "pid": ("high", "it sees all processes of the host, may signal those of its user, and reads "
            "what /proc tells of them"),
    "network": ("high", "it reaches every service of the host that listens on localhost, and "
                "abstract Unix sockets, such as containerd's shims have"),
    "mount": ("critical", "its mounts are the host's"),
    "ipc": ("medium", "it reads and writes shared memory and message queues of the host"),
    "uts": ("low", "with CAP_SYS_ADMIN it changes the host's name"),
    "cgroup": ("low", "it sees where in the host's cgroups it is"),
}  # fmt: skip


def host_namespaces(config: Config) -> Iterator[Finding]:
    asked = {ns["type"]: ns for ns in config.get("linux", {}).get("namespaces", ())}
    for i, ns in enumerate(config.get("linux", {}).get("namespaces", ())):
        path, joined = ns.get("path", ""), ns["type"]
        if path.startswith(("/proc/1/", "/proc/self/")) and joined in _HOST_NAMESPACE:
            severity, reason = _HOST_NAMESPACE[joined]
            yield Finding(
                f"host-{joined}-namespace", severity, f"/linux/namespaces/{i}/path",
                f"joins the {joined} namespace of the host ({path})", reason, "leave the path out",
            )  # fmt: skip
    for kind, (severity, reason) in _HOST_NAMESPACE.items():
        if kind not in asked:
            yield Finding(
                f"host-{kind}-namespace", severity, "/linux/namespaces",
                f"no {kind} namespace: the container is in that of the host", reason,
                f'add {{"type": "{kind}"}}',
            )  # fmt: skip


def root_without_user_namespace(config: Config) -> Iterator[Finding]:
    if any(ns["type"] == "user" for ns in config.get("linux", {}).get("namespaces", ())):
        for kind in ("uidMappings", "gidMappings"):
            for i, mapping in enumerate(config.get("linux", {}).get(kind, ())):  # type: ignore[arg-type, var-annotated]
                if mapping["hostID"] == 0:
                    yield Finding(
                        "host-root-mapped", "medium", f"/linux/{kind}/{i}/hostID",
                        "an id of the container is the host's root", "files of root are its own: "
                        "the user namespace keeps little away",
                        "map to ids that nobody else has",
                    )  # fmt: skip
        return
    if config.get("process", {}).get("user", {}).get("uid", 0) == 0:
        yield Finding(
            "root-without-user-namespace", "medium", "/process/user/uid",
            "the process is root, and its root is the host's",
            "whatever gets out of the container is root outside",
            "run as another user, or add a user namespace with uidMappings and gidMappings",
        )  # fmt: skip


_DANGEROUS = {
    "CAP_SYS_ADMIN": ("critical", "mounts, namespaces, and much of what root may do"),
    "CAP_SYS_MODULE": ("critical", "loads modules into the host's kernel"),
    "CAP_SYS_RAWIO": ("critical", "reads and writes the memory and the ports of the machine"),
    "CAP_SYS_PTRACE": ("high", "controls every process that it sees"),
    "CAP_DAC_READ_SEARCH": ("critical", "opens any file of a mounted file system by its handle "
                            "(open_by_handle_at(2)), outside of the container, too"),
    "CAP_BPF": ("high", "loads programs into the host's kernel"),
    "CAP_PERFMON": ("high", "reads what all processors do"),
    "CAP_NET_ADMIN": ("high", "changes addresses, routes and firewalls of its network namespace"),
    "CAP_SYS_BOOT": ("high", "reboots the machine, or loads another kernel"),
    "CAP_SYS_TIME": ("medium", "sets the host's clock"),
    "CAP_SYS_CHROOT": ("low", "Docker gives it as well; few programs need it"),
    "CAP_SYSLOG": ("medium", "reads the kernel's messages, with addresses in them"),
    "CAP_SYS_RESOURCE": ("medium", "goes past its rlimits and quotas"),
    "CAP_SYS_NICE": ("low", "takes CPU time from others"),
    "CAP_IPC_LOCK": ("low", "locks memory"),
    "CAP_MAC_ADMIN": ("high", "changes the policy of the security module"),
    "CAP_MAC_OVERRIDE": ("high", "goes past the security module"),
    "CAP_CHECKPOINT_RESTORE": ("medium", "makes processes with chosen ids, reads their memory"),
    "CAP_LINUX_IMMUTABLE": ("low", "makes files that nobody can remove"),
    "CAP_AUDIT_CONTROL": ("medium", "switches the host's audit off"),
    "CAP_AUDIT_READ": ("medium", "reads the host's audit log"),
    "CAP_WAKE_ALARM": ("low", "wakes the machine"),
    "CAP_BLOCK_SUSPEND": ("low", "keeps the machine awake"),
}  # fmt: skip


def capabilities(config: Config) -> Iterator[Finding]:
    sets = config.get("process", {}).get("capabilities", {})
    own_user_namespace = any(
        ns["type"] == "user" and not ns.get("path")
        for ns in config.get("linux", {}).get("namespaces", ())
    )
    seen = set()
    for kind in ("effective", "permitted", "bounding", "ambient"):
        for i, name in enumerate(sets.get(kind, ())):  # type: ignore[arg-type, var-annotated]
            if name in seen or name in docker_default.CAPABILITIES or name not in _DANGEROUS:
                continue
            seen.add(name)
            severity, reason = _DANGEROUS[name]
            if own_user_namespace:
                severity = "low" if severity in ("low", "medium") else "medium"
                reason += "; in a user namespace of its own, of what that owns"
            yield Finding(
                "dangerous-capability", severity, f"/process/capabilities/{kind}/{i}",
                f"{name} is given", reason, "take it out of all sets",
            )  # fmt: skip
    if sets.get("inheritable"):
        yield Finding(
            "inheritable-capabilities", "low", "/process/capabilities/inheritable",
            "the inheritable set is not empty", "files with inheritable capabilities give them "
            "to users who are not root (CVE-2022-24769)", "empty it",
        )  # fmt: skip


_SOCKETS = {
    "docker.sock": "whoever talks to Docker is root of the host",
    "containerd.sock": "whoever talks to containerd is root of the host",
    "crio.sock": "whoever talks to CRI-O is root of the host",
    "podman.sock": "whoever talks to podman may do what its user may",
    "kubelet.sock": "it registers device plugins with the node",
    "system_bus_socket": "systemd and others obey whoever is root there",
    "private": "systemd's private socket starts units as root",
}
_SENSITIVE = {
    "/": ("critical", "all files of the host"),
    "/etc": ("high", "passwords, keys and the configuration of every service"),
    "/root": ("high", "the keys of the host's root"),
    "/home": ("high", "the keys of the users"),
    "/boot": ("high", "the kernel that the host starts next"),
    "/dev": ("critical", "the disks of the host"),
    "/proc": ("critical", "the host's kernel: core_pattern and sysrq among others"),
    "/sys": ("high", "the host's devices and kernel settings"),
    "/run": ("high", "the sockets of the host's services"),
    "/var/run": ("high", "the sockets of the host's services"),
    "/var/lib/docker": ("critical", "the files of all other containers"),
    "/var/lib/containerd": ("critical", "the files of all other containers"),
    "/var/lib/kubelet": ("critical", "the secrets of all pods"),
    "/usr": ("high", "the programs that the host runs"),
    "/bin": ("high", "the programs that the host runs"),
    "/lib": ("high", "the libraries that the host runs"),
    "/var/log": ("medium", "links in there are followed by who reads logs as root"),
}


def mounts(config: Config) -> Iterator[Finding]:
    for i, mount in enumerate(config.get("mounts", ())):
        options = mount.get("options", [])
        if "bind" in options or "rbind" in options or mount.get("type") == "bind":
            yield from _bind(i, mount)
        if {"rshared", "shared"} & {*options}:
            yield Finding(
                "shared-propagation", "high", f"/mounts/{i}/options",
                f"{mount['destination']} is shared with the host", "what is mounted there in the "
                "container appears on the host", "use rslave or rprivate",
            )  # fmt: skip
        if mount.get("type") == "sysfs" and "ro" not in options:
            yield Finding(
                "writable-sysfs", "medium", f"/mounts/{i}/options", "/sys can be written to",
                "devices and kernel settings of the host, as far as the container's user may",
                'add "ro"',
            )  # fmt: skip
        if mount.get("type") in ("cgroup", "cgroup2") and "ro" not in options:
            yield Finding(
                "writable-cgroup", "medium", f"/mounts/{i}/options",
                f"{mount['destination']} can be written to",
                "the container changes its own limits (v1: release_agent, CVE-2022-0492)",
                'add "ro"',
            )  # fmt: skip


def _bind(i: int, mount: Mount) -> Iterator[Finding]:
    source, read_only = os.path.normpath(mount.get("source", "")), False
    options = mount.get("options", [])
    read_only = "ro" in options or "rro" in options
    name = os.path.basename(source)
    for socket, reason in _SOCKETS.items():
        if name == socket and (socket != "private" or "systemd" in source):
            yield Finding(
                "sensitive-socket", "critical" if socket != "podman.sock" else "high",
                f"/mounts/{i}/source", f"{source} is mounted on {mount['destination']}",
                f"{reason}; read-only does not help", "leave it out",
            )  # fmt: skip
            return
    if source not in _SENSITIVE:
        return
    severity, reason = _SENSITIVE[source]
    if read_only and severity != "medium":
        severity = "high" if severity == "critical" else "medium"
    yield Finding(
        "sensitive-mount", severity, f"/mounts/{i}/source",
        f"{source} of the host is mounted on {mount['destination']}"
        f"{', read-only' if read_only else ', and can be written to'}",
        reason, "mount only what the program needs, with ro, nosuid, nodev and noexec",
    )  # fmt: skip


_FORBIDDEN_CALLS = """add_key bpf finit_module init_module kexec_file_load kexec_load keyctl mount
move_mount open_by_handle_at open_tree perf_event_open pivot_root setns umount2 unshare
userfaultfd""".split()


def seccomp(config: Config) -> Iterator[Finding]:
    profile = config.get("linux", {}).get("seccomp")
    if profile is None:
        yield Finding(
            "no-seccomp", "high", "/linux/seccomp", "there is no seccomp profile",
            "all of the kernel's 350 system calls can be attacked",
            "take Docker's profile, or record one: ocipy run --record-seccomp FILE",
        )  # fmt: skip
        return
    if profile["defaultAction"] in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG"):
        denied = {
            name
            for rule in profile.get("syscalls", ())
            if rule["action"] not in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")
            for name in rule["names"]
        }
        missing = [name for name in _FORBIDDEN_CALLS if name not in denied]
        if missing:
            yield Finding(
                "permissive-seccomp", "high" if len(missing) > 8 else "medium",
                "/linux/seccomp/defaultAction",
                f"the profile allows what it does not name, {', '.join(missing[:4])} among it",
                "new system calls are allowed before anybody has looked at them",
                "list what is allowed, with SCMP_ACT_ERRNO as the default",
            )  # fmt: skip
        return
    for i, rule in enumerate(profile.get("syscalls", ())):
        if rule["action"] != "SCMP_ACT_ALLOW" or rule.get("args"):
            continue
        found = [name for name in rule["names"] if name in _FORBIDDEN_CALLS]
        if found:
            yield Finding(
                "permissive-seccomp", "medium", f"/linux/seccomp/syscalls/{i}/names",
                f"the profile allows {', '.join(found[:6])}", "Docker's does not, unless a "
                "capability asks for it", "take them out",
            )  # fmt: skip


def privileges(config: Config) -> Iterator[Finding]:
    process = config.get("process")
    if process is None:
        return
    if not process.get("noNewPrivileges"):
        yield Finding(
            "new-privileges", "medium", "/process/noNewPrivileges",
            "setuid programs of the image give privileges",
            "a user of the container becomes its root", "set it to true",
        )  # fmt: skip
    if process.get("oomScoreAdj", 0) < -500:
        yield Finding(
            "oom-protected", "medium", "/process/oomScoreAdj",
            "others are killed before it when memory is short",
            "a container that eats memory outlives the host's services", "leave it out",
        )  # fmt: skip
    if process.get("apparmorProfile") == "unconfined":
        yield Finding(
            "unconfined", "medium", "/process/apparmorProfile", "AppArmor is switched off",
            "a wall less", "name a profile",
        )  # fmt: skip
    for i, entry in enumerate(process.get("env", ())):
        name = entry.partition("=")[0].upper()
        if any(word in name for word in ("PASSWORD", "SECRET", "TOKEN", "API_KEY")):
            yield Finding(
                "secret-in-environment", "low", f"/process/env/{i}",
                f"{entry.partition('=')[0]} looks like a secret",
                "it stands in config.json, in /proc/PID/environ, and goes to every child",
                "mount it as a file that only the program's user reads",
            )  # fmt: skip


def hidden_paths(config: Config) -> Iterator[Finding]:
    linux = config.get("linux", {})
    destinations = {mount["destination"].rstrip("/") for mount in config.get("mounts", ())}
    for field, defaults, reason in (
        ("maskedPaths", docker_default.MASKED_PATHS, "they tell of the host, and of its keys and "
         "memory"),
        ("readonlyPaths", docker_default.READONLY_PATHS, "root of the container changes settings "
         "of the host's kernel, or reboots it (/proc/sysrq-trigger)"),
    ):  # fmt: skip
        listed = {path.rstrip("/") for path in linux.get(field, ())}  # type: ignore[attr-defined]
        missing = [
            path
            for path in defaults
            if path not in listed and f"/{path.split('/')[1]}" in destinations
        ]
        if not missing:
            continue
        severe = "high" if field == "readonlyPaths" else "medium"
        yield Finding(
            f"missing-{field.removesuffix('Paths')}-paths",
            severe if len(missing) > len(defaults) // 2 else "low", f"/linux/{field}",
            f"Docker's default has {', '.join(missing[:4])}"
            + (f" and {len(missing) - 4} more" if len(missing) > 4 else ""),
            reason, "add them",
        )  # fmt: skip


def limits(config: Config) -> Iterator[Finding]:
    resources = config.get("linux", {}).get("resources", {})
    unified = resources.get("unified", {})
    if resources.get("pids", {}).get("limit", -1) <= 0 and "pids.max" not in unified:
        yield Finding(
            "no-pids-limit", "medium", "/linux/resources/pids/limit",
            "there is no limit of processes", "a fork bomb takes the whole machine",
            "set it to a few hundred",
        )  # fmt: skip
    if resources.get("memory", {}).get("limit", -1) <= 0 and "memory.max" not in unified:
        yield Finding(
            "no-memory-limit", "medium", "/linux/resources/memory/limit",
            "there is no limit of memory", "it makes the kernel kill others", "set it",
        )  # fmt: skip
    cpu = resources.get("cpu", {})
    if cpu.get("quota", -1) <= 0 and not cpu.get("cpus") and not {
        "cpu.max", "cpuset.cpus"
    } & {*unified}:  # fmt: skip
        yield Finding(
            "no-cpu-limit", "low", "/linux/resources/cpu/quota",
            "there is no limit of CPU time", "it slows down all others", "set quota and period",
        )  # fmt: skip
    if resources.get("memory", {}).get("disableOOMKiller"):
        yield Finding(
            "no-oom-killer", "low", "/linux/resources/memory/disableOOMKiller",
            "processes wait for ever when memory is short", "the container hangs", "leave it out",
        )  # fmt: skip


def devices(config: Config) -> Iterator[Finding]:
    linux = config.get("linux", {})
    rules = linux.get("resources", {}).get("devices", [])
    for i, rule in enumerate(rules):
        everything = rule.get("type", "a") in ("a", "") and rule.get("major", -1) in (-1, None)
        if rule["allow"] and everything and set(rule.get("access", "rwm")) - {"m"}:
            yield Finding(
                "all-devices", "critical", f"/linux/resources/devices/{i}",
                "all devices of the host are allowed",
                "with CAP_MKNOD it reads and writes the disks", "allow single devices",
            )  # fmt: skip
    for i, device in enumerate(linux.get("devices", ())):
        number = (device["type"], device.get("major"), device.get("minor"))
        if device["type"] == "b" or number in (("c", 1, 1), ("c", 1, 2), ("c", 1, 4)):
            yield Finding(
                "dangerous-device", "critical", f"/linux/devices/{i}",
                f"{device['path']} is {'a disk' if device['type'] == 'b' else 'memory'}",
                "what is on it is read and written without any check", "leave it out",
            )  # fmt: skip


def root(config: Config) -> Iterator[Finding]:
    if os.path.normpath(config["root"]["path"]) == "/":
        yield Finding(
            "host-root", "critical", "/root/path", "the root file system is the host's",
            "all files of the host", "unpack an image",
        )  # fmt: skip
    if not config["root"].get("readonly"):
        yield Finding(
            "writable-root", "low", "/root/readonly", "the root file system can be written to",
            "what gets in stays, and may replace programs", "set it to true, and mount a tmpfs "
            "or a volume where the program writes",
        )  # fmt: skip


def hooks(config: Config) -> Iterator[Finding]:
    for kind, entries in config.get("hooks", {}).items():
        for i, hook in enumerate(entries):  # type: ignore[arg-type, var-annotated]
            path = str(hook["path"])
            pointer = f"/hooks/{escape(kind)}/{i}/path"
            if kind == "startContainer":
                continue  # runs in the container, as its process
            try:
                mode = os.stat(path).st_mode
            except OSError:
                mode = 0
            if mode & 0o022:
                yield Finding(
                    "writable-hook", "critical", pointer,
                    f"{path} can be written to by others than its owner",
                    "it is run on the host by who runs the container, as root mostly",
                    "chmod go-w",
                )  # fmt: skip
            else:
                yield Finding(
                    "host-hook", "info", pointer, f"{path} is run on the host",
                    "it may do there what the runtime may", "know what it does",
                )  # fmt: skip


RULES: tuple[Callable[[Config], Iterator[Finding]], ...] = (
    host_namespaces,
    root_without_user_namespace,
    root,
    capabilities,
    privileges,
    seccomp,
    mounts,
    hidden_paths,
    devices,
    limits,
    hooks,
)
