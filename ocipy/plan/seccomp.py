"""The seccomp profile: config.json in, a normalised request for a filter out.

Pure. What the request needs of libseccomp, numbers of system calls and the BPF program, is worked
out by ocipy.spawn.seccomp, which also keeps the result: two profiles that mean the same have equal
requests, hence one filter.
"""

from __future__ import annotations

from ocipy.errors import UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from ocipy.config._generated_types import Config, Seccomp, Syscall, SyscallArg
    from ocipy.host.facts import HostFacts

    # argument index, operator, value, valueTwo
    Condition: TypeAlias = tuple[int, int, int, int]
    # action, names of system calls, conditions; all conditions must hold
    Rule: TypeAlias = tuple[int, tuple[str, ...], tuple[Condition, ...]]

# include/uapi/linux/seccomp.h, SECCOMP_RET_*; the low 16 bits are data, such as the errno.
ACT_ERRNO, ACT_TRACE, ACT_NOTIFY = 0x0005_0000, 0x7FF0_0000, 0x7FC0_0000
ACTIONS = {
    "SCMP_ACT_KILL": 0x0000_0000,  # the thread, as it always did
    "SCMP_ACT_KILL_THREAD": 0x0000_0000,
    "SCMP_ACT_KILL_PROCESS": 0x8000_0000,
    "SCMP_ACT_TRAP": 0x0003_0000,
    "SCMP_ACT_ERRNO": ACT_ERRNO,
    "SCMP_ACT_NOTIFY": ACT_NOTIFY,
    "SCMP_ACT_TRACE": ACT_TRACE,
    "SCMP_ACT_LOG": 0x7FFC_0000,
    "SCMP_ACT_ALLOW": 0x7FFF_0000,
}
# <seccomp.h>, enum scmp_compare.
OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
# <seccomp.h>, SCMP_ARCH_*: AUDIT_ARCH_* of <linux/audit.h>, but for X32, which the kernel tells
# from X86_64 by a bit in the number of the system call.
ARCHITECTURES = {
    "SCMP_ARCH_X86": 0x4000_0003,
    "SCMP_ARCH_X86_64": 0xC000_003E,
    "SCMP_ARCH_X32": 0x4000_003E,
    "SCMP_ARCH_ARM": 0x4000_0028,
    "SCMP_ARCH_AARCH64": 0xC000_00B7,
    "SCMP_ARCH_LOONGARCH64": 0xC000_0102,
    "SCMP_ARCH_M68K": 0x0000_0004,
    "SCMP_ARCH_MIPS": 0x0000_0008,
    "SCMP_ARCH_MIPS64": 0x8000_0008,
    "SCMP_ARCH_MIPS64N32": 0xA000_0008,
    "SCMP_ARCH_MIPSEL": 0x4000_0008,
    "SCMP_ARCH_MIPSEL64": 0xC000_0008,
    "SCMP_ARCH_MIPSEL64N32": 0xE000_0008,
    "SCMP_ARCH_PARISC": 0x0000_000F,
    "SCMP_ARCH_PARISC64": 0x8000_000F,
    "SCMP_ARCH_PPC": 0x0000_0014,
    "SCMP_ARCH_PPC64": 0x8000_0015,
    "SCMP_ARCH_PPC64LE": 0xC000_0015,
    "SCMP_ARCH_RISCV64": 0xC000_00F3,
    "SCMP_ARCH_S390": 0x0000_0016,
    "SCMP_ARCH_S390X": 0x8000_0016,
    "SCMP_ARCH_SH": 0x4000_002A,
    "SCMP_ARCH_SHEB": 0x0000_002A,
}
# include/uapi/linux/seccomp.h, SECCOMP_FILTER_FLAG_*, and the first kernel that has them.
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1 << 0,
    "SECCOMP_FILTER_FLAG_LOG": 1 << 1,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 1 << 5,
}
TSYNC, SPEC_ALLOW, WAIT_KILLABLE_RECV = 1 << 0, 1 << 2, 1 << 5
NEW_LISTENER, TSYNC_ESRCH = 1 << 3, 1 << 4
_WAIT_KILLABLE_RECV_SINCE = (5, 19)

EPERM, ENOSYS = 1, 38


class SeccompRequest:
    """A profile in numbers; only system calls still have their names.

    Attributes:
        default_action: SECCOMP_RET_* with its data.
        architectures: SCMP_ARCH_* tokens beside the native one, sorted.
        rules: in the order of the profile; see `Rule`.
        seccomp_flags: SECCOMP_FILTER_FLAG_* for seccomp(2), NEW_LISTENER included.
        listener_path, listener_metadata: where the notification descriptor goes; the path is ""
            unless some rule has SCMP_ACT_NOTIFY.
    """

    __slots__ = (
        "architectures",
        "default_action",
        "listener_metadata",
        "listener_path",
        "rules",
        "seccomp_flags",
    )

    def __init__(
        self,
        *,
        default_action: int,
        architectures: tuple[int, ...],
        rules: tuple[Rule, ...],
        seccomp_flags: int,
        listener_path: str = "",
        listener_metadata: str = "",
    ) -> None:
        self.default_action = default_action
        self.architectures = architectures
        self.rules = rules
        self.seccomp_flags = seccomp_flags
        self.listener_path = listener_path
        self.listener_metadata = listener_metadata

    @property
    def has_listener(self) -> bool:
        return bool(self.seccomp_flags & NEW_LISTENER)

    @property
    def program(self) -> tuple[int, tuple[int, ...], tuple[Rule, ...]]:
        """Everything the BPF program depends on; seccomp(2) takes the rest as arguments."""
        return (self.default_action, self.architectures, self.rules)


