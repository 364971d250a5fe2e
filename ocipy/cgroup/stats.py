"""What a container uses, in the shape in which runc's `events --stats` prints it.

The names, their order, and which zeros are left out are runc's (its types/events.go), since clients
decode this with that type. Times are nanoseconds, sizes bytes; no limit is 2^64 - 1, as Go has it.
What the host does not account for stays zero.
"""

from __future__ import annotations

import os

from ocipy.cgroup.files import read_file, read_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Value: TypeAlias = "int | float | str | list[int] | list[dict[str, Value]] | dict[str, Value]"
    Object: TypeAlias = dict[str, Value]

_UNLIMITED = (1 << 64) - 1
# Ticks of cpuacct.stat: USER_HZ is 100 on every architecture we support.
_NSEC_PER_TICK = 10_000_000


def read_stats(paths: Mapping[str, str]) -> dict[str, object]:
    """Return the statistics of a container whose cgroup has these directories (its record's)."""
    stats = Stats(paths)
    return {
        "cpu": stats.cpu(),
        "cpuset": stats.cpuset(),
        "memory": stats.memory(),
        "pids": stats.pids(),
        "blkio": stats.block_io(),
        "hugetlb": stats.hugetlb(),
        "intel_rdt": {},
        "network_interfaces": None,
    }


