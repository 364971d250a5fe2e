"""Rules of `linux.resources`, in a config and in `update --resources`: config-linux.md.

See ocipy.config.rules for what a rule is. Clients send a 0 for what they do not mean to set, so
that a rule about two numbers asks for both to be set.
"""

from __future__ import annotations

from ocipy.config.cpu_list import list_problem
from ocipy.errors import ConfigError, pointer_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocipy.config._generated_types import Resources, ThrottleDevice
    from ocipy.config.found import Found, Remark

_THROTTLES = (
    "throttleReadBpsDevice",
    "throttleWriteBpsDevice",
    "throttleReadIOPSDevice",
    "throttleWriteIOPSDevice",
)

# 32 bits of it reach a device filter: bpf_cgroup_dev_ctx in include/uapi/linux/bpf.h.
_DEVICE_NUMBER_MAX = (1 << 32) - 1

_PLAIN_LIST = "0123456789,- \n"

# Old engines send an unsigned -1 where they do not mean to set the swappiness; runc takes it so.
_SWAPPINESS_UNSET = (1 << 64) - 1


def device_rules(resources: Resources, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#allowed-device-list): type a, c or b; access of r, w and m."""
    for i, rule in enumerate(resources.get("devices", ())):
        here = f"{at}/devices/{i}"
        if rule.get("type", "a") not in ("a", "b", "c", ""):
            yield ConfigError(f"{here}/type", f'"{rule["type"]}" is none of a, b, c')
        access = rule.get("access", "")
        if not access:
            # As runc: what a rule allows or denies is not left to a guess.
            pointer = f"{here}/access" if "access" in rule else here
            yield ConfigError(pointer, "a device rule needs access: some of 'r', 'w' and 'm'")
        elif access.strip("rwm"):
            yield ConfigError(f"{here}/access", f'"{access}" has more in it than r, w and m')
        for key in ("major", "minor"):
            number: int = rule.get(key, 0)  # type: ignore[assignment]
            if number < -1:
                problem = f"{number} is no device number, nor -1 for all"
                yield ConfigError(f"{here}/{key}", problem)
            elif number > _DEVICE_NUMBER_MAX:
                yield ConfigError(f"{here}/{key}", f"{number} is no device number")


def memory(resources: Resources, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#memory): bytes, or -1 for unlimited; swappiness from 0 to 100."""
    given = resources.get("memory")
    if given is None:
        return
    limit, swap = given.get("limit", 0), given.get("swap", 0)
    for key in ("limit", "reservation", "swap"):
        number: int = given.get(key, 0)  # type: ignore[assignment]
        if number < -1:
            yield ConfigError(f"{at}/memory/{key}", f"{number} is no number of bytes, nor -1")
    if 0 < swap < limit:
        # swap is memory and swap together.
        problem = f"memory and swap together, {swap}, is less than memory alone, {limit}"
        yield ConfigError(f"{at}/memory/swap", problem)
    swappiness = given.get("swappiness", 0)
    if swappiness > 100 and swappiness != _SWAPPINESS_UNSET:
        yield ConfigError(f"{at}/memory/swappiness", f"{swappiness} is not in the range 0 to 100")
    # As runc. Spec: NOT RECOMMENDED; Linux 5.16 has dropped it, and cgroup v2 never had it.
    if given.get("kernel", 0) not in (0, -1):
        yield (f"{at}/memory/kernel", "kernel memory settings are ignored")


def cpu(resources: Resources, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#cpu): burst not above a positive quota; lists; idle 0 or 1."""
    given = resources.get("cpu")
    if given is None:
        return
    quota, burst = given.get("quota", 0), given.get("burst", 0)
    if 0 < quota < burst:
        yield ConfigError(f"{at}/cpu/burst", f"{burst} is larger than the quota, {quota}")
    if given.get("idle", 0) not in (0, 1):
        yield ConfigError(f"{at}/cpu/idle", f"{given['idle']} is neither 0 nor 1")
    for key in ("cpus", "mems"):
        numbers: str = given.get(key, "")  # type: ignore[assignment]
        # The kernel knows more forms, such as 0-31:2/4 and all: it is left to judge those.
        if not numbers.strip(_PLAIN_LIST) and (problem := list_problem(numbers.strip())):
            yield ConfigError(f"{at}/cpu/{key}", problem)


def block_io(resources: Resources, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#block-io): weightDevice MUST have a weight; rate is REQUIRED."""
    given = resources.get("blockIO")
    if given is None:
        return
    for i, entry in enumerate(given.get("weightDevice", ())):
        if "weight" not in entry and "leafWeight" not in entry:
            yield ConfigError(f"{at}/blockIO/weightDevice/{i}", "neither weight nor leafWeight")
    for key in _THROTTLES:
        devices: list[ThrottleDevice] = given.get(key, [])  # type: ignore[assignment]
        for i, device in enumerate(devices):
            if "rate" not in device:
                yield ConfigError(f"{at}/blockIO/{key}/{i}", 'the required field "rate" is missing')


def rdma(resources: Resources, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#rdma): MUST specify at least one of hcaHandles and hcaObjects."""
    for name, limits in resources.get("rdma", {}).items():
        if "hcaHandles" not in limits and "hcaObjects" not in limits:
            pointer = f"{at}/rdma/{pointer_token(name)}"
            yield ConfigError(pointer, "neither hcaHandles nor hcaObjects")


def unified(resources: Resources, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#unified): each key is a file in the cgroup's directory."""
    for name in resources.get("unified", {}):
        if "/" in name or not name.strip("."):
            pointer = f"{at}/unified/{pointer_token(name)}"
            yield ConfigError(pointer, f'"{name}" is no name of a file')


RULES = (device_rules, memory, cpu, block_io, rdma, unified)


def accept_resources(value: object, text: str) -> list[Remark]:
    """Return the warnings about the resources of `update`; `text` is what they were parsed from.

    Raises:
        ConfigError: they do not keep to the specification; pointers start at the resources.
    """
    from ocipy.schema import _generated_validate as compiled
    from ocipy.schema.accept import judge

    rules = [lambda given, rule=rule: rule(given, "") for rule in RULES]
    return judge(value, text, compiled.resources, "Resources", rules)
