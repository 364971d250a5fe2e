"""A user without privileges whom nobody has given a part of the cgroup tree."""

from __future__ import annotations

from ocipy import log
from ocipy.cgroup.paths import SOURCE, limits_without_cgroup
from ocipy.cgroup.plan import is_optional
from ocipy.errors import UnsupportedError
from ocipy.host.obstacle import delegation_obstacle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.host.facts import HostFacts


def without_cgroup(config: Config, host: HostFacts, denied: str, rootless: str) -> None:
    """Warn of limits that a container without a cgroup does not have, or refuse to go on.

    As with runc, a cgroup that is asked for by name is not optional; nor is any with
    --rootless=false.

    Args:
        denied: the directory in which we may not make it.
        rootless: of the option --rootless.

    Raises:
        UnsupportedError: there must be a cgroup.
    """
    remedy = ""
    unified = host.cgroup.unified
    if host.cgroup.mode == "v2" and unified is not None:
        obstacle = delegation_obstacle(unified.mountpoint + unified.own_path, uid=host.euid)
        remedy = obstacle.remedy if obstacle else ""
    refused = rootless not in ("auto", "1", "t", "T", "TRUE", "true", "True")
    if refused or not is_optional(config, host):
        raise UnsupportedError(
            SOURCE if config.get("linux", {}).get("cgroupsPath") else "",
            f"cannot make a cgroup in {denied}: permission denied",
            hint=remedy
            or "run ocipy as root; or without a cgroup: leave cgroupsPath out, or "
            "--cgroup-manager=disabled",
        )
    if warning := limits_without_cgroup(config):
        log.warning(f"no permission to make a cgroup in {denied}; {warning}")
        if remedy:
            log.warning(f"to have limits {remedy}")
