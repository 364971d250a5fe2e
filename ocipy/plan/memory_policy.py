"""linux.memoryPolicy: the arguments of set_mempolicy(2)."""

from __future__ import annotations

from ocipy.config.cpu_list import bit_mask, parse_list
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.plan.step import Step

# include/uapi/linux/mempolicy.h
MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,  # Linux 5.15
    "MPOL_WEIGHTED_INTERLEAVE": 6,  # Linux 6.9
}
FLAGS = {
    "MPOL_F_NUMA_BALANCING": 1 << 13,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_STATIC_NODES": 1 << 15,
}


def plan_memory_policy(config: Config) -> list[Step]:
    """Return the step that sets the NUMA memory policy, which exec inherits; [] without one.

    Spec (config-linux.md#memory-policy).
    """
    policy = config.get("linux", {}).get("memoryPolicy")
    if policy is None:
        return []
    text = policy.get("nodes", "")
    flags = {FLAGS[name] for name in policy.get("flags", ())}
    return [
        steps.SetMemoryPolicy(
            "/linux/memoryPolicy",
            mode=MODES[policy["mode"]] | sum(flags),
            nodes=bit_mask(parse_list(text)),
            nodes_text=text or "none",
        )
    ]
