"""`doctor`: what this host can do for containers, what follows from what it cannot, and the remedy.

Each check looks, and changes nothing. "fail" means that ordinary containers do not work, "warn"
that something special does not.
"""

from __future__ import annotations

import os
import shutil

from ocipy.host.probe import probe_host
from ocipy.plan.create import KERNEL_MIN
from ocipy.sys.constants import CLONE_FLAG, NAMESPACE_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocipy.host.facts import HostFacts
    from ocipy.json_text import Json

OK, WARN, FAIL = "ok", "warn", "fail"

# user_namespaces(7) and namespaces(7): the sysctl that limits each type.
_LIMITS = {
    "pid": "max_pid_namespaces",
    "network": "max_net_namespaces",
    "mount": "max_mnt_namespaces",
    "ipc": "max_ipc_namespaces",
    "uts": "max_uts_namespaces",
    "user": "max_user_namespaces",
    "cgroup": "max_cgroup_namespaces",
    "time": "max_time_namespaces",
}
_NEEDED_NAMESPACES = ("pid", "network", "mount", "ipc", "uts")
_KERNEL_OPTION = {"network": "CONFIG_NET_NS", "mount": "", "cgroup": "CONFIG_CGROUPS"}
_CONTROLLERS = {
    "memory": (FAIL, "no memory limit can be kept"),
    "pids": (WARN, "a fork bomb in a container takes the whole machine"),
    "cpu": (WARN, "no limit of CPU time can be kept"),
    "cpuset": (WARN, "containers cannot be bound to CPUs"),
    "io": (WARN, "no limit of block I/O can be kept"),
    "hugetlb": (WARN, "no limit of huge pages can be kept"),
    "rdma": (WARN, "no limit of RDMA resources can be kept"),
}
# Who asks for these knows why: that most kernels are without them is no defect.
_RARE = ("hugetlb", "rdma")
_SECCOMP_ACTIONS = "kill_process kill_thread trap errno user_notif trace log allow".split()


class Check:
    """One thing that was looked at.

    Attributes:
        group, name: what it is, such as "cgroup" and "memory controller".
        verdict: OK, WARN or FAIL.
        found: what there is.
        consequence, remedy: what follows, and what to do; "" where all is well.
        pointer: the field of a bundle's config that is concerned, or "".
    """

    __slots__ = ("consequence", "found", "group", "name", "pointer", "remedy", "verdict")

    def __init__(
        self,
        group: str,
        name: str,
        verdict: str,
        found: str,
        consequence: str = "",
        remedy: str = "",
        pointer: str = "",
    ) -> None:
        self.group = group
        self.name = name
        self.verdict = verdict
        self.found = found
        self.consequence = consequence if verdict != OK else ""
        self.remedy = remedy if verdict != OK else ""
        self.pointer = pointer

    def to_json(self) -> dict[str, Json]:
        return {name: getattr(self, name) for name in sorted(self.__slots__)}


def worst(checks: list[Check]) -> str:
    """Return the worst verdict of all."""
    verdicts = {check.verdict for check in checks}
    return next((verdict for verdict in (FAIL, WARN) if verdict in verdicts), OK)


def examine_host(root: str) -> list[Check]:
    """Look at everything that containers need of this host; `root` is the state root."""
    host = probe_host()
    return [
        *_kernel(host),
        *_privileges(host, root),
        *_namespaces(host),
        *_cgroups(host),
        *_security(host),
        *_file_systems(host),
        *_programs(host),
    ]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def kernel_version(release: str) -> tuple[int, ...]:
    """Return (6, 1) for "6.1.0-18-amd64"."""
    numbers = release.split("-")[0].split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdigit())


def _kernel(host: HostFacts) -> Iterator[Check]:
    least = ".".join(map(str, KERNEL_MIN))
    enough = kernel_version(host.kernel) >= KERNEL_MIN
    yield Check(
        "kernel", "version", OK if enough else FAIL, f"Linux {host.kernel}",
        "no container can be made: mount_setattr(2) is missing",
        f"use Linux {least} or later",
    )  # fmt: skip
    machine = os.uname().machine
    yield Check(
        "kernel", "architecture", OK if machine in ("x86_64", "aarch64") else WARN, machine,
        "ocipy is tested on x86_64 and aarch64 alone", "report what you find",
    )  # fmt: skip
    memfd = _read("/proc/sys/vm/memfd_noexec")
    yield Check(
        "kernel", "executable memfd", FAIL if memfd == "2" else OK,
        f"vm.memfd_noexec = {memfd}" if memfd else "allowed",
        "ocipy-init is started from one, so no container can be made",
        "sysctl vm.memfd_noexec=1",
    )  # fmt: skip
    keys = _read("/proc/sys/kernel/keys/maxkeys")
    yield Check(
        "kernel", "session keyrings", OK if keys else WARN,
        f"{keys} keys for each user" if keys else "none",
        "create fails unless it is called with --no-new-keyring",
        "a kernel with CONFIG_KEYS",
    )  # fmt: skip


