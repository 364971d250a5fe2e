"""The five capability sets as masks of 1 << CAP_*."""

from __future__ import annotations

from ocipy.sys.constants import CAP_SYS_ADMIN, CAPABILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Capabilities, Process
    from ocipy.host.facts import HostFacts

_NUMBER = {name: number for number, name in enumerate(CAPABILITIES)}


class CapabilityMasks:
    """What the container process gets, and what of it this host cannot give (`unavailable`)."""

    __slots__ = ("ambient", "bounding", "effective", "inheritable", "permitted", "unavailable")

    def __init__(self, sets: Capabilities, host: HostFacts, *, own_user_namespace: bool) -> None:
        # In a user namespace of its own the process starts with all capabilities over it.
        known = (1 << host.last_capability + 1) - 1
        available = known if own_user_namespace else host.bounding & known
        self.bounding = _mask(sets.get("bounding", []))
        self.effective = _mask(sets.get("effective", []))
        self.permitted = _mask(sets.get("permitted", []))
        self.inheritable = _mask(sets.get("inheritable", []))
        self.ambient = _mask(sets.get("ambient", []))
        wanted = self.bounding | self.effective | self.permitted | self.inheritable
        missing = wanted & ~available
        self.unavailable = [name for name, number in _NUMBER.items() if missing >> number & 1]
        self.bounding &= available
        self.permitted &= available
        # capset(2): effective within permitted. capabilities(7): ambient within permitted and
        # inheritable, and never inheritable by itself (CVE-2022-29162).
        self.effective &= self.permitted
        self.inheritable &= available
        self.ambient &= self.permitted & self.inheritable


def _mask(names: list[str]) -> int:
    """Return the mask; Spec (config.md#linux-process): unknown names are warned about elsewhere."""
    mask = 0
    for name in names:
        number = _NUMBER.get(name)
        if number is not None:
            mask |= 1 << number
    return mask


def plan_capabilities(
    process: Process, host: HostFacts, *, own_user_namespace: bool
) -> CapabilityMasks:
    """Return the masks of a process; without `capabilities` it has none, as under runc."""
    sets = process.get("capabilities") or {}
    return CapabilityMasks(sets, host, own_user_namespace=own_user_namespace)


def with_sys_admin(mask: int) -> int:
    """Return the mask and CAP_SYS_ADMIN, which seccomp(2) wants without noNewPrivileges."""
    return mask | 1 << CAP_SYS_ADMIN
