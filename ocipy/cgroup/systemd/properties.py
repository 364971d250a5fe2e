"""Resource limits as properties of a unit. Pure.

systemd writes the files of a unit's cgroup whenever it likes, after `systemctl daemon-reload` for
one. What it does not know to be wanted it resets. So what has a property is set twice: as one, and
then in the file, with the exact value. What has none is only written: systemd lets it be.

Properties are "NAME=VALUE" with the value as GVariant text (variant.py), as in annotations.

Sources: systemd.resource-control(5); org.freedesktop.systemd1(5) for the types. Which limit becomes
which property: runc, libcontainer/cgroups/systemd/v2.go; and I/O, which runc only writes.
"""

from __future__ import annotations

from ocipy.cgroup.systemd.variant import parse_variant, quote
from ocipy.config.cpu_list import bit_mask, parse_list
from ocipy.errors import ConfigError, UnsupportedError, pointer_token
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ocipy.cgroup.systemd.scope import Scope
    from ocipy.config._generated_types import DeviceRule
    from ocipy.plan.step import Step

_INFINITY = (1 << 64) - 1
_ANNOTATION = "org.systemd.property."
_USEC_PER_SEC = 1_000_000
# systemd rounds a quota up to whole percents of a CPU when it reads its own files again.
_QUOTA_STEP_USEC = 10_000

# Files that hold one number, or "max".
_LIMITS = {
    "memory.min": "MemoryMin",
    "memory.low": "MemoryLow",
    "memory.high": "MemoryHigh",
    "memory.max": "MemoryMax",
    "memory.swap.max": "MemorySwapMax",
    "pids.max": "TasksMax",
    "cpu.weight": "CPUWeight",
    "io.weight": "IOWeight",
}
_CPU_LISTS = {"cpuset.cpus": "AllowedCPUs", "cpuset.mems": "AllowedMemoryNodes"}
_IO_LIMITS = {
    "rbps": "IOReadBandwidthMax",
    "wbps": "IOWriteBandwidthMax",
    "riops": "IOReadIOPSMax",
    "wiops": "IOWriteIOPSMax",
}
_SUFFIXES = {"k": 10, "m": 20, "g": 30, "t": 40}


def scope_properties(
    scope: Scope, container_id: str, annotations: Mapping[str, str], limits: Sequence[str]
) -> list[str]:
    """Return all properties of a new scope but its processes.

    Raises:
        ConfigError: an annotation that names no property, or whose value cannot be read.
    """
    return [
        f"Description={quote(f'ocipy container {container_id}')}",
        f"Slice={quote(scope.slice)}",
        # The container may have cgroups of its own, and we enable controllers for it.
        "Delegate=true",
        # By default scopes end before others at shutdown; the client decides when containers do.
        "DefaultDependencies=false",
        "MemoryAccounting=true",
        "CPUAccounting=true",
        "IOAccounting=true",
        "TasksAccounting=true",
        *_from_annotations(annotations),
        *limits,
    ]


def _from_annotations(annotations: Mapping[str, str]) -> list[str]:
    properties = []
    for key, text in annotations.items():
        name = key.removeprefix(_ANNOTATION)
        if name == key:
            continue
        source = f"/annotations/{pointer_token(key)}"
        if len(name) < 3 or not (name.isascii() and name.isalpha()):
            raise ConfigError(source, f"{name!r} is not the name of a systemd property")
        try:
            _, value = parse_variant(text)
        except ValueError as error:
            raise ConfigError(
                source,
                f"the value {text!r} cannot be read: {error}",
                hint="values are GVariant text: true, uint64 5, ['a.service'], or \"'text'\" with "
                "quotation marks of its own",
            ) from None
        if name.endswith("Sec") and name[-4:-3].islower():
            # As runc: systemd's own files have seconds, D-Bus has microseconds.
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(source, f"not a number of seconds: {text!r}")
            name, text = f"{name[:-3]}USec", f"uint64 {int(value * _USEC_PER_SEC)}"
        properties.append(f"{name}={text}")
    return properties


def limit_properties(plan: Iterable[Step]) -> list[str]:
    """Return the properties that say the same as the writes of a plan to v2's files.

    Raises:
        ConfigError: a value, of linux.resources.unified, that the file could not hold.
    """
    properties: list[str] = []
    devices: dict[str, list[str]] = {}
    for step in plan:
        for file, value in _writes(step):
            try:
                properties += _properties(file, value, devices)
            except ValueError:
                raise ConfigError(step.source, f"{value!r} is no value for {file}") from None
    for name, entries in devices.items():
        properties.append(f"{name}=@a(st) [{', '.join(entries)}]")
    return properties


