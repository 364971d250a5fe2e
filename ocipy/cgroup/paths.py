"""Where a container's cgroup is in each hierarchy. Pure."""

from __future__ import annotations

from ocipy.errors import ConfigError
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocipy.cgroup.facts import CgroupFacts
    from ocipy.config._generated_types import Config
    from ocipy.host.facts import HostFacts
    from ocipy.plan.step import Step

SOURCE = "/linux/cgroupsPath"


def container_cgroups(config: Config, host: HostFacts, container_id: str) -> dict[str, str]:
    """Return the container's directory in each hierarchy.

    The keys are the controllers of a v1 hierarchy, comma separated, and "" for v2. Spec
    (config-linux.md#cgroups-path): an absolute path is relative to the mount point. A relative one,
    or none (then the id), is taken as runc takes it: below our own cgroup in v1, and in v2 beside
    it, since our own has processes and v2 has no cgroups with limits below one that has.

    Raises:
        ConfigError: a path with "..", or with a character that no cgroup's name can have, or that
            leads to the root cgroup, on which no limit can be set.
    """
    cgroups_path = config.get("linux", {}).get("cgroupsPath", "")
    absolute = cgroups_path.startswith("/")
    path = _clean(cgroups_path or container_id)
    facts = host.cgroup
    paths = {}
    for hierarchy in facts.v1:
        parent = "" if absolute else hierarchy.own_path
        paths[",".join(hierarchy.controllers)] = hierarchy.mountpoint + parent + path
    if facts.unified is not None:
        parent = "" if absolute else facts.unified.own_path
        if not facts.v1:
            parent = parent.rpartition("/")[0]
        paths[""] = facts.unified.mountpoint + parent + path
    return paths


def limits_without_cgroup(config: Config) -> str:
    """Return the warning that a container without a cgroup does not get its limits; "" for none.

    Nothing is said of devices: engines restrict them also where they want no cgroup.
    """
    resources = config.get("linux", {}).get("resources", {})
    asked = [
        field
        for field, value in resources.items()
        if field not in ("devices", "pids")
        and (any(value.values()) if isinstance(value, dict) else value)
    ]
    if resources.get("pids", {}).get("limit", -1) >= 0:
        asked.append("pids")
    if not asked:
        return ""
    return f"without a cgroup there are no limits: {', '.join(asked)} (/linux/resources)"


def _clean(path: str) -> str:
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise ConfigError(SOURCE, f"invalid cgroups path {path!r}: it contains '..'")
    if "\0" in path or "\n" in path:
        raise ConfigError(SOURCE, f"invalid cgroups path {path!r}: no cgroup has such a name")
    if not names:
        raise ConfigError(
            SOURCE,
            f"invalid cgroups path {path!r}: a container cannot have the root cgroup",
            hint="name a cgroup below it, such as '/mycontainer', or leave cgroupsPath out",
        )
    return "/" + "/".join(names)


class Home:
    """A controller's place: the container's directory in the hierarchy that has it."""

    __slots__ = ("path", "version")

    def __init__(self, version: int, path: str) -> None:
        self.version = version
        self.path = path

    def file(self, name: str) -> str:
        return f"{self.path}/{name}"

    def write(
        self,
        source: str,
        name: str,
        value: object,
        *,
        converted_from: str = "",
        fallback: tuple[str, object] = ("", ""),
        ignore: Sequence[str] = (),
    ) -> Step:
        """Return the step that writes `value`; `fallback` is a file name and the value for it."""
        return steps.WriteCgroupFile(
            source,
            path=self.file(name),
            value=str(value),
            converted_from=converted_from,
            fallback_path=self.file(fallback[0]) if fallback[0] else "",
            fallback_value=str(fallback[1]),
            ignore=ignore,
        )

    def write_dependent(
        self, source: str, values: Mapping[str, object], ignore: Sequence[str] = ()
    ) -> Step:
        """Return the step that writes files whose values the kernel compares with each other."""
        if len(values) == 1:
            ((name, value),) = values.items()
            return self.write(source, name, value, ignore=ignore)
        return steps.WriteDependentCgroupFiles(
            source,
            paths=[self.file(name) for name in values],
            values=[str(value) for value in values.values()],
            ignore=ignore,
        )


class Homes:
    """Finds the Home of a controller; v1 wins where a hybrid host could have it in both."""

    __slots__ = ("facts", "paths")

    def __init__(self, facts: CgroupFacts, paths: Mapping[str, str]) -> None:
        self.facts = facts
        self.paths = paths

    def find(self, controller: str) -> Home | None:
        for controllers, path in self.paths.items():
            if controller in controllers.split(","):
                return Home(1, path)
        if "" in self.paths and self.facts.unified_has(controller):
            return Home(2, self.paths[""])
        return None

    def unified(self) -> Home | None:
        """The v2 directory, whichever controllers it has."""
        return Home(2, self.paths[""]) if "" in self.paths else None
