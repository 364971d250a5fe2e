"""Which unit a container becomes, and where systemd puts its cgroup. Pure.

With the systemd driver `linux.cgroupsPath` is no path but "SLICE:PREFIX:NAME": the scope
PREFIX-NAME.scope in SLICE. Docker, containerd, podman and kubelet write it so, for runc.
"""

from __future__ import annotations

from ocipy.cgroup.paths import SOURCE
from ocipy.errors import ConfigError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.cgroup.facts import CgroupFacts
    from ocipy.config._generated_types import Config

_FORMAT = "with the systemd driver cgroupsPath is 'SLICE:PREFIX:NAME', as in 'system.slice:run:web'"
# systemd.unit(5): what a name is made of, and how long it may be.
_NAME_CHARACTERS = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"
)
_NAME_MAX = 255
_PREFIX = "ocipy"


class Scope:
    """One scope unit.

    Attributes:
        slice: the unit that it is in, "user-1000.slice".
        unit: its own name, "libpod-abc.scope".
        path: its cgroup's directory, absolute.
        bus: D-Bus address of the manager that makes it; "" for the system's.
    """

    __slots__ = ("bus", "path", "slice", "unit")

    def __init__(self, slice_name: str, unit: str, path: str, bus: str = "") -> None:
        self.slice = slice_name
        self.unit = unit
        self.path = path
        self.bus = bus


def container_scope(
    config: Config,
    facts: CgroupFacts,
    container_id: str,
    *,
    bus: str = "",
    manager_cgroup: str = "",
) -> Scope:
    """Return the scope of a container, with runc's defaults but for the prefix.

    Args:
        bus: address of the user's manager; "" for the system's, whose default slice is another.
        manager_cgroup: the cgroup that the manager has all its units in, "" or "/a/b".

    Raises:
        ConfigError: a cgroupsPath that names no scope.
        UnsupportedError: the host's cgroups are not those of v2 alone.
    """
    if facts.mode != "v2" or facts.unified is None:
        raise UnsupportedError(
            "",
            f"the systemd cgroup driver takes cgroup v2, and this host's layout is {facts.mode!r}",
            hint="boot with systemd.unified_cgroup_hierarchy=1; or leave --systemd-cgroup out, in "
            "Docker and podman with the cgroup driver cgroupfs",
        )
    slice_name, prefix, name = _parse(config, container_id)
    slice_name = slice_name or ("user.slice" if bus else "system.slice")
    if name.endswith(".slice"):
        raise ConfigError(
            SOURCE,
            f"{name!r} is a slice, and no process can be in one",
            hint=_FORMAT,
        )
    unit = f"{prefix}-{name}.scope"
    if not set(unit) <= _NAME_CHARACTERS or len(unit) > _NAME_MAX:
        raise ConfigError(
            SOURCE,
            f"{unit!r} is not the name of a unit",
            hint="letters, digits and ':-_.\\@', 255 of them at most (systemd.unit(5))",
        )
    path = facts.unified.mountpoint + manager_cgroup + slice_path(slice_name)
    return Scope(slice_name, unit, f"{path}/{unit}", bus)


def _parse(config: Config, container_id: str) -> tuple[str, str, str]:
    cgroups_path = config.get("linux", {}).get("cgroupsPath", "")
    if not cgroups_path:
        return "", _PREFIX, container_id
    parts = cgroups_path.split(":")
    if len(parts) != 3 or not parts[2]:
        # runc's words, which engines' documentation quotes.
        raise ConfigError(
            SOURCE,
            'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got '
            f'"{cgroups_path}" instead',
            hint="the client uses the driver cgroupfs? Then leave --systemd-cgroup out",
        )
    return parts[0], parts[1], parts[2]


def slice_path(slice_name: str) -> str:
    """Return where a slice is below its manager: "/a.slice/a-b.slice" for "a-b.slice".

    Source: systemd.slice(5), "the name of the slice encodes the location in the tree".

    Raises:
        ConfigError: it is not the name of a slice.
    """
    stem = slice_name.removesuffix(".slice")
    if stem == "-" and stem != slice_name:
        return ""  # "-.slice", the root
    names = stem.split("-")
    if stem == slice_name or "" in names or not set(stem) <= _NAME_CHARACTERS:
        raise ConfigError(SOURCE, f"invalid slice name: {slice_name!r}", hint=_FORMAT)
    return "".join(f"/{'-'.join(names[: i + 1])}.slice" for i in range(len(names)))
