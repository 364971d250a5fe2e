"""Constants of mount(2), mount_setattr(2) and open_tree(2), with the kernel's names."""

from __future__ import annotations

# include/uapi/linux/mount.h, mount(2): of the mount, or of the file system under it.
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_MANDLOCK = 64
MS_DIRSYNC = 128
MS_NOSYMFOLLOW = 256
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_SILENT = 32768
MS_RELATIME = 1 << 21
MS_I_VERSION = 1 << 23
MS_STRICTATIME = 1 << 24
MS_LAZYTIME = 1 << 25

# include/uapi/linux/mount.h, mount_setattr(2) and fsmount(2).
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR__ATIME = 0x70  # the field of the next three
MOUNT_ATTR_RELATIME = 0x00
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

# include/uapi/linux/fcntl.h
AT_RECURSIVE = 0x8000
# Ours, above the bits of system calls, in HostFd.flags: id-map the submounts, too.
IDMAP_RECURSIVE = 1 << 32

# fsconfig(2) copies at most this many bytes of a value, its NUL included.
FSCONFIG_VALUE_MAX = 256
