"""What a user namespace cannot do, found out before anything is made. Pure.

The kernel would refuse each of these too, but late, and with EPERM or EINVAL for all of them.

Source: user_namespaces(7), "Effect of capabilities within a user namespace"; FS_USERNS_MOUNT in the
kernel's file systems.
"""

from __future__ import annotations

from ocipy.errors import ConfigError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocipy.config._generated_types import Config, IdMapping, Mount

# A file system that shows a namespace, the type of that, and what to do without it. The kernel
# mounts it only for whoever owns the namespace.
_OF_NAMESPACE = {
    "sysfs": (
        "network",
        "bind it instead, as 'ocipy spec --rootless' does: type none, source /sys, options rbind, "
        "ro, nosuid, noexec, nodev; or add a network namespace",
    ),
    "mqueue": ("ipc", "leave it out, or add an ipc namespace"),
    "proc": ("pid", "bind /proc (options rbind), or add a pid namespace"),
}
# What exists but once for all of the host, or reads a device's blocks.
_HOSTS_ONLY = frozenset(
    """autofs btrfs ceph cifs configfs debugfs devtmpfs efivarfs erofs exfat ext2 ext3 ext4 f2fs
    fuseblk hugetlbfs iso9660 nfs nfs4 ntfs3 pstore securityfs selinuxfs squashfs tracefs udf vfat
    xfs zfs""".split()
)


def require_user_namespace(config: Config) -> None:
    """Raise UnsupportedError for a container without one, which takes CAP_SYS_ADMIN."""
    linux = config.get("linux", {})
    if not any(namespace["type"] == "user" for namespace in linux.get("namespaces", [])):
        raise UnsupportedError(
            # The value that is there, or the one that is missing in it.
            "/linux/namespaces" if "linux" in config else "/linux",
            # runc's words
            "rootless container requires user namespaces",
            hint='add {"type": "user"} with uidMappings and gidMappings, as \'ocipy spec '
            "--rootless' writes them; or run ocipy as root",
        )


def check_mount(config: Config, mount: Mount, options: Sequence[str], source: str) -> None:
    """Refuse a new file system that cannot be mounted in the container's own user namespace.

    Nothing is said of a user namespace that is joined: who owns what there is not in the config.

    Args:
        options: those for the file system itself, "gid=5".
        source: JSON pointer of the mount.

    Raises:
        UnsupportedError: the file system is not for user namespaces, or shows one of the host's.
        ConfigError: an option names an id that has no mapping.
    """
    linux = config.get("linux", {})
    paths = {ns["type"]: ns.get("path", "") for ns in linux.get("namespaces", [])}
    if paths.get("user", "joined"):
        return
    fstype = mount.get("type", "")
    if fstype in _HOSTS_ONLY:
        raise UnsupportedError(
            f"{source}/type",
            f"{fstype} cannot be mounted in a user namespace",
            hint="mount it on the host, and bind that",
        )
    kind, instead = _OF_NAMESPACE.get(fstype, ("", ""))
    if kind and kind not in paths:
        raise UnsupportedError(
            source,
            f"{fstype} shows the {kind} namespace, and the container has the host's, which its "
            "user namespace does not own",
            hint=instead,
        )
    if fstype not in ("devpts", "tmpfs"):
        return
    for option in options:
        key, _, value = option.partition("=")
        if key in ("uid", "gid") and value.isascii() and value.isdigit():
            uids, gids = linux.get("uidMappings", []), linux.get("gidMappings", [])
            if not _is_mapped(int(value), uids if key == "uid" else gids):
                raise ConfigError(
                    f"{source}/options",
                    f"{option}: that {key} has no mapping in the container's user namespace",
                    hint="leave the option out, as 'ocipy spec --rootless' does, or map the id",
                )


def _is_mapped(number: int, mappings: Sequence[IdMapping]) -> bool:
    return any(0 <= number - m["containerID"] < m["size"] for m in mappings)