def plan_seccomp(config: Config, host: HostFacts) -> SeccompRequest | None:
    """Return what the profile of an accepted config asks for, or None where there is none.

    Raises:
        UnsupportedError: this kernel lacks a flag.

    Spec (config-linux.md#seccomp); its rules about what may not be combined are in
    ocipy.config.seccomp.
    """
    profile = config.get("linux", {}).get("seccomp")
    if profile is None:
        return None
    rules = tuple(_rule(rule) for rule in profile.get("syscalls", ()))
    notifies = any(action == ACT_NOTIFY for action, _, _ in rules)
    return SeccompRequest(
        default_action=_action(profile["defaultAction"], profile.get("defaultErrnoRet", EPERM)),
        architectures=tuple(
            sorted({ARCHITECTURES[name] for name in profile.get("architectures", ())})
        ),
        rules=rules,
        seccomp_flags=_flags(profile, host, notifies=notifies),
        # Spec: if the SCMP_ACT_NOTIFY action is not used listenerPath is ignored.
        listener_path=profile["listenerPath"] if notifies else "",
        listener_metadata=profile.get("listenerMetadata", "") if notifies else "",
    )


def permits(request: SeccompRequest, calls: Sequence[tuple[str, Sequence[int]]]) -> bool:
    """Return whether a filter certainly lets these system calls pass, with these first arguments.

    A condition on an argument that is not given may hold, and may not.
    """
    return all(_permits(request, name, arguments) for name, arguments in calls)


def _permits(request: SeccompRequest, name: str, arguments: Sequence[int]) -> bool:
    passing = (ACTIONS["SCMP_ACT_ALLOW"], ACTIONS["SCMP_ACT_LOG"])
    allowed = request.default_action in passing
    for action, names, conditions in request.rules:
        if name not in names:
            continue
        met = [_is_met(condition, arguments) for condition in conditions]
        if action not in passing and False not in met:
            return False
        if action in passing and all(met):
            allowed = True
    return allowed


def _is_met(condition: Condition, arguments: Sequence[int]) -> bool | None:
    """Return whether a condition holds, or None where that is not known."""
    index, operator, value, value_two = condition
    if index >= len(arguments):
        return None
    argument = arguments[index]
    if operator == OPERATORS["SCMP_CMP_MASKED_EQ"]:
        return argument & value == value_two
    return {
        1: argument != value,
        2: argument < value,
        3: argument <= value,
        4: argument == value,
        5: argument >= value,
        6: argument > value,
    }[operator]


def _action(name: str, errno_ret: int) -> int:
    action = ACTIONS[name]
    return action | int(errno_ret) if action in (ACT_ERRNO, ACT_TRACE) else action


def _rule(rule: Syscall) -> Rule:
    return (
        _action(rule["action"], rule.get("errnoRet", EPERM)),
        tuple(rule["names"]),
        tuple(_condition(arg) for arg in rule.get("args", ())),
    )


def _condition(arg: SyscallArg) -> Condition:
    # Only SCMP_CMP_MASKED_EQ has a second value; dropped elsewhere, equal rules are equal.
    value_two = arg.get("valueTwo", 0) if arg["op"] == "SCMP_CMP_MASKED_EQ" else 0
    return (int(arg["index"]), OPERATORS[arg["op"]], int(arg["value"]), int(value_two))


def _flags(profile: Seccomp, host: HostFacts, *, notifies: bool) -> int:
    names = profile.get("flags")
    if names is None:
        # As runc and crun: a profile that says nothing does not pay for the mitigation of
        # speculative store bypass, which a filter would else switch on.
        return SPEC_ALLOW | (NEW_LISTENER if notifies else 0)
    flags = 0
    for i, name in enumerate(names):
        flag = FLAGS[name]
        if flag == WAIT_KILLABLE_RECV and _version(host.kernel) < _WAIT_KILLABLE_RECV_SINCE:
            raise UnsupportedError(
                f"/linux/seccomp/flags/{i}", f"Linux {host.kernel} lacks {name}; it came with 5.19"
            )
        flags |= flag
    if not notifies:
        # How to wait for an answer means nothing where nobody is asked, and is EINVAL.
        return flags & ~WAIT_KILLABLE_RECV
    if flags & TSYNC:
        # seccomp(2): with a listener, TSYNC needs TSYNC_ESRCH; the result is a descriptor, so the
        # id of a thread that could not be synchronised has no place in it.
        flags |= TSYNC_ESRCH
    return flags | NEW_LISTENER


def _version(release: str) -> tuple[int, int]:
    major, _, rest = release.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return (int(major), int(digits or 0))
