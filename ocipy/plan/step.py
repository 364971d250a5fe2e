"""The base of every generated step, and the descriptors that a plan asks the host to open."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class HostFd:
    """A descriptor that ocipy opens on the host before the clone and hands to init by number.

    `kind` says how: "path" is open(2) with `flags`; "tree" is open_tree(2) with OPEN_TREE_CLONE,
    and AT_RECURSIVE where `flags` has it: a detached copy of the mount, so that nothing done to it
    is seen outside; "userns" is a user namespace for an idmapped mount; "fifo" and "namespace" are
    files that must be of that type.

    "rootfs" is the root file system as it was found with config.json: `path` may have come to lead
    elsewhere.

    "char" and "block" are the device with the number `flags`, as a "tree": at `path`, or wherever
    the host has it.

    A "userns" is the one at the path `userns`, or else one made for `mappings`, a pair of tuples of
    lines of uid_map and gid_map. A "tree" with either is idmapped by it: only the host may do that;
    IDMAP_RECURSIVE in `flags` maps what is mounted below, too.

    Init closes a descriptor when it has used it, and a "tree" can be put in one place only. So two
    steps with the same source need two, which differ in `wanted_by`, the JSON pointer of the step.
    """

    __slots__ = ("flags", "kind", "mappings", "path", "userns", "wanted_by")

    def __init__(
        self,
        path: str,
        kind: str = "path",
        flags: int = 0,
        mappings: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
        userns: str = "",
        wanted_by: str = "",
    ) -> None:
        self.path = path
        self.kind = kind
        self.flags = flags
        self.mappings = mappings
        self.userns = userns
        self.wanted_by = wanted_by

    @property
    def is_idmapped(self) -> bool:
        """Whether a user namespace says which ids it has."""
        return bool(self.userns or self.mappings[0] or self.mappings[1])

    def __repr__(self) -> str:
        return self.path or self.userns or "; ".join(",".join(lines) for lines in self.mappings)

    def __eq__(self, other: object) -> bool:
        return type(other) is HostFd and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    def __hash__(self) -> int:
        return hash((self.path, self.kind, self.flags, self.wanted_by))


class Step:
    """One entry of a plan; the subclasses are generated from operations.toml.

    `source` is the JSON pointer of the value in config.json that asked for it ("" where the
    specification itself does), `place` is "host", "init" or "start".
    """

    __slots__ = ("place", "source")
    operation: ClassVar[str]
    code: ClassVar[int]
    template: ClassVar[str]
    spec: ClassVar[str]
    calls: ClassVar[tuple[str, ...]]
    kinds: ClassVar[tuple[tuple[str, str], ...]]
    fds: ClassVar[tuple[str, ...]]

    source: str
    place: str

    def describe(self) -> str:
        """Return what the step does, as a verb phrase: "mount tmpfs on '/dev'"."""
        from ocipy.plan.describe import describe_step

        return describe_step(self)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return False
        names = ("operation", "source", "place", *(name for name, _ in self.kinds))
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def __hash__(self) -> int:
        return hash((self.operation, self.source))

    def __repr__(self) -> str:
        args = ", ".join(f"{name}={getattr(self, name)!r}" for name, _ in self.kinds)
        return f"{type(self).__name__}({self.source!r}, {args})"
