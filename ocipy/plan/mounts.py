"""Mounts: `mounts` of config.json to steps, in the listed order. Spec (config.md#mounts).

A new file system is made by init, in the container's namespaces. The source of a bind is opened by
the host where ocipy is privileged, as a detached copy of the mount: so it means the same path
whatever namespaces the container joins, a missing one is found before anything is made, and users
that may not go there do not matter. The copy is still a peer of the host's mount, so it is first
made what it would be if the container's mount namespace had copied it (rootfs.host_propagation).

All are put in place in the listed order. /proc/PID/mountinfo goes by age since Linux 6.8, and would
list the host's copies first. A copy of the copy is not to be had in another mount namespace
(EINVAL), so at its turn init copies the mount that its namespace has inherited (`in_order`), if the
path leads to the same file there, and where no user namespace has locked what it has inherited.
"""

from __future__ import annotations

from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan import _generated_steps as steps
from ocipy.plan.cgroup_mounts import plan_cgroup_mount
from ocipy.plan.devices import clean_path
from ocipy.plan.idmap import map_lines
from ocipy.plan.mount_options import parse_mount_options, split_data
from ocipy.plan.rootfs import has_namespace, host_propagation
from ocipy.plan.step import HostFd
from ocipy.sys.mount_constants import (
    AT_RECURSIVE,
    FSCONFIG_VALUE_MAX,
    IDMAP_RECURSIVE,
    MOUNT_ATTR_RDONLY,
    MS_I_VERSION,
    MS_RDONLY,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config, Mount
    from ocipy.host.facts import HostFacts
    from ocipy.plan.request import CreateRequest
    from ocipy.plan.step import Step

# What lxcfs and engines put over files of /proc; anything else there could redirect what ocipy
# writes to /proc later on (CVE-2019-16884). The same list as runc's, to which configs are written.
_PROC_FILES = frozenset(
    (
        "/proc/cpuinfo",
        "/proc/diskstats",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/slabinfo",
        "/proc/stat",
        "/proc/swaps",
        "/proc/sys/crypto/fips_enabled",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/uptime",
    )
)
# Where the container finds the socket for sd_notify(3); the same place as runc's.
NOTIFY_DIRECTORY = "/run/notify"
# File systems whose files have labels of their own, so that runc gives them no context= either.
_UNLABELLED = ("proc", "sysfs", "mqueue", "cgroup", "cgroup2")


def plan_mounts(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the steps of all mounts; what must stay writable is left to plan_late_mounts().

    Raises:
        ConfigError: an entry contradicts itself, or the container has no mount namespace.
        UnsupportedError: this host, or this user, cannot do it.
    """
    mounts = config.get("mounts") or []
    if mounts and not has_namespace(config, "mount"):
        raise ConfigError(
            "/mounts",
            "mounts need a mount namespace: they would be made on the host",
            hint='add {"type": "mount"} to linux.namespaces',
        )
    _check_label(config, host)
    plan: list[Step] = []
    for i, mount in enumerate(mounts):
        planner = _MountPlanner(config, host, request, mount, f"/mounts/{i}")
        plan.extend(planner.plan())
    if request.notify_directory and has_namespace(config, "mount"):
        notify: Mount = {
            "destination": NOTIFY_DIRECTORY,
            "type": "bind",
            "source": request.notify_directory,
            "options": ["bind", "nosuid", "nodev", "noexec", "ro"],
        }
        plan.extend(_MountPlanner(config, host, request, notify, "").plan())
    return plan


def notify_directory(config: Config, request: CreateRequest) -> str:
    """Return the directory of the notify socket as the container process sees it."""
    return NOTIFY_DIRECTORY if has_namespace(config, "mount") else request.notify_directory


def plan_inherited_mounts(mounts: list[Step], config: Config) -> list[Step]:
    """Return, for the steps of plan_mounts(), what is to be done before init becomes root.

    In a user namespace the sources of binds are better taken from the mounts that the container's
    mount namespace has inherited than from the host's copies; an id-mapped one only the host has.
    """
    if not has_namespace(config, "user"):
        return []
    return [
        steps.InheritMount(step.source, tree=step.tree, path=step.path, recursive=step.recursive)
        for step in mounts
        if isinstance(step, steps.MountBind) and step.tree and not step.tree.is_idmapped
    ]


def plan_late_mounts(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the steps that make read-only what devices and links had to be put in first."""
    plan: list[Step] = []
    for i, mount in enumerate(config.get("mounts") or []):
        target = clean_path(mount["destination"])
        options = parse_mount_options(mount.get("options") or [], f"/mounts/{i}/options")
        if _is_late(mount, target) and not options.bind and not options.remount:
            recursive = bool(options.recursive_set & MOUNT_ATTR_RDONLY)
            if options.flags & MS_RDONLY or recursive:
                plan.append(
                    steps.SetMountAttributes(
                        f"/mounts/{i}",
                        target=target,
                        attr_set=MOUNT_ATTR_RDONLY,
                        recursive=recursive,
                    )
                )
    return plan


def _is_late(mount: Mount, target: str) -> bool:
    return mount.get("type") == "tmpfs" or target == "/dev"


def _check_label(config: Config, host: HostFacts) -> None:
    label = config.get("linux", {}).get("mountLabel")
    if label and "selinux" not in host.lsms:
        raise UnsupportedError(
            "/linux/mountLabel", f"cannot label mounts {label!r}: SELinux is not enabled here"
        )


class _MountPlanner:
    """The steps of one entry of `mounts`."""

    def __init__(
        self, config: Config, host: HostFacts, request: CreateRequest, mount: Mount, source: str
    ) -> None:
        self.config = config
        self.host = host
        self.request = request
        self.mount = mount
        self.source = source
        # Spec (config.md#mounts): a relative path MUST be interpreted as relative to "/".
        self.target = clean_path(mount["destination"])
        self.options = parse_mount_options(mount.get("options") or [], f"{source}/options")

    def plan(self) -> list[Step]:
        options = self.options
        if options.remount:
            return self._plan_remount()
        if self.target == "/":
            raise ConfigError(f"{self.source}/destination", "nothing can be mounted on the root")
        self._check_proc()
        if options.copy_up and (self.mount.get("type") != "tmpfs" or options.bind):
            raise ConfigError(f"{self.source}/options", "tmpcopyup is for mounts of type tmpfs")
        if options.bind:
            plan = self._plan_bind()
        elif self.mount.get("type") == "cgroup":
            plan = plan_cgroup_mount(
                self.config, self.host, self.request, self.source, self.target, options
            )
        else:
            plan = self._plan_filesystem()
        # A second type, as of ["slave", "shared"], comes on top of the first.
        plan.extend(
            steps.SetMountAttributes(self.source, target=self.target, propagation=propagation)
            for propagation in options.propagation[1:]
        )
        return plan

    @property
    def _propagation(self) -> int:
        return self.options.propagation[0] if self.options.propagation else 0

    def _check_proc(self) -> None:
        """Refuse what could fake a part of /proc; the texts are runc's, which engines know."""
        target = self.target
        if target == "/proc":
            if not self.options.bind and self.mount.get("type") != "proc":
                raise ConfigError(
                    self.source, f'"{target}" cannot be mounted because it is not of type proc'
                )
        elif target.startswith("/proc/") and target not in _PROC_FILES:
            raise ConfigError(
                self.source, f'"{target}" cannot be mounted because it is inside /proc'
            )

    @property
    def _on_proc(self) -> bool:
        return self.target == "/proc" or self.target in _PROC_FILES

    def _plan_bind(self) -> list[Step]:
        path = self.mount.get("source", "")
        if not path:
            raise ConfigError(self.source, "a bind mount needs a source")
        # Spec (config.md#mounts): absolute or relative to the bundle.
        if not path.startswith("/"):
            path = f"{self.request.bundle}/{path}"
        options = self.options
        tree = self._bind_tree(path)
        attr_set, attr_clear, attr_reset = options.bind_attributes()
        if has_namespace(self.config, "user"):
            # What the host's mount has stays: a mount inherited by the namespace has it locked, and
            # the host's own copy must not give more.
            attr_reset = 0
        return [
            steps.MountBind(
                self.source,
                tree=tree,
                path=path,
                target=self.target,
                recursive=options.recursive,
                origin_propagation=host_propagation(self.config) if tree else 0,
                attr_set=attr_set,
                attr_clear=attr_clear,
                attr_reset=attr_reset,
                recursive_set=options.recursive_set,
                recursive_clear=options.recursive_clear,
                propagation=self._propagation,
                on_proc=self._on_proc,
                of_proc=self.target == "/proc",
                in_order=self._can_be_inherited(path, tree),
            )
        ]

    def _can_be_inherited(self, path: str, tree: HostFd | None) -> bool:
        """Whether init may copy the source itself: then the mounts it has made are not in it."""
        if tree is None or tree.is_idmapped or has_namespace(self.config, "user"):
            return False
        # With all that is mounted below it, the copy would have the container's own root in it.
        above = clean_path(path).rstrip("/")
        holds_rootfs = (self.request.rootfs + "/").startswith(above + "/")
        return not (self.options.recursive and holds_rootfs)

    def _bind_tree(self, path: str) -> HostFd | None:
        flags = AT_RECURSIVE if self.options.recursive else 0
        mapping = self._id_mapping()
        if mapping is None:
            if not self.host.privileged:
                return None
            return HostFd(path, "tree", flags, wanted_by=self.source)
        if self.options.idmap == "ridmap":
            flags |= IDMAP_RECURSIVE
        return HostFd(path, "tree", flags, mapping.mappings, mapping.userns, self.source)

    def _id_mapping(self) -> HostFd | None:
        """Return the user namespace whose ids the mount shall have; None if it is not asked for."""
        mount, options = self.mount, self.options
        own = [mount.get(field) or [] for field in ("uidMappings", "gidMappings")]
        # Spec (config.md#posix-platform-mounts): if specified, it MUST be specified along with
        # gidMappings.
        if bool(own[0]) != bool(own[1]):
            raise ConfigError(self.source, "uidMappings and gidMappings must be given together")
        if not own[0] and not options.idmap:
            return None
        if not self.host.privileged:
            raise UnsupportedError(
                f"{self.source}/options",
                "an id-mapped mount needs CAP_SYS_ADMIN in the host's user namespace",
                hint="run ocipy as root, or change the owners of the files",
            )
        if not own[0]:
            linux = self.config.get("linux", {})
            for namespace in linux.get("namespaces", []):
                if namespace["type"] == "user" and namespace.get("path"):
                    path = namespace["path"]
                    return HostFd("", "userns", userns=path, wanted_by=self.source)
            own = [linux.get("uidMappings") or [], linux.get("gidMappings") or []]
            # Spec (config.md#linux-mount-options): without mappings, and if the container isn't
            # using user namespaces, an error MUST be returned.
            if not has_namespace(self.config, "user") or not own[0] or not own[1]:
                raise ConfigError(
                    f"{self.source}/options",
                    f"{options.idmap} without uidMappings and gidMappings",
                    hint="give the mount its own, or the container a user namespace",
                )
        uids, gids = (tuple(map_lines(mappings)) for mappings in own)  # type: ignore[arg-type]
        return HostFd("", "userns", mappings=(uids, gids), wanted_by=self.source)

    def _plan_filesystem(self) -> list[Step]:
        options, fstype = self.options, self.mount.get("type", "")
        if not fstype:
            raise ConfigError(self.source, "a mount needs a type, or the option bind or rbind")
        if fstype == "bind":
            raise ConfigError(
                self.source, 'the type "bind" needs the option bind or rbind', hint="add rbind"
            )
        if has_namespace(self.config, "user"):
            from ocipy.plan.user_namespace import check_mount

            check_mount(self.config, self.mount, options.data, self.source)
        flags, recursive_set = options.flags, options.recursive_set
        if _is_late(self.mount, self.target):
            options.flags &= ~MS_RDONLY
            recursive_set &= ~MOUNT_ATTR_RDONLY
        label = self.config.get("linux", {}).get("mountLabel", "")
        if fstype in _UNLABELLED:
            label = ""
        data = split_data(options.data)
        name = f"source={self.mount.get('source')}"
        if data is None or "." in fstype or any(map(_is_long, (name, *data))):
            plan = self._plan_legacy(fstype, label)
        else:
            if label:
                data.append(f"context={label}")
            plan = [
                steps.MountFilesystem(
                    self.source,
                    fstype=fstype,
                    source_name=self.mount.get("source") or "none",
                    target=self.target,
                    options=(*options.superblock(), *data),
                    attr_set=options.attributes(),
                    recursive_set=recursive_set,
                    recursive_clear=options.recursive_clear,
                    propagation=self._propagation,
                    idmap_fd=self._id_mapping(),
                    copy_up=options.copy_up,
                    take_mode=fstype == "tmpfs" and not _has_key(data, "mode"),
                    ordinary=fstype in ("proc", "sysfs"),
                    on_proc=self._on_proc,
                )
            ]
            if options.flags & MS_I_VERSION:
                # Only mount(2) has a flag for it, and a remount takes all flags anew.
                plan.append(
                    steps.Remount(self.source, target=self.target, mount_flags=options.flags)
                )
        options.flags = flags
        return plan

    def _plan_legacy(self, fstype: str, label: str) -> list[Step]:
        options = self.options
        if options.copy_up or self._id_mapping() or fstype in ("proc", "sysfs"):
            raise UnsupportedError(
                f"{self.source}/options",
                "an option with quotes or of 256 bytes and more cannot be combined with tmpcopyup"
                ", id mappings, proc or sysfs",
            )
        data = ",".join(options.data)
        if label:
            data = f'{data},context="{label}"' if data else f'context="{label}"'
        plan: list[Step] = [
            steps.MountLegacy(
                self.source,
                fstype=fstype,
                source_name=self.mount.get("source") or "none",
                target=self.target,
                mount_flags=options.flags,
                data=data,
                propagation=self._propagation,
            )
        ]
        if options.recursive_set or options.recursive_clear:
            plan.append(
                steps.SetMountAttributes(
                    self.source,
                    target=self.target,
                    attr_set=options.recursive_set,
                    attr_clear=options.recursive_clear,
                    recursive=1,
                )
            )
        return plan

    def _plan_remount(self) -> list[Step]:
        options = self.options
        plan: list[Step] = []
        if options.bind:
            # "bind,remount" changes the mount, "remount" alone the file system, as in mount(8).
            attr_set, attr_clear, _ = options.bind_attributes()
            if attr_set or attr_clear:
                plan.append(
                    steps.SetMountAttributes(
                        self.source, target=self.target, attr_set=attr_set, attr_clear=attr_clear
                    )
                )
        else:
            data = ",".join(options.data)
            plan.append(
                steps.Remount(self.source, target=self.target, mount_flags=options.flags, data=data)
            )
        if options.recursive_set or options.recursive_clear:
            plan.append(
                steps.SetMountAttributes(
                    self.source,
                    target=self.target,
                    attr_set=options.recursive_set,
                    attr_clear=options.recursive_clear,
                    recursive=1,
                )
            )
        plan.extend(
            steps.SetMountAttributes(self.source, target=self.target, propagation=propagation)
            for propagation in options.propagation
        )
        return plan


def _is_long(option: str) -> bool:
    value = option.partition("=")[2] or option
    return len(value.encode("utf-8", "surrogateescape")) >= FSCONFIG_VALUE_MAX


def _has_key(data: list[str], key: str) -> bool:
    return any(option.partition("=")[0] == key for option in data)
