"""linux.resources.devices: which devices a container may open or make nodes of. Pure.

Spec (config-linux.md#allowed-device-list): "MUST apply entries in the listed order"; what no entry
names is denied, and the standard devices are allowed in the end, as runc has it.

v2 can do exactly that: see device_filter.py. v1 has a list of exceptions to one default. A later
entry that would take part of what an exception with wildcards grants cannot be put into that list,
and the kernel ignores it without a word, so it is an error here.
"""

from __future__ import annotations

from ocipy.errors import UnsupportedError
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocipy.cgroup.paths import Homes
    from ocipy.config._generated_types import DeviceRule
    from ocipy.plan.step import Step

# include/uapi/linux/bpf.h: BPF_DEVCG_ACC_MKNOD, _READ, _WRITE.
_ACCESS = {"r": 2, "w": 4, "m": 1}
ALL_ACCESS = 7
ANY = -1

# runc's list: mknod of any device, the devices of Spec (config-linux.md#default-devices), pseudo
# terminals, and /dev/net/tun, which clients have relied on since before there was a list. Not
# /dev/console: that is bound from a pseudo terminal, and 5:1 would be the host's.
_STANDARD = (
    ("c", ANY, ANY, 1),
    ("b", ANY, ANY, 1),
    ("c", 1, 3, ALL_ACCESS),
    ("c", 1, 8, ALL_ACCESS),
    ("c", 1, 7, ALL_ACCESS),
    ("c", 5, 0, ALL_ACCESS),
    ("c", 1, 5, ALL_ACCESS),
    ("c", 1, 9, ALL_ACCESS),
    ("c", 136, ANY, ALL_ACCESS),
    ("c", 5, 2, ALL_ACCESS),
    ("c", 10, 200, ALL_ACCESS),
)


class Rule:
    """One entry: `kind` is "a" (all), "b" or "c", a number may be ANY, `access` is a mask."""

    __slots__ = ("access", "allow", "kind", "major", "minor", "source")

    def __init__(
        self, allow: bool, kind: str, major: int, minor: int, access: int, source: str = ""
    ) -> None:
        self.allow = allow
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = access
        self.source = source

    @property
    def is_reset(self) -> bool:
        """Does it name every device and every access, so that nothing before it matters?"""
        return self.kind == "a" and self.major == self.minor == ANY and self.access == ALL_ACCESS

    def text(self) -> str:
        """The kernel's notation: "c 1:3 rwm"."""
        return _text(self.kind, self.major, self.minor, self.access)


def plan_devices(rules: Sequence[DeviceRule], homes: Homes, at: str) -> list[Step]:
    """Return the step that lets the container use the devices of `rules` and the standard ones.

    Raises:
        UnsupportedError: v1 cannot express it, or there is nothing that could restrict devices.
    """
    source = f"{at}/devices"
    checked = parse_rules(rules, source)
    home = homes.find("devices")
    if home is not None:
        default, exceptions = device_list(checked)
        others = "allow" if default else "deny"
        return [steps.SetDeviceList(source, path=home.path, others=others, rules=exceptions)]
    home = homes.unified()
    if home is None:
        raise UnsupportedError(
            source,
            "no cgroup hierarchy with the controller devices is mounted",
            hint="--cgroup-manager=disabled runs it without any restriction",
        )
    from ocipy.cgroup.device_filter import device_filter

    checked = effective(checked)
    return [
        steps.AttachDeviceFilter(
            source,
            path=home.path,
            rules=[("allow " if rule.allow else "deny ") + rule.text() for rule in checked],
            program=device_filter(checked),
        )
    ]


def parse_rules(rules: Sequence[DeviceRule], source: str) -> list[Rule]:
    """Return the entries, which ocipy.config.resources has checked, and the standard ones."""
    checked = []
    for i, rule in enumerate(rules):
        access = 0
        for letter in rule["access"]:
            access |= _ACCESS[letter]
        kind, major, minor = rule.get("type", ""), rule.get("major", ANY), rule.get("minor", ANY)
        checked.append(Rule(rule["allow"], kind or "a", major, minor, access, f"{source}/{i}"))
    return [*checked, *(Rule(True, *standard) for standard in _STANDARD)]


