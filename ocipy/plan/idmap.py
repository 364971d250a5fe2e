"""User namespace mappings: config.json to the lines of uid_map and gid_map."""

from __future__ import annotations

from ocipy.plan import _generated_steps as steps
from ocipy.sys.constants import CLONE_NEWUSER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocipy.config._generated_types import Config, IdMapping
    from ocipy.host.facts import HostFacts
    from ocipy.plan.namespaces import Namespaces
    from ocipy.plan.step import Step


def map_lines(mappings: Iterable[IdMapping]) -> list[str]:
    """Return the lines of user_namespaces(7): "ID-INSIDE ID-OUTSIDE LENGTH"."""
    return [f"{m['containerID']} {m['hostID']} {m['size']}" for m in mappings]


def plan_id_maps(config: Config, host: HostFacts, namespaces: Namespaces) -> list[Step]:
    """Return the host's steps that map the ids of a new user namespace, while init waits."""
    if not namespaces.new & CLONE_NEWUSER:
        return []
    linux = config.get("linux", {})
    plan: list[Step] = []
    # user_namespaces(7): without CAP_SETGID outside, gid_map is only accepted where setgroups(2)
    # has been denied, because dropping a group could give access that the group takes away. That is
    # for our own id; more of them takes newgidmap(1), which has the capability and decides itself.
    own_id_only = [m["size"] for m in linux.get("gidMappings", [])] == [1]
    deny = own_id_only and not host.may_set_groups
    for kind, mappings in (
        ("uid", linux.get("uidMappings", [])),
        ("gid", linux.get("gidMappings", [])),
    ):
        if mappings:
            plan.append(
                steps.WriteIdMap(
                    f"/linux/{kind}Mappings",
                    kind=kind,
                    lines=map_lines(mappings),
                    deny_setgroups=deny and kind == "gid",
                )
            )
    return plan
