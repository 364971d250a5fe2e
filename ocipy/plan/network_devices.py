"""linux.netDevices: one step for each device; what they do is in ocipy.spawn.network_devices."""

from __future__ import annotations

from ocipy.errors import pointer_token
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.plan.step import Step


def plan_network_devices(config: Config) -> list[Step]:
    """Return the steps that move devices of the runtime's network namespace into the container.

    Spec (config-linux.md#network-devices).
    """
    return [
        steps.MoveNetworkDevice(
            f"/linux/netDevices/{pointer_token(device)}",
            device=device,
            name=entry.get("name") or device,
        )
        for device, entry in config.get("linux", {}).get("netDevices", {}).items()
    ]