def _writes(step: Step) -> list[tuple[str, str]]:
    if isinstance(step, steps.WriteDependentCgroupFiles):
        written = list(zip(step.paths, step.values, strict=True))
    elif isinstance(step, steps.WriteCgroupFile):
        # Of the two names of the I/O weight, systemd's is the second.
        path, value = step.path, step.value
        if step.fallback_path.endswith("/io.weight"):
            path, value = step.fallback_path, step.fallback_value
        written = [(path, value)]
    else:
        return []
    return [(path.rpartition("/")[2], value) for path, value in written]


def _properties(file: str, value: str, devices: dict[str, list[str]]) -> list[str]:
    """Return the properties for one file; what belongs to a block device goes into `devices`."""
    if file == "cpu.max":
        return _bandwidth(value)
    if file in _CPU_LISTS:
        # As few bytes as there are, with which systemd answers, too.
        mask = bit_mask(parse_list(value)).rstrip(b"\0")
        return [f"{_CPU_LISTS[file]}=@ay [{', '.join(map(str, mask))}]"]
    if file == "io.max":
        device, *limits = value.split()
        for limit in limits:
            key, _, rate = limit.partition("=")
            name = _IO_LIMITS[key] if key in _IO_LIMITS else _not_a(file)
            entry = f"({quote(f'/dev/block/{device}')}, {_number(rate)})"
            devices.setdefault(name, []).append(entry)
        return []
    if file == "io.weight" and ":" in value:
        device, weight = value.split()
        entry = f"({quote(f'/dev/block/{device}')}, {_number(weight)})"
        devices.setdefault("IODeviceWeight", []).append(entry)
        return []
    if file not in _LIMITS:
        return []
    number = _number(value.removeprefix("default "))
    if file == "pids.max":
        # systemd takes no 0; where one process is, 1 forbids as much.
        number = max(number, 1)
    return [f"{_LIMITS[file]}=uint64 {number}"]


def _not_a(file: str) -> str:
    raise ValueError(file)


def as_systemd_writes(file: str, value: str) -> str:
    """Return what a file holds once systemd has written it anew, from the property of a limit.

    That is after `systemctl daemon-reload`, say; its properties are coarser than two of the files.
    """
    if file == "cpu.max":
        quota, _, period = value.partition(" ")
        if quota != "max":
            period_usec = int(period or 100_000)
            return (
                f"{_per_sec(int(quota), period_usec) * period_usec // _USEC_PER_SEC} {period_usec}"
            )
    if file == "pids.max" and value == "0":
        return "1"
    return value


def _per_sec(quota: int, period_usec: int) -> int:
    """Return CPUQuotaPerSecUSec, rounded up to what systemd keeps."""
    per_sec = quota * _USEC_PER_SEC // period_usec
    return -(-per_sec // _QUOTA_STEP_USEC) * _QUOTA_STEP_USEC


def _bandwidth(value: str) -> list[str]:
    quota, _, period = value.partition(" ")
    period_usec = int(period or 100_000)
    per_sec = _INFINITY if quota == "max" else _per_sec(int(quota), period_usec)
    return [f"CPUQuotaPeriodUSec=uint64 {period_usec}", f"CPUQuotaPerSecUSec=uint64 {per_sec}"]


def _number(text: str) -> int:
    """Read a number as the kernel does (memparse()): "max", "64M"."""
    if text == "max":
        return _INFINITY
    shift = _SUFFIXES.get(text[-1:].lower(), 0)
    number = int(text[:-1] if shift else text)
    if number < 0:
        raise ValueError(text)
    return number << shift


def device_properties(rules: Sequence[DeviceRule], at: str) -> list[str]:
    """Return DevicePolicy and DeviceAllow for device rules.

    systemd keeps a list of what is allowed. What cannot be said so ("all but", or part of what a
    wildcard gives) is left to our own filter alone: the kernel asks both, so systemd's must not
    forbid what the rules allow.
    """
    from ocipy.cgroup.devices import device_list, parse_rules

    try:
        allowed, exceptions = device_list(parse_rules(rules, f"{at}/devices"))
    except UnsupportedError:
        allowed, exceptions = True, []
    if allowed:
        return ["DevicePolicy='auto'", "DeviceAllow=@a(ss) []"]
    entries = []
    for exception in exceptions:
        kind, number, access = exception.split()
        major, _, minor = number.partition(":")
        word = "char" if kind == "c" else "block"
        if major == "*" and minor != "*":
            return ["DevicePolicy='auto'", "DeviceAllow=@a(ss) []"]
        name = f"{word}-{major}" if minor == "*" else f"/dev/{word}/{number}"
        entries.append(f"({quote(name)}, {quote(access)})")
    return ["DevicePolicy='strict'", f"DeviceAllow=@a(ss) [{', '.join(entries)}]"]
