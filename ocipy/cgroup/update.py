"""New limits for a container that runs.

What is not mentioned stays as it is. Where a new value means something only together with another
one, that is read from the cgroup, which knows it better than any record.
"""

from __future__ import annotations

from ocipy.cgroup.files import read_file
from ocipy.cgroup.limits import plan_limits
from ocipy.cgroup.paths import Homes
from ocipy.cgroup.plan import required_controllers
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocipy.cgroup.facts import CgroupFacts
    from ocipy.config._generated_types import Resources
    from ocipy.plan.step import Step

# What planners for v2 want to know; in v1 quota and period, memory and swap have files each, and
# the kernel compares them.
_FILES = ("cpu.max", "memory.max", "memory.swap.max")


def plan_update(
    resources: Resources,
    facts: CgroupFacts,
    paths: Mapping[str, str],
    configured: Resources | None,
    unit: str = "",
    bus: str = "",
) -> list[Step]:
    """Return the steps that put new limits in force; pointers start at `resources`.

    Devices are replaced only if the list is another than the `configured` one. Engines send that
    along with everything else, and doing it again would take away what hooks have added to it.
    After an update of the devices the configured list says nothing any more: then it is None.
    With the systemd driver, `unit` at the manager `bus` is told first.

    Raises:
        ConfigError, UnsupportedError: as for create.
    """
    homes = Homes(facts, paths)
    plan = plan_limits(resources, homes, "", read_current(paths))
    required = required_controllers(resources, homes)
    if required and facts.unified is not None and facts.mode != "v2":
        # A hybrid host's are enabled when the first limit needs them; pure v2's all at create.
        plan.insert(
            0,
            steps.EnableControllers(
                "/",
                path=paths[""],
                mountpoint=facts.unified.mountpoint,
                controllers=required,
                required=required,
            ),
        )
    properties = []
    if unit:
        from ocipy.cgroup.systemd.properties import device_properties, limit_properties

        properties = limit_properties(plan)
    devices = resources.get("devices")
    if devices and (configured is None or devices != configured.get("devices")):
        from ocipy.cgroup.devices import plan_devices

        plan += plan_devices(devices, homes, "")
        if unit:
            properties += device_properties(devices, "")
    if properties:
        told = steps.SetUnitProperties("/", unit=unit, properties=properties, bus=bus)
        # After the check that the new limit is above what is used: systemd makes none.
        checks = sum(isinstance(step, steps.CheckMemoryUsage) for step in plan[:1])
        plan.insert(checks, told)
    return plan


def replaces_devices(plan: list[Step]) -> bool:
    return any(isinstance(step, steps.SetDeviceList | steps.AttachDeviceFilter) for step in plan)


def read_current(paths: Mapping[str, str]) -> dict[str, str]:
    """Return what is in the files that an update depends on; never empty, unlike for a create."""
    current = {"": ""}
    unified = paths.get("", "")
    for name in _FILES if unified else ():
        try:
            current[name] = read_file(f"{unified}/{name}").strip()
        except OSError:
            pass  # in v1, or not enabled: the write that needs it will say so
    return current
