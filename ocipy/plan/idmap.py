"""User namespace mappings: config.json to the lines of uid_map and gid_map."""

from __future__ import annotations

from ocipy.plan import _generated_steps as steps
from ocipy.sys.constants import CLONE_NEWUSER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocipy.config._generated_types import Config
    from ocipy.host.facts import HostFacts
    from ocipy.plan.namespaces import Namespaces


def map_lines(mappings: Iterable[dict[str, int]]) -> list[str]:
    """Return the lines of user_namespaces(7): "ID-INSIDE ID-OUTSIDE LENGTH"."""
    return [f"{m['containerID']} {m['hostID']} {m['size']}" for m in mappings]


def plan_id_maps(config: Config, host: HostFacts, namespaces: Namespaces) -> list[steps.Step]:
    """Return the host's steps that map the ids of a new user namespace, while init waits."""
    if not namespaces.new & CLONE_NEWUSER:
        return []
    linux = config.get("linux", {})
    plan: list[steps.Step] = []
    # user_namespaces(7): without CAP_SETGID outside, gid_map is only accepted where setgroups(2) has
    # been denied, because dropping a group could give access that the group takes away.
    deny = not host.privileged
    for kind, field in (("uid", "uidMappings"), ("gid", "gidMappings")):
        lines = map_lines(linux.get(field, []))  # type: ignore[arg-type, unused-ignore]
        if lines:
            plan.append(
                steps.WriteIdMap(
                    f"/linux/{field}",
                    kind=kind,
                    lines=lines,
                    deny_setgroups=deny and kind == "gid",
                )
            )
    return plan


def host_id(config: Config, kind: str, container_id: int) -> int | None:
    """Return the id on the host of an id in the container; None if it has no mapping.

    `kind` is "uid" or "gid". Without mappings of its own the container has the host's ids.
    """
    mappings = config.get("linux", {}).get(f"{kind}Mappings")  # type: ignore[misc, unused-ignore]
    if not mappings:
        return container_id
    for mapping in mappings:
        first = mapping["containerID"]
        if first <= container_id < first + mapping["size"]:
            return int(mapping["hostID"]) + container_id - first
    return None