def _privileges(host: HostFacts, root: str) -> Iterator[Check]:
    if host.privileged:
        yield Check("privileges", "user", OK, "root of the host")
    elif host.capabilities >> 21 & 1:
        yield Check("privileges", "user", OK, "root of a user namespace: what the host's root may "
                    "do is limited to what the namespace owns")  # fmt: skip
    else:
        yield Check(
            "privileges", "user", WARN, f"user {host.euid}, without CAP_SYS_ADMIN",
            "only containers with a user namespace can be made",
            "'ocipy spec --rootless' writes such a config; or become root",
        )  # fmt: skip
    directory = root
    while not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    writable = os.access(directory, os.W_OK | os.X_OK)
    yield Check(
        "privileges", "state root", OK if writable else FAIL, root,
        f"{directory} cannot be written to: no container can be made",
        "choose another directory with --root",
    )  # fmt: skip


def _namespaces(host: HostFacts) -> Iterator[Check]:
    for kind, flag in CLONE_FLAG.items():
        needed = FAIL if kind in _NEEDED_NAMESPACES else WARN
        if not host.clone_flags & flag:
            option = _KERNEL_OPTION.get(kind) or f"CONFIG_{NAMESPACE_FILE[kind].upper()}_NS"
            yield Check(
                "namespaces", kind, needed, "not in this kernel",
                f"a config that asks for a {kind} namespace is refused", f"a kernel with {option}",
            )  # fmt: skip
            continue
        limit = _read(f"/proc/sys/user/{_LIMITS[kind]}")
        yield Check(
            "namespaces", kind, needed if limit == "0" else OK,
            f"at most {limit}" if limit else "available",
            f"no {kind} namespace can be made", f"sysctl user.{_LIMITS[kind]}=10000",
        )  # fmt: skip
    yield from _unprivileged_user_namespaces()


def _unprivileged_user_namespaces() -> Iterator[Check]:
    for sysctl, forbidden in (
        ("kernel.unprivileged_userns_clone", "0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1"),
    ):
        value = _read("/proc/sys/" + sysctl.replace(".", "/"))
        if not value:
            continue
        yield Check(
            "namespaces", "user, without root", WARN if value == forbidden else OK,
            f"{sysctl} = {value}", "only root can make containers",
            f"sysctl {sysctl}={1 - int(forbidden)}",
        )  # fmt: skip


def _cgroups(host: HostFacts) -> Iterator[Check]:
    facts = host.cgroup
    found = {
        "v2": "version 2",
        "hybrid": "version 1, and version 2 beside it",
        "v1": "version 1",
        "none": "not mounted",
    }[facts.mode]
    if facts.mode == "none":
        yield Check(
            "cgroup", "hierarchy", FAIL, found, "no limit can be kept, and pause does not work",
            "mount -t cgroup2 none /sys/fs/cgroup",
        )  # fmt: skip
        return
    where = facts.unified.mountpoint if facts.mode == "v2" and facts.unified else "/sys/fs/cgroup"
    yield Check("cgroup", "hierarchy", OK, f"{found}, on {where}")
    for name, (verdict, consequence) in _CONTROLLERS.items():
        old_name = "blkio" if name == "io" else name
        version = 1 if facts.v1_hierarchy(old_name) else 2 if facts.unified_has(name) else 0
        yield Check(
            "cgroup", f"{name} controller",
            OK if version or name in _RARE else verdict,
            f"version {version}" if version else "not available", consequence,
            f"mount it, or enable it in the parent's cgroup.subtree_control ('+{name}')",
        )  # fmt: skip
    yield from _delegation(host)


def _delegation(host: HostFacts) -> Iterator[Check]:
    if host.euid == 0 and not host.in_user_namespace:
        return
    unified = host.cgroup.unified
    own = f"{unified.mountpoint}{unified.own_path}" if unified else ""
    delegated = bool(own) and os.access(f"{own}/cgroup.procs", os.W_OK)
    yield Check(
        "cgroup", "delegation", OK if delegated else WARN,
        f"{own} is ours" if delegated else "our cgroup is not ours to write to",
        "limits of containers without root are ignored or refused",
        "start ocipy in a cgroup of its own: systemd-run --user --scope -p Delegate=yes ...",
    )  # fmt: skip