def effective(rules: Sequence[Rule]) -> list[Rule]:
    """Return the rules that are not overridden by a later one for everything."""
    for i in range(len(rules) - 1, -1, -1):
        if rules[i].is_reset:
            # After "allow everything", allowing more says nothing.
            later = rules[i + 1 :]
            if rules[i].allow and all(rule.allow for rule in later):
                return [rules[i]]
            return [rules[i], *later]
    return list(rules)


_Key = tuple[str, int, int]


def device_list(rules: Iterable[Rule]) -> tuple[bool, list[str]]:
    """Return what v1 does by default (True: allow), and the exceptions, in a stable order.

    Raises:
        UnsupportedError: a rule that takes part of what one with wildcards gives.
    """
    default = False
    exceptions: dict[_Key, int] = {}
    for rule in rules:
        if rule.is_reset:
            default, exceptions = rule.allow, {}
            continue
        for kind in "bc" if rule.kind == "a" else rule.kind:
            key = (kind, rule.major, rule.minor)
            if rule.allow != default:
                exceptions[key] = exceptions.get(key, 0) | rule.access
                continue
            for other, access in list(exceptions.items()):
                if not (access & rule.access and _overlap(key, other)):
                    continue
                if not _covers(key, other):
                    raise UnsupportedError(
                        rule.source,
                        f"cgroup v1 cannot except {rule.text()!r} from {_text(*other, access)!r}",
                        hint="list single devices instead of wildcards, or use cgroup v2",
                    )
                exceptions[other] = access & ~rule.access
    return default, [_text(*key, exceptions[key]) for key in sorted(exceptions) if exceptions[key]]


def _covers(wide: _Key, narrow: _Key) -> bool:
    return wide[0] == narrow[0] and all(
        a in (ANY, b) for a, b in zip(wide[1:], narrow[1:], strict=True)
    )


def _overlap(one: _Key, other: _Key) -> bool:
    return one[0] == other[0] and all(
        a == b or ANY in (a, b) for a, b in zip(one[1:], other[1:], strict=True)
    )


def transition(listed: Sequence[str], others: str, rules: Sequence[str]) -> list[tuple[str, str]]:
    """Return the writes that lead a v1 cgroup from its devices.list to the wanted one.

    Only what differs, and what is added before what is taken: a running container that keeps a
    device never loses it in between. A list that allows by default does not show its exceptions,
    so from there, or to there, it starts anew.

    Args:
        listed: lines of devices.list.
        others: "allow" or "deny": what the default is to be.
        rules: the exceptions to it.
    """
    exception = "allow" if others == "deny" else "deny"
    if others == "allow" or any(line.startswith("a") for line in listed):
        return [(others, "a *:* rwm"), *((exception, rule) for rule in rules)]
    old, new = _by_device(listed), _by_device(rules)
    gained = [
        ("allow", f"{device} {_letters(access & ~old.get(device, 0))}")
        for device, access in new.items()
        if access & ~old.get(device, 0)
    ]
    lost = [
        ("deny", f"{device} {_letters(access & ~new.get(device, 0))}")
        for device, access in old.items()
        if access & ~new.get(device, 0)
    ]
    return gained + lost


def _by_device(lines: Iterable[str]) -> dict[str, int]:
    devices = {}
    for line in lines:
        device, _, letters = line.strip().rpartition(" ")
        devices[device] = sum(_ACCESS[letter] for letter in letters)
    return devices


def _text(kind: str, major: int, minor: int, access: int) -> str:
    return f"{kind} {_number(major)}:{_number(minor)} {_letters(access)}"


def _number(number: int) -> str:
    return "*" if number == ANY else str(number)


def _letters(access: int) -> str:
    return "".join(letter for letter, bit in _ACCESS.items() if access & bit)
