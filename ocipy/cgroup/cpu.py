"""linux.resources.cpu to file writes: the controllers cpu and cpuset, v1 and v2. Pure.

Spec (config-linux.md#cpu). A zero for shares, quota, period and the realtime values means unset:
Docker and runc write zeros for what nobody asked for.
"""

from __future__ import annotations

from ocipy.cgroup.paths import Home
from ocipy.errors import ConfigError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocipy.config._generated_types import Cpu
    from ocipy.plan.step import Step

# kernel/sched/core.c: min_cfs_quota_period, max_cfs_quota_period; sched.h: MIN_SHARES, MAX_SHARES.
_PERIOD_USEC_MIN, _PERIOD_USEC_MAX, _PERIOD_USEC_DEFAULT = 1_000, 1_000_000, 100_000
_QUOTA_USEC_MIN = 1_000
_SHARES_MIN, _SHARES_MAX = 2, 1 << 18


def plan_cpu(cpu: Cpu, home: Home, at: str, current: Mapping[str, str]) -> list[Step]:
    """Return the writes of the controller cpu; ocipy.config.resources has checked the values.

    Args:
        at: JSON pointer of linux.resources.
        current: for an update, what is in the files that must be read first; else empty.

    Raises:
        ConfigError: a value that the kernel does not take.
        UnsupportedError: realtime limits, which v2 does not have.
    """
    plan = _plan_weight(cpu, home, f"{at}/cpu")
    plan += _plan_bandwidth(cpu, home, f"{at}/cpu", current)
    realtime: dict[str, object] = {}
    if cpu.get("realtimePeriod"):
        realtime["cpu.rt_period_us"] = cpu["realtimePeriod"]
    if cpu.get("realtimeRuntime"):
        realtime["cpu.rt_runtime_us"] = cpu["realtimeRuntime"]
    if realtime:
        field = "realtimePeriod" if "cpu.rt_period_us" in realtime else "realtimeRuntime"
        if home.version == 2:
            raise UnsupportedError(f"{at}/cpu/{field}", "cgroup v2 has no realtime limits")
        plan.append(home.write_dependent(f"{at}/cpu/{field}", realtime))
    return plan


def _plan_weight(cpu: Cpu, home: Home, at: str) -> list[Step]:
    plan = []
    shares = cpu.get("shares", 0)
    if shares and home.version == 1:
        if not _SHARES_MIN <= shares <= _SHARES_MAX:
            # The kernel would take the nearest without a word.
            raise ConfigError(
                f"{at}/shares", f"cpu shares are from {_SHARES_MIN} to {_SHARES_MAX}, not {shares}"
            )
        plan.append(home.write(f"{at}/shares", "cpu.shares", shares))
    elif shares:
        weight = cpu_weight(shares)
        plan.append(
            home.write(f"{at}/shares", "cpu.weight", weight, converted_from=f"{shares} shares")
        )
    if "idle" in cpu:
        idle = cpu["idle"]
        # While a cgroup is idle, the kernel refuses to give it a weight; so 1 comes after the
        # weight, and 0 before it.
        ignore = () if idle else ("ENOENT",)  # before Linux 5.15 nothing is idle
        write = home.write(f"{at}/idle", "cpu.idle", idle, ignore=ignore)
        plan.insert(len(plan) if idle else 0, write)
    return plan


def cpu_weight(shares: int) -> int:
    """Translate v1's cpu.shares (2 to 262144, default 1024) to v2's cpu.weight (1 to 10000, 100).

    A quadratic curve through minimum, default and maximum on logarithmic scales: what runc since
    1.3.2 and crun since 1.23 use. The linear one that they used before gave a container with the
    default shares 39 of the default 100. Shares outside of the range become the nearest weight.
    """
    import math

    if shares <= _SHARES_MIN:
        return 1
    if shares >= _SHARES_MAX:
        return 10_000
    bits = math.log2(shares)
    return math.ceil(math.pow(10, (bits * bits + 125 * bits) / 612.0 - 7.0 / 34.0))


def _plan_bandwidth(cpu: Cpu, home: Home, at: str, current: Mapping[str, str]) -> list[Step]:
    quota, period, burst = cpu.get("quota", 0), cpu.get("period", 0), cpu.get("burst")
    if 0 < quota < _QUOTA_USEC_MIN:
        raise ConfigError(f"{at}/quota", f"a cpu quota is at least {_QUOTA_USEC_MIN} µs: {quota}")
    if period and not _PERIOD_USEC_MIN <= period <= _PERIOD_USEC_MAX:
        raise ConfigError(
            f"{at}/period",
            f"a cpu period is from {_PERIOD_USEC_MIN} to {_PERIOD_USEC_MAX} µs: {period}",
        )
    source = f"{at}/quota" if quota else f"{at}/period" if period else f"{at}/burst"
    values: dict[str, object] = {}
    if home.version == 1:
        if period:
            values["cpu.cfs_period_us"] = period
        if quota:
            values["cpu.cfs_quota_us"] = max(quota, -1)
        burst_file = "cpu.cfs_burst_us"
    else:
        line = cpu_max(quota_usec=quota, period_usec=period, current=current.get("cpu.max", ""))
        if line:
            values["cpu.max"] = line
        burst_file = "cpu.max.burst"
    plan = []
    if burst:
        values[burst_file] = burst
    elif burst == 0:
        # No burst is what a kernel older than 5.14 offers, too. Taken away before a quota that may
        # be smaller than it is set.
        plan.append(home.write(f"{at}/burst", burst_file, 0, ignore=("ENOENT",)))
    if values:
        plan.append(home.write_dependent(source, values))
    return plan


def cpu_max(*, quota_usec: int, period_usec: int, current: str = "") -> str:
    """Translate CPU bandwidth from the runtime-spec into a line for the v2 file `cpu.max`.

    Args:
        quota_usec: CPU time allowed in each period, in microseconds, summed over all CPUs. Negative
            means no limit, 0 not configured.
        period_usec: length of the period, in microseconds; 0: not configured.
        current: the line that is in the file now, for what is not configured.

    Returns:
        "QUOTA PERIOD", where QUOTA may be "max"; "" if there is nothing to write.

    Kernel: Documentation/admin-guide/cgroup-v2.rst, "CPU Interface Files".
    """
    if not quota_usec and not period_usec:
        return ""
    old_quota, _, old_period = (current or f"max {_PERIOD_USEC_DEFAULT}").partition(" ")
    quota = (str(quota_usec) if quota_usec > 0 else "max") if quota_usec else old_quota
    return f"{quota} {period_usec or old_period}"


def plan_cpuset(cpu: Cpu, home: Home, at: str) -> list[Step]:
    """Return the writes of the controller cpuset; v1 can be mounted without prefixes."""
    plan = []
    for field in ("cpus", "mems"):
        text = cpu.get("cpus", "") if field == "cpus" else cpu.get("mems", "")
        if text:
            source = f"{at}/cpu/{field}"
            fallback = (field, text) if home.version == 1 else ("", "")
            plan.append(home.write(source, f"cpuset.{field}", text, fallback=fallback))
    return plan