class Stats:
    """Reads the files of a container's cgroup; a file that is missing counts as zero."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self.unified = paths.get("", "")
        self.v1 = {name: path for names, path in paths.items() for name in names.split(",") if name}

    def cpu(self) -> Object:
        usage: Object
        if "cpuacct" in self.v1 or "cpu" in self.v1:
            path = self.v1.get("cpuacct", "")
            ticks = _table(f"{path}/cpuacct.stat")
            per_cpu = [line.split() for line in _lines(f"{path}/cpuacct.usage_all")[1:]]
            usage = _without_zeros(
                {
                    "total": _number(f"{path}/cpuacct.usage"),
                    "percpu": [int(n) for n in _text(f"{path}/cpuacct.usage_percpu").split()],
                    "percpu_kernel": [int(columns[2]) for columns in per_cpu],
                    "percpu_user": [int(columns[1]) for columns in per_cpu],
                }
            )
            usage["kernel"] = ticks.get("system", 0) * _NSEC_PER_TICK
            usage["user"] = ticks.get("user", 0) * _NSEC_PER_TICK
            throttled = _table(f"{self.v1.get('cpu', '')}/cpu.stat")
            throttled_time = throttled.get("throttled_time", 0)
        else:
            throttled = _table(f"{self.unified}/cpu.stat")
            usage = _without_zeros({"total": throttled.get("usage_usec", 0) * 1000})
            usage["kernel"] = throttled.get("system_usec", 0) * 1000
            usage["user"] = throttled.get("user_usec", 0) * 1000
            throttled_time = throttled.get("throttled_usec", 0) * 1000
        throttling = _without_zeros(
            {
                "periods": throttled.get("nr_periods", 0),
                "throttledPeriods": throttled.get("nr_throttled", 0),
                "throttledTime": throttled_time,
            }
        )
        return {"usage": usage, "throttling": throttling, **self._pressure("cpu")}

    def cpuset(self) -> Object:
        path = self.v1.get("cpuset", "")
        lists = {name: _expand(_text(f"{path}/cpuset.{name}")) for name in ("cpus", "mems")}
        numbers = {
            name: _number(f"{path}/cpuset.{name}")
            for name in (
                "cpu_exclusive",
                "mem_hardwall",
                "mem_exclusive",
                "memory_migrate",
                "memory_spread_page",
                "memory_spread_slab",
                "memory_pressure",
                "sched_load_balance",
                "sched_relax_domain_level",
            )
        }
        found: Object = _without_zeros({"cpus": lists["cpus"]})
        found["cpu_exclusive"] = numbers.pop("cpu_exclusive")
        found.update(_without_zeros({"mems": lists["mems"]}))
        found.update(numbers)
        return found

    def memory(self) -> Object:
        if "memory" in self.v1:
            path = self.v1["memory"]
            raw = _table(f"{path}/memory.stat")
            cache = raw.get("cache", 0)
            entries = {
                "usage": _memory_v1(path, "memory"),
                "swap": _memory_v1(path, "memory.memsw"),
                "kernel": _memory_v1(path, "memory.kmem"),
                "kernelTCP": _memory_v1(path, "memory.kmem.tcp"),
            }
        else:
            raw = _table(f"{self.unified}/memory.stat")
            cache = raw.get("file", 0)
            usage = _memory_v2(self.unified, "memory")
            swap = _memory_v2(self.unified, "memory.swap")
            # v1 counts memory and swap together, and its readers expect that.
            both = {
                "limit": min(swap["limit"] + usage["limit"], _UNLIMITED),
                "usage": swap["usage"] + usage["usage"],
            }
            nothing = _memory_v2("", "")
            entries = {
                "usage": usage,
                "swap": {**both, "max": 0, "failcnt": 0},
                "kernel": nothing,
                "kernelTCP": nothing,
            }
        found: Object = _without_zeros({"cache": cache})
        for name, entry in entries.items():
            found[name] = {
                "limit": entry["limit"],
                **_without_zeros({"usage": entry["usage"], "max": entry["max"]}),
                "failcnt": entry["failcnt"],
            }
        if raw:
            found["raw"] = {name: raw[name] for name in sorted(raw)}
        return {**found, **self._pressure("memory")}

    def pids(self) -> Object:
        path = self.v1.get("pids", self.unified)
        limit = _number(f"{path}/pids.max")
        current = _number(f"{path}/pids.current") or len(_lines(f"{path}/cgroup.procs"))
        return _without_zeros({"current": current, "limit": 0 if limit == _UNLIMITED else limit})

    def block_io(self) -> Object:
        tables = self._block_io_v1() if "blkio" in self.v1 else self._block_io_v2()
        return {
            **{name: entries for name, entries in tables.items() if entries},
            **self._pressure("io"),
        }

    def _block_io_v1(self) -> dict[str, list[Object]]:
        """The first family of files that has numbers: BFQ's, CFQ's (up to 4.20), throttling's."""
        path = self.v1["blkio"]
        for prefix in ("blkio.bfq.", "blkio.", "blkio.throttle."):
            if os.path.exists(f"{path}/{prefix}io_serviced_recursive") and any(
                line.strip() not in ("", "Total 0")
                for line in _lines(f"{path}/{prefix}io_serviced_recursive")
            ):
                return {
                    field: _block_entries(_lines(f"{path}/{prefix}{file}"))
                    for field, file in _BLKIO_FILES
                }
        return {}

    def _block_io_v2(self) -> dict[str, list[Object]]:
        tables: dict[str, list[Object]] = {
            "ioServiceBytesRecursive": [],
            "ioServicedRecursive": [],
        }
        for line in _lines(f"{self.unified}/io.stat"):
            device, *counters = line.split()
            major, _, minor = device.partition(":")
            for counter in counters:
                name, _, value = counter.partition("=")
                if name not in _IO_STAT or not minor.isdigit():
                    continue
                field, operation = _IO_STAT[name]
                entry = {"major": int(major), "minor": int(minor)}
                tables[field].append(
                    {
                        **_without_zeros(entry),
                        "op": operation,
                        **_without_zeros({"value": int(value)}),
                    }
                )
        return tables

    def hugetlb(self) -> Object:
        path = self.v1.get("hugetlb", self.unified)
        found: Object = {}
        for size in _huge_page_sizes():
            prefix = f"{path}/hugetlb.{size}"
            if "hugetlb" in self.v1:
                rsvd = ".rsvd" if os.path.exists(f"{prefix}.rsvd.usage_in_bytes") else ""
                if not os.path.exists(f"{prefix}{rsvd}.usage_in_bytes"):
                    continue
                usage = _number(f"{prefix}{rsvd}.usage_in_bytes")
                peak = _number(f"{prefix}{rsvd}.max_usage_in_bytes")
                failcnt = _number(f"{prefix}{rsvd}.failcnt")
            else:
                rsvd = ".rsvd" if os.path.exists(f"{prefix}.rsvd.current") else ""
                if not os.path.exists(f"{prefix}{rsvd}.current"):
                    continue
                usage, peak = _number(f"{prefix}{rsvd}.current"), 0
                failcnt = read_key(f"{prefix}.events", "max") or 0
            found[size] = {**_without_zeros({"usage": usage, "max": peak}), "failcnt": failcnt}
        return found

    def _pressure(self, resource: str) -> Object:
        """Pressure stall information, which only v2 keeps; also beside v1, on a hybrid host."""
        if not self.unified:
            return {}
        found: Object = {}
        for line in _lines(f"{self.unified}/{resource}.pressure"):
            kind, *fields = line.split()
            numbers: Object = {}
            for field in fields:
                name, _, value = field.partition("=")
                numbers[name] = int(value) if name == "total" else float(value)
            found[kind] = numbers
        return {"psi": found} if found else {}


