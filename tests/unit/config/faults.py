"""Ask every rule what is wrong with a config, without going through the schema."""

from __future__ import annotations

from typing import Any

from ocipy.config.rules import RULES
from ocipy.errors import ConfigError


def linux_faults(**linux: Any) -> dict[str, str]:
    """Return pointer: message of each fault of a config with this `linux` section."""
    namespaces = [{"type": "mount"}, {"type": "network"}]
    config: Any = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "linux": {"namespaces": namespaces} | linux,
    }
    found = [fault for rule in RULES for fault in rule(config)]
    return {fault.pointer: str(fault) for fault in found if isinstance(fault, ConfigError)}