def _security(host: HostFacts) -> Iterator[Check]:
    actions = _read("/proc/sys/kernel/seccomp/actions_avail").split()
    missing = [name for name in _SECCOMP_ACTIONS if name not in actions]
    yield Check(
        "security", "seccomp", FAIL if not actions else WARN if missing else OK,
        f"{len(actions)} actions" + (f", not {', '.join(missing)}" if missing else ""),
        "profiles that use them are refused" if actions else "no profile can be loaded",
        "a newer kernel" if actions else "a kernel with CONFIG_SECCOMP_FILTER",
    )  # fmt: skip
    from ocipy.sys import seccomp_native

    yield Check("security", "libseccomp", OK, seccomp_native.libseccomp_version())
    modules = _read("/sys/kernel/security/lsm") or ", ".join(host.lsms)
    yield Check(
        "security", "security modules", OK if host.lsms else WARN,
        modules or "none that label processes",
        "apparmorProfile is refused, selinuxLabel as well; one wall less around each container",
        "boot with a kernel that has AppArmor or SELinux (lsm=...)",
    )  # fmt: skip
    missing_capabilities = (
        host.last_capability
        + 1
        - (host.bounding & ((1 << (host.last_capability + 1)) - 1)).bit_count()
    )
    yield Check(
        "security", "capabilities", WARN if missing_capabilities else OK,
        f"{host.last_capability + 1 - missing_capabilities} of {host.last_capability + 1} may be "
        "given to containers",
        "configs that ask for the others get a warning, and containers without them",
        "start ocipy with a full bounding set",
    )  # fmt: skip


def _file_systems(host: HostFacts) -> Iterator[Check]:
    known = {line.split("\t")[-1] for line in _read("/proc/filesystems").splitlines()}
    yield Check(
        "file systems", "overlay", OK if "overlay" in known else WARN,
        "in the kernel" if "overlay" in known else "not loaded",
        "Docker, podman and containerd need it for images (ocipy itself does not)",
        "modprobe overlay",
    )  # fmt: skip
    yield Check(
        "file systems", "idmapped mounts", *_idmapped_mounts(host),
        "mounts with uidMappings and gidMappings are refused",
        "Linux 5.12 or later, a file system that supports it (ext4, xfs, btrfs, tmpfs since 6.3, "
        "overlay since 6.5), and root",
    )  # fmt: skip
    root_type = ""
    for line in _read("/proc/self/mountinfo").splitlines():
        fields = line.split(" ")
        if fields[4] == "/":
            root_type = fields[fields.index("-") + 1]
    ramdisk = root_type in ("rootfs", "ramfs")
    yield Check(
        "file systems", "root of the host", WARN if ramdisk else OK, root_type or "unknown",
        "pivot_root(2) does not work on an initramfs", "give create and run --no-pivot",
    )  # fmt: skip


def _idmapped_mounts(host: HostFacts) -> tuple[str, str]:
    """Try one, on a copy of the mount of /tmp that nobody sees: it is never attached."""
    if not host.privileged:
        return (WARN, "not without root")
    from ocipy.signals import SIGKILL, pidfd_send_signal
    from ocipy.sys import native, userns_native
    from ocipy.sys.fd import write_proc_file

    pid, pidfd = userns_native.clone_userns()
    tree = userns = -1
    try:
        write_proc_file(f"/proc/{pid}/uid_map", "0 100000 65536")
        write_proc_file(f"/proc/{pid}/gid_map", "0 100000 65536")
        userns = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        tree = native.open_tree("/tmp", recursive=False)
        userns_native.idmap_tree(tree, userns, recursive=False)
        return (OK, "tried on /tmp")
    except OSError as error:
        return (WARN, f"tried on /tmp: {(error.strerror or str(error)).lower()}")
    finally:
        pidfd_send_signal(pidfd, SIGKILL)
        os.waitpid(pid, 0)
        for fd in (pidfd, tree, userns):
            if fd >= 0:
                os.close(fd)


def _programs(host: HostFacts) -> Iterator[Check]:
    if host.euid == 0:
        installed = all(map(shutil.which, ("newuidmap", "newgidmap")))
        yield Check(
            "programs", "newuidmap", OK if installed else WARN,
            "installed" if installed else "not installed",
            "without root a container has one user id only",
            "install uidmap (Debian) or shadow-utils (Fedora)",
        )  # fmt: skip
    else:
        from ocipy.observe.doctor_rootless import user_checks

        yield from user_checks(os.environ)
    systemd = os.path.isdir("/run/systemd/system")
    bus = os.path.exists("/run/dbus/system_bus_socket")
    yield Check(
        "programs", "systemd and D-Bus", OK,
        f"systemd {'runs' if systemd else 'does not run'}, "
        f"{'a' if bus else 'no'} system bus",
    )  # fmt: skip
    criu = shutil.which("criu")
    yield Check(
        "programs", "criu", OK, criu or "not installed: containers cannot be checkpointed"
    )  # fmt: skip
