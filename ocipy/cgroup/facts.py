"""CgroupFacts: which cgroup hierarchies this host has mounted where, and where ocipy is in them.

Three layouts exist. In "v1" every controller has a hierarchy of its own, or shares one ("cpu" and
"cpuacct" often do); in "v2" one hierarchy has them all; "hybrid" is v1 with a v2 hierarchy beside
it, which may have the controllers that are in no v1 hierarchy. "none": nothing is mounted.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# cgroups(7): what the kernel offers to delegate, if it is too old to say so itself. Spec
# (config-linux.md#cgroup-ownership): "MUST fall back to using the following list".
DELEGATE_FILES = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")


class Hierarchy:
    """One mounted hierarchy.

    `controllers` are its controllers, "name=systemd" among them for a named hierarchy; those of a
    v2 hierarchy are the ones that may be enabled below its mount point. `own_path` is the cgroup of
    this process relative to `mountpoint`: "" or "/a/b".
    """

    __slots__ = ("controllers", "mountpoint", "own_path")

    def __init__(self, mountpoint: str, controllers: Iterable[str], own_path: str = "") -> None:
        self.mountpoint = mountpoint
        self.controllers = tuple(controllers)
        self.own_path = own_path

    def __repr__(self) -> str:
        return f"Hierarchy({self.mountpoint!r}, {self.controllers!r}, {self.own_path!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is Hierarchy and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    def __hash__(self) -> int:
        return hash(self.mountpoint)


class CgroupFacts:
    """`mode` is "v1", "hybrid", "v2" or "none"; `delegate_files` are the files of a v2 cgroup that
    its new owner must own, too."""

    __slots__ = ("delegate_files", "mode", "unified", "v1")

    def __init__(
        self,
        v1: Iterable[Hierarchy] = (),
        unified: Hierarchy | None = None,
        delegate_files: Iterable[str] = DELEGATE_FILES,
    ) -> None:
        self.v1 = tuple(v1)
        self.unified = unified
        self.delegate_files = tuple(delegate_files)
        if unified is None:
            self.mode = "v1" if self.v1 else "none"
        else:
            self.mode = "hybrid" if self.v1 else "v2"

    def v1_hierarchy(self, controller: str) -> Hierarchy | None:
        """Return the v1 hierarchy that has this controller."""
        for hierarchy in self.v1:
            if controller in hierarchy.controllers:
                return hierarchy
        return None

    def unified_has(self, controller: str) -> bool:
        """Can the controller be enabled in the v2 hierarchy?"""
        return self.unified is not None and controller in self.unified.controllers


def read_cgroup_facts(proc_self: str = "/proc/self") -> CgroupFacts:
    """Read /proc/self/mountinfo and /proc/self/cgroup, and what a v2 hierarchy says of itself.

    A kernel without cgroups has no /proc/self/cgroup; the mode is then "none".
    """
    try:
        mountinfo, memberships = _read(f"{proc_self}/mountinfo"), _read(f"{proc_self}/cgroup")
    except FileNotFoundError:
        return CgroupFacts()
    v1, unified = parse_hierarchies(mountinfo, memberships)
    delegate_files: Iterable[str] = DELEGATE_FILES
    if unified is not None:
        try:
            controllers = _read(f"{unified.mountpoint}/cgroup.controllers")
            unified.controllers = tuple(controllers.decode().split())
        except FileNotFoundError:  # hidden by another mount
            unified = None
    if unified is not None and not v1:
        try:
            delegate_files = _read("/sys/kernel/cgroup/delegate").decode().split()
        except OSError:
            pass
    return CgroupFacts(v1, unified, delegate_files)


def parse_hierarchies(
    mountinfo: bytes, memberships: bytes
) -> tuple[list[Hierarchy], Hierarchy | None]:
    """Return the v1 hierarchies and the v2 one, from the texts of the two files (proc(5)).

    Where a hierarchy is mounted more than once, the first mount counts, as it does for runc.
    """
    # Membership: "4:cpu,cpuacct:/own/path", and "0::/own/path" for v2.
    own_paths: dict[bytes, tuple[bytes, bytes]] = {}
    for line in memberships.splitlines():
        names, _, path = line.partition(b":")[2].partition(b":")
        for name in names.split(b","):
            own_paths[name] = names, path

    # Mount: "32 31 0:29 /root /mount/point rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct".
    v1: list[Hierarchy] = []
    unified: Hierarchy | None = None
    seen: set[bytes] = set()
    for line in mountinfo.splitlines():
        mount, separator, superblock = line.partition(b" - cgroup")
        if not separator:
            continue
        fields, (version, _, options) = mount.split(b" "), superblock.split(b" ", 2)
        if version == b"2":
            if unified is None:
                mountpoint, own_path = _place(fields, own_paths.get(b"", (b"", b"/"))[1])
                unified = Hierarchy(mountpoint, (), own_path)
            continue
        for option in options.split(b","):
            if option in own_paths and option not in seen:
                names, path = own_paths[option]
                seen.update(names.split(b","))
                mountpoint, own_path = _place(fields, path)
                v1.append(Hierarchy(mountpoint, os.fsdecode(names).split(","), own_path))
    return v1, unified


def _place(fields: list[bytes], own_path: bytes) -> tuple[str, str]:
    """Return a mount's mount point, and our cgroup as a path below it."""
    root, mountpoint = _unescape(fields[3]), _unescape(fields[4])
    # A container without a cgroup namespace sees its own cgroup, not the whole hierarchy, mounted.
    if root != b"/" and (own_path == root or own_path.startswith(root + b"/")):
        own_path = own_path[len(root) :]
    return os.fsdecode(mountpoint), os.fsdecode(own_path.rstrip(b"/"))


def _unescape(text: bytes) -> bytes:
    r"""Undo the kernel's octal escapes: "\040" is a space; tab, newline and backslash, too."""
    if b"\\" not in text:
        return text
    first, *rest = text.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = b""
        while chunk := os.read(fd, 65536):
            content += chunk
        return content
    finally:
        os.close(fd)
