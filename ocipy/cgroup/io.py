"""linux.resources.blockIO to file writes: the controllers blkio (v1) and io (v2). Pure.

Spec (config-linux.md#block-io). A weight of zero means unset (Docker). The scheduler BFQ, where it
is compiled in, has files of its own for weights; they go before the generic ones, as in runc.
"""

from __future__ import annotations

from ocipy.errors import ConfigError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.cgroup.paths import Home
    from ocipy.config._generated_types import BlockIo, ThrottleDevice
    from ocipy.plan.step import Step

# BFQ takes 1 to 1000, v1's CFQ took 10 to 1000, and io.weight is translated from the latter.
_WEIGHT_MIN, _WEIGHT_MAX = 1, 1000
_CFQ_WEIGHT_MIN = 10


def plan_io(block_io: BlockIo, home: Home, at: str) -> list[Step]:
    """Return the writes; `at` is the JSON pointer of linux.resources.

    Raises:
        ConfigError: a weight that is not from 1 to 1000, a device number below zero, an entry of
            weightDevice without any weight.
        UnsupportedError: leaf weights, which v2 does not have.
    """
    at = f"{at}/blockIO"
    plan = []
    if weight := block_io.get("weight", 0):
        plan.append(_write_weight(home, f"{at}/weight", "", weight))
    if leaf_weight := block_io.get("leafWeight", 0):
        plan.append(_write_leaf_weight(home, f"{at}/leafWeight", "", leaf_weight))
    for i, device in enumerate(block_io.get("weightDevice", [])):
        source = f"{at}/weightDevice/{i}"
        number = _number(source, device["major"], device["minor"])
        # Spec: "You MUST specify at least one of weight or leafWeight in a given entry".
        if "weight" not in device and "leafWeight" not in device:
            raise ConfigError(source, "neither weight nor leafWeight is given for the device")
        if weight := device.get("weight", 0):
            plan.append(_write_weight(home, f"{source}/weight", number, weight))
        if leaf_weight := device.get("leafWeight", 0):
            plan.append(_write_leaf_weight(home, f"{source}/leafWeight", number, leaf_weight))
    for field, v1_file, v2_key, devices in (
        ("throttleReadBpsDevice", "read_bps", "rbps", block_io.get("throttleReadBpsDevice", [])),
        ("throttleWriteBpsDevice", "write_bps", "wbps", block_io.get("throttleWriteBpsDevice", [])),
        (
            "throttleReadIOPSDevice",
            "read_iops",
            "riops",
            block_io.get("throttleReadIOPSDevice", []),
        ),
        (
            "throttleWriteIOPSDevice",
            "write_iops",
            "wiops",
            block_io.get("throttleWriteIOPSDevice", []),
        ),
    ):
        for i, throttle in enumerate(devices):
            plan.append(_throttle(home, f"{at}/{field}/{i}", v1_file, v2_key, throttle))
    return plan


def _throttle(home: Home, source: str, v1_file: str, v2_key: str, device: ThrottleDevice) -> Step:
    number, rate = _number(source, device["major"], device["minor"]), device.get("rate", 0)
    if home.version == 1:
        # A rate of zero takes a limit away.
        return home.write(f"{source}/rate", f"blkio.throttle.{v1_file}_device", f"{number} {rate}")
    return home.write(f"{source}/rate", "io.max", f"{number} {v2_key}={rate or 'max'}")


def _number(source: str, major: int, minor: int) -> str:
    if major < 0 or minor < 0:
        raise ConfigError(source, f"not a device number: {major}:{minor}")
    return f"{major}:{minor}"


def _check_weight(source: str, weight: int) -> None:
    if not _WEIGHT_MIN <= weight <= _WEIGHT_MAX:
        raise ConfigError(source, f"a weight is from {_WEIGHT_MIN} to {_WEIGHT_MAX}, not {weight}")


def _write_weight(home: Home, source: str, number: str, weight: int) -> Step:
    """Return the write of a weight, for one device or ("") for all that have none of their own."""
    _check_weight(source, weight)
    device, suffix = (f"{number} ", "_device") if number else ("", "")
    if home.version == 1:
        value = f"{device}{weight}"
        fallback = (f"blkio.bfq.weight{suffix}", value)
        return home.write(source, f"blkio.weight{suffix}", value, fallback=fallback)
    fallback = ("io.weight", f"{device}{io_weight(weight)}")
    return home.write(
        source,
        "io.bfq.weight",
        f"{device}{weight}",
        fallback=fallback,
        converted_from=f"{weight}, for io.weight",
    )


def io_weight(weight: int) -> int:
    """Translate v1's blkio.weight (10 to 1000) to v2's io.weight (1 to 10000), linearly.

    The formula of runc and crun; less than 10 becomes 1.
    """
    above = max(weight, _CFQ_WEIGHT_MIN) - _CFQ_WEIGHT_MIN
    return 1 + above * 9999 // (_WEIGHT_MAX - _CFQ_WEIGHT_MIN)


def _write_leaf_weight(home: Home, source: str, number: str, weight: int) -> Step:
    if home.version == 2:
        raise UnsupportedError(source, "cgroup v2 has no leaf weights")
    _check_weight(source, weight)
    # With the scheduler CFQ, hence only before Linux 5.0.
    if number:
        return home.write(source, "blkio.leaf_weight_device", f"{number} {weight}")
    return home.write(source, "blkio.leaf_weight", weight)
