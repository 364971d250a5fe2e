"""From a seccomp request to a BPF program, and the notification descriptor to who answers.

Names become numbers here: which number a name has, and whether it has one at all, is knowledge of
libseccomp's version, not of the profile.
"""

from __future__ import annotations

import errno
import os

from ocipy import __version__
from ocipy.errors import ConfigError, StepError, UnsupportedError
from ocipy.json_text import dumps
from ocipy.plan.seccomp import ACT_ERRNO, ACTIONS, ARCHITECTURES, ENOSYS
from ocipy.spawn.filter_cache import FilterCache
from ocipy.sys import native, seccomp_native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from ocipy.plan._generated_steps import SendSeccompListener
    from ocipy.plan.seccomp import Condition, SeccompRequest

    # The rule of the profile that it comes from, the name of the system call, and what
    # export_program() takes.
    NumberedRule: TypeAlias = tuple[int, str, tuple[int, int, tuple[Condition, ...]]]

# To be raised when the same request is to give another program.
_COMPILER = 1

_MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS
_INSTRUCTION_BYTES = 8
_SECCOMP_RET_ACTION = 0xFFFF_0000

# A filter with one of these as the default lets unknown system calls through to the kernel, or to
# a tracer, which know best whether they exist.
_PERMISSIVE = (
    ACTIONS["SCMP_ACT_ALLOW"],
    ACTIONS["SCMP_ACT_LOG"],
    ACTIONS["SCMP_ACT_TRACE"],
)

_SPEC_VERSION = "1.3.0"


def compile_filter(request: SeccompRequest, state_root: str) -> bytes:
    """Return the program for a request: an array of struct sock_filter.

    Taken from the cache below `state_root` where it is there, and put there where it is not.

    Raises:
        ConfigError, UnsupportedError: libseccomp refused the profile.
    """
    key = repr(
        (
            _COMPILER,
            __version__,
            seccomp_native.libseccomp_version(),
            seccomp_native.native_architecture(),
            request.program,
        )
    ).encode("utf-8", "surrogateescape")
    cache = FilterCache(state_root)
    program = cache.load(key)
    if program is None:
        program = compile_program(request)
        cache.store(key, program)
    return program


def send_listener(
    path: str, listener: int, pid: int, state: dict[str, object], metadata: str
) -> None:
    """Pass the notification descriptor to the process that answers for the container.

    `state` is the container's state, status "creating" for create and "running" for exec; `pid` the
    process that the filter was loaded into. `listener` stays the caller's to close.

    Spec (config-linux.md#containerprocessstate): one state for each connection, which is closed
    then, and the descriptors with the first sendmsg(2).

    Raises:
        OSError: the agent cannot be reached, or went away.
    """
    message: dict[str, object] = {"ociVersion": _SPEC_VERSION, "fds": ["seccompFd"], "pid": pid}
    if metadata:
        message["metadata"] = metadata
    message["state"] = state
    data = dumps(message).encode("utf-8", "surrogateescape")
    connection = native.connect_unix(path)
    try:
        sent = native.send(connection, data, (listener,))
        while sent < len(data):
            sent += native.send(connection, data[sent:])
    finally:
        os.close(connection)


def execute(step: SendSeccompListener, listener: int, pid: int, state: dict[str, object]) -> None:
    """Carry out the host step.

    Raises:
        StepError: Spec (config-linux.md#seccomp): if sending fails, an error MUST be generated.
    """
    try:
        send_listener(step.path, listener, pid, state, step.metadata)
    except OSError as error:
        call = "connect" if error.filename else "sendmsg"
        raise StepError(
            step,
            call,
            error.errno or errno.EIO,
            hint="the seccomp agent must listen there before the container is created",
        ) from None


def compile_program(request: SeccompRequest) -> bytes:
    """Return the program for a request; no cache is asked.

    Raises:
        ConfigError, UnsupportedError: libseccomp refused the profile.
    """
    from ocipy.spawn.enosys import enosys_stub

    rules = _number(request)
    try:
        program = seccomp_native.export_program(
            request.default_action, request.architectures, [rule for _, _, rule in rules]
        )
    except seccomp_native.ExportError as error:
        raise _refusal(request, rules, error) from None
    program = enosys_stub(_last_numbers(request)) + program
    count = len(program) // _INSTRUCTION_BYTES
    if count > _MAX_INSTRUCTIONS:
        raise ConfigError(
            "/linux/seccomp",
            f"the filter has {count} instructions, and the kernel takes {_MAX_INSTRUCTIONS}",
            hint="name fewer system calls, or fewer architectures",
        )
    return program


def _number(request: SeccompRequest) -> list[NumberedRule]:
    """Spell the rules out: one for each system call, with its number."""
    numbers: dict[str, int] = {}
    rules: list[NumberedRule] = []
    for i, (action, names, conditions) in enumerate(request.rules):
        # libseccomp refuses a rule that says what happens anyway.
        if action == request.default_action:
            continue
        # libseccomp has one condition on each argument. As runc and crun: where a profile has two
        # on the same one, any of all its conditions is enough.
        arguments = {condition[0] for condition in conditions}
        alternatives = [conditions]
        if len(arguments) < len(conditions):
            alternatives = [(condition,) for condition in conditions]
        for name in names:
            if name not in numbers:
                numbers[name] = seccomp_native.syscall_number(0, name)
            # Profiles name calls of kernels and architectures that libseccomp has yet to learn of;
            # the default action applies to them.
            if numbers[name] != seccomp_native.UNKNOWN_SYSCALL:
                rules += [(i, name, (action, numbers[name], some)) for some in alternatives]
    return rules


def _last_numbers(request: SeccompRequest) -> dict[int, int]:
    """Return the highest number that the profile names on each architecture; {} for no stub."""
    default = request.default_action
    if default & _SECCOMP_RET_ACTION in _PERMISSIVE or default == ACT_ERRNO | ENOSYS:
        return {}
    names = {name for _, some, _ in request.rules for name in some}
    # The native one first: most calls are its own.
    tokens = dict.fromkeys((seccomp_native.native_architecture(), *request.architectures))
    last = {}
    for token in tokens:
        number = max((seccomp_native.syscall_number(token, name) for name in names), default=-1)
        if number >= 0:
            last[token] = number
    return last


def _refusal(
    request: SeccompRequest, rules: list[NumberedRule], error: seccomp_native.ExportError
) -> ConfigError:
    version = f"libseccomp {seccomp_native.libseccomp_version()}"
    if error.part == "architecture":
        token = request.architectures[error.index]
        name = next(name for name, value in ARCHITECTURES.items() if value == token)
        source = "/linux/seccomp/architectures"
        if error.errno == errno.EDOM:
            return UnsupportedError(source, f"{name} has another byte order than this machine")
        return UnsupportedError(source, f"{version} does not know {name}")
    if error.part == "rule":
        i, name, _ = rules[error.index]
        source = f"/linux/seccomp/syscalls/{i}"
        if error.errno == errno.EEXIST:
            return ConfigError(
                source, f"{name}: an earlier rule has the same conditions and another action"
            )
        return ConfigError(source, f"{name}: {version}: {os.strerror(error.errno or 0).lower()}")
    if error.part == "action":
        return UnsupportedError(
            "/linux/seccomp/defaultAction", f"{version} or this kernel lacks the action"
        )
    return ConfigError("/linux/seccomp", f"{version}: {os.strerror(error.errno or 0).lower()}")