_BLKIO_FILES = (
    ("ioServiceBytesRecursive", "io_service_bytes_recursive"),
    ("ioServicedRecursive", "io_serviced_recursive"),
    ("ioQueueRecursive", "io_queued_recursive"),
    ("ioServiceTimeRecursive", "io_service_time_recursive"),
    ("ioWaitTimeRecursive", "io_wait_time_recursive"),
    ("ioMergedRecursive", "io_merged_recursive"),
    ("ioTimeRecursive", "time_recursive"),
    ("sectorsRecursive", "sectors_recursive"),
)
_IO_STAT = {
    "rbytes": ("ioServiceBytesRecursive", "Read"),
    "wbytes": ("ioServiceBytesRecursive", "Write"),
    "rios": ("ioServicedRecursive", "Read"),
    "wios": ("ioServicedRecursive", "Write"),
}


def _block_entries(lines: list[str]) -> list[Object]:
    """Lines are "8:0 Read 124", "8:0 6792", and at the end "Total 228"."""
    entries: list[Object] = []
    for line in lines:
        device, *rest = line.split()
        major, colon, minor = device.partition(":")
        if not colon or not rest:
            continue
        entry = _without_zeros({"major": int(major), "minor": int(minor)})
        if len(rest) == 2:
            entry["op"] = rest[0]
        entries.append({**entry, **_without_zeros({"value": int(rest[-1])})})
    return entries


def _memory_v1(path: str, prefix: str) -> dict[str, int]:
    names = {"limit": "limit", "usage": "usage", "max": "max_usage"}
    entry = {key: _number(f"{path}/{prefix}.{name}_in_bytes") for key, name in names.items()}
    return {**entry, "failcnt": _number(f"{path}/{prefix}.failcnt")}


def _memory_v2(path: str, prefix: str) -> dict[str, int]:
    names = {"limit": "max", "usage": "current", "max": "peak"}
    entry = {key: _number(f"{path}/{prefix}.{name}") for key, name in names.items()}
    return {**entry, "failcnt": 0}


def _huge_page_sizes() -> list[str]:
    """The kernel's names for the sizes of its huge pages: "2MB", "1GB"."""
    try:
        names = os.listdir("/sys/kernel/mm/hugepages")
    except OSError:
        return []
    sizes = []
    for name in sorted(names):
        size_kib = int(name.removeprefix("hugepages-").removesuffix("kB"))
        for unit, kib in (("GB", 1 << 20), ("MB", 1 << 10), ("KB", 1)):
            if size_kib >= kib:
                sizes.append(f"{size_kib // kib}{unit}")
                break
    return sizes


def _without_zeros(values: Mapping[str, Value]) -> Object:
    return {name: value for name, value in values.items() if value}


def _text(path: str) -> str:
    try:
        return read_file(path)
    except OSError:
        return ""


def _lines(path: str) -> list[str]:
    return _text(path).splitlines()


def _number(path: str) -> int:
    text = _text(path).strip()
    return _UNLIMITED if text == "max" else int(text or 0)


def _table(path: str) -> dict[str, int]:
    """Read a file of "name number" lines."""
    table = {}
    for line in _lines(path):
        name, _, value = line.partition(" ")
        table[name] = int(value)
    return table


def _expand(text: str) -> list[int]:
    """Turn "0-3,7" into [0, 1, 2, 3, 7]."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            numbers += range(int(first), int(last or first) + 1)
    return numbers
