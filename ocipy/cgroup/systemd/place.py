"""Where the container's unit will be: asks the manager that makes it, where that may differ."""

from __future__ import annotations

import os

from ocipy.cgroup.systemd.bus import open_user_bus, uses_user_systemd
from ocipy.cgroup.systemd.scope import Scope, container_scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.host.facts import HostFacts


def place_scope(config: Config, host: HostFacts, container_id: str, rootless: str) -> Scope:
    """Return the container's scope; `rootless` is the option's value, "auto" by default.

    The system's manager has the root of all cgroups. A user's has a part of the tree, and says
    itself which.

    Raises:
        SystemdError: the user's manager cannot be reached.
        ConfigError, UnsupportedError: see container_scope().
    """
    if not uses_user_systemd(host, rootless, os.environ):
        return container_scope(config, host.cgroup, container_id)
    # Checked first: a host with another layout has no use for a better session.
    container_scope(config, host.cgroup, container_id)
    with open_user_bus(host.euid) as manager:
        return container_scope(
            config,
            host.cgroup,
            container_id,
            bus=manager.address,
            manager_cgroup=manager.control_group(),
        )
