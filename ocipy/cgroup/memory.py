"""linux.resources.memory to file writes, v1 and v2. Pure.

Spec (config-linux.md#memory). `swap` limits memory and swap together, as v1's memsw does; v2 limits
swap alone. A zero limit, reservation or swap means unset (Docker), -1 no limit.
"""

from __future__ import annotations

from ocipy.cgroup.paths import Home
from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocipy.config._generated_types import Memory
    from ocipy.plan.step import Step

# Engines that keep -1 for "not set" in an unsigned number send this; runc takes it so.
_SWAPPINESS_UNSET = (1 << 64) - 1

# What v2 lacks: the field, the values of it that change nothing, and why it cannot be had.
_NOT_IN_V2: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("kernelTCP", (0, -1), "cgroup v2 has no limit of its own for TCP memory: it is in 'limit'"),
    ("swappiness", (), "cgroup v2 has no swappiness"),
    ("disableOOMKiller", (False,), "cgroup v2 cannot disable the OOM killer"),
    ("useHierarchy", (True,), "cgroup v2 is always hierarchical"),
)


def plan_memory(memory: Memory, home: Home, at: str, current: Mapping[str, str]) -> list[Step]:
    """Return the writes of the controller memory; ocipy.config.resources has checked the values.

    `kernel` is ignored with a warning, as by runc: Linux has dropped it in 5.16.

    Args:
        at: JSON pointer of linux.resources.
        current: for an update, what is in the files that must be read first; else empty.

    Raises:
        ConfigError: a swap limit without or below the memory limit.
        UnsupportedError: what v2 does not have.
    """
    at = f"{at}/memory"
    if memory.get("swappiness") == _SWAPPINESS_UNSET:
        memory = memory.copy()
        del memory["swappiness"]
    if home.version == 1:
        return _plan_v1(memory, home, at, updating=bool(current))
    return _plan_v2(memory, home, at, current)


def _plan_v1(memory: Memory, home: Home, at: str, *, updating: bool) -> list[Step]:
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    if swap > 0 and limit <= 0 and (limit or not updating):
        raise ConfigError(f"{at}/swap", "a swap limit needs a memory limit")
    values: dict[str, object] = {}
    if limit:
        values["memory.limit_in_bytes"] = limit
    ignore: tuple[str, ...] = ()
    if limit == -1 and not swap:
        # As runc: no limit on memory means none on swap; where swap is not accounted, no matter.
        swap = -1
    if swap == -1:
        ignore = ("ENOENT",)
    if swap:
        values["memory.memsw.limit_in_bytes"] = swap
    plan: list[Step] = []
    if values:
        source = f"{at}/limit" if limit else f"{at}/swap"
        plan.append(home.write_dependent(source, values, ignore=ignore))
    if memory.get("reservation"):
        value = memory["reservation"]
        plan.append(home.write(f"{at}/reservation", "memory.soft_limit_in_bytes", value))
    if memory.get("kernelTCP"):
        value = memory["kernelTCP"]
        plan.append(home.write(f"{at}/kernelTCP", "memory.kmem.tcp.limit_in_bytes", value))
    # A new cgroup has it enabled; an update may be meant to enable it again.
    if memory.get("disableOOMKiller") or (updating and "disableOOMKiller" in memory):
        value = int(memory["disableOOMKiller"])
        plan.append(home.write(f"{at}/disableOOMKiller", "memory.oom_control", value))
    if "swappiness" in memory:
        plan.append(home.write(f"{at}/swappiness", "memory.swappiness", memory["swappiness"]))
    if "useHierarchy" in memory:
        # Since Linux 5.11 it is always 1.
        value = int(memory["useHierarchy"])
        plan.append(home.write(f"{at}/useHierarchy", "memory.use_hierarchy", value))
    return plan


def _plan_v2(memory: Memory, home: Home, at: str, current: Mapping[str, str]) -> list[Step]:
    for field, harmless, why in _NOT_IN_V2:
        if field in memory and memory.get(field) not in harmless:
            raise UnsupportedError(f"{at}/{field}", why)
    limit = memory.get("limit", 0)
    plan: list[Step] = []
    if memory.get("checkBeforeUpdate") and limit > 0:
        plan.append(steps.CheckMemoryUsage(f"{at}/limit", path=home.path, limit=limit))
    swap_max, converted_from = _swap_max(memory, at, current)
    if swap_max:
        # Without swap, no limit on it and no swap at all are both kept already.
        ignore = ("ENOENT",) if swap_max in ("max", "0") else ()
        source = f"{at}/swap" if memory.get("swap") else f"{at}/limit"
        write = home.write(
            source, "memory.swap.max", swap_max, converted_from=converted_from, ignore=ignore
        )
        plan.append(write)
    if limit:
        plan.append(home.write(f"{at}/limit", "memory.max", _bytes(limit)))
    if memory.get("reservation"):
        value = _bytes(memory["reservation"])
        plan.append(home.write(f"{at}/reservation", "memory.low", value))
    return plan


def _swap_max(memory: Memory, at: str, current: Mapping[str, str]) -> tuple[str, str]:
    """Return what to write to memory.swap.max, and from what it was computed; "" for nothing."""
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    if swap == -1 or (limit == -1 and not swap):
        return "max", "" if swap else "limit -1"
    old_limit = _number(current.get("memory.max", "max"))
    if not swap:
        # An update of the memory limit alone: the limit of both together stays what it was.
        old_swap = _number(current.get("memory.swap.max", "max"))
        if limit <= 0 or old_limit < 0 or old_swap < 0:
            return "", ""
        swap = old_limit + old_swap
        if swap < limit:
            raise ConfigError(
                f"{at}/limit",
                f"memory and swap together, {swap} bytes, are less than the new limit, {limit}",
                hint="set a new limit for swap as well",
            )
    elif not limit:
        if old_limit < 0:
            raise ConfigError(f"{at}/swap", "a swap limit needs a memory limit")
        limit = old_limit
        if swap < limit:
            raise ConfigError(
                f"{at}/swap", f"memory and swap together, {swap}, are less than the limit, {limit}"
            )
    if limit == -1:
        return str(swap), ""
    return str(swap - limit), f"swap {swap} less limit {limit}"


def _bytes(value: int) -> str:
    return "max" if value == -1 else str(value)


def _number(text: str) -> int:
    return -1 if text == "max" else int(text)
