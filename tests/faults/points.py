"""Where ocipy can fail or die: every system call of its host side that has an effect or can fail.

Theory of operation. The functions through which Python reaches the kernel are replaced once, before
ocipy is imported. A *point* is one call of such a function while a command is at work. Recorder and
fault see the same numbers, because a command makes the same calls each time, up to the one that is
disturbed. What a fault does at its point:

    error   the call is not made, and says what errno says
    term    the call is made, then ocipy is told to end (SIGTERM)
    kill    ocipy is killed (SIGKILL) before the call
    init    init is killed (SIGKILL) before the call

The faults of init's own steps are compiled into it (faults.h); their switch travels in the plan.
"""

from __future__ import annotations

import mmap
import os
import signal
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HOST_KINDS = ("error", "term", "kill", "init")
INIT_KINDS = ("fail-before", "fail-after", "die-before", "die-after", "kill-before")

_EFFECTS = {
    "os": "chmod chown fchown kill killpg mkdir mkfifo pwrite rename rmdir unlink write",
    "ocipy.sys.native": "become_subreaper connect_unix open_tree prlimit sealed_memfd"
    " sealed_program send setns socketpair spawn_init spawn_program",
    "ocipy.sys.userns_native": "clone_userns idmap_tree",
    "ocipy.sys.bpf_native": "replace_device_filter",
    "_signal": "pidfd_send_signal",
    "fcntl": "flock",
}
# They change nothing: that ocipy dies before one of them is the same as before what follows it.
_READING = {"os": "open pidfd_open scandir listdir pipe2"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Fault:
    """One fault: on the side "host" at the point `at`, or on the side "init" at the step `at`."""

    __slots__ = ("at", "code", "kind", "side")

    def __init__(self, side: str, kind: str, at: int, code: int) -> None:
        self.side = side
        self.kind = kind
        self.at = at
        self.code = code

    @property
    def plan_flags(self) -> int:
        """The switch in the plan: the table is in faults.h."""
        if self.side != "init":
            return 0
        name, _, moment = self.kind.partition("-")
        kind = {"fail": 1, "die": 2, "kill": 3}[name]
        return kind << 8 | (moment == "after") << 12 | self.code << 13 | self.at << 20


class Note:
    """What a command in a child tells the walk, whatever becomes of it: memory that both see."""

    _SIZE = 1 << 18

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self._SIZE)
        self.clear()

    def clear(self) -> None:
        self._memory[:9] = bytes(9)

    def add(self, text: str) -> None:
        line = text.encode() + b"\n"
        length = int.from_bytes(self._memory[1:9], "little")
        if 9 + length + len(line) > self._SIZE:
            raise MemoryError("too many points")
        self._memory[9 + length : 9 + length + len(line)] = line
        self._memory[1:9] = (length + len(line)).to_bytes(8, "little")

    def lines(self) -> list[str]:
        length = int.from_bytes(self._memory[1:9], "little")
        return self._memory[9 : 9 + length].decode().splitlines()

    @property
    def fired(self) -> bool:
        return self._memory[0] == 1

    def fire(self) -> None:
        self._memory[0] = 1


class _Armed:
    """The fault of the command that this process is about to run, or only a recorder of points."""

    def __init__(self) -> None:
        self.on = False
        self.fault: Fault | None = None
        self.note: Note | None = None
        self.count = 0
        self.init_pid = 0

    def meet(self, name: str, *, effect: bool) -> str:
        """Count one point; return the kind of fault that the caller has to carry out, or ""."""
        at, self.count = self.count, self.count + 1
        assert self.note is not None
        if self.fault is None:
            init = "init" if effect and (self.init_pid or _children()) else "-"
            self.note.add(f"point {'effect' if effect else 'read'} {init} {name}")
            return ""
        if self.fault.side != "host" or self.fault.at != at:
            return ""
        self.note.add(name)
        self.note.fire()
        if self.fault.kind == "kill":
            _kill_self()
        if self.fault.kind == "init":
            self.on = False
            try:
                _kill_init(self.init_pid)
            finally:
                self.on = True
            return ""
        return self.fault.kind


ARMED = _Armed()
_open, _signal_send = open, os.kill


def arm(fault: Fault | None, note: Note, init_pid: int) -> None:
    """From now on count; `init_pid` is the container's, 0 while it is still to be made."""
    ARMED.fault, ARMED.note, ARMED.init_pid, ARMED.on = fault, note, init_pid, True


def _kill_self() -> None:
    _signal_send(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _kill_init(pid: int) -> None:
    """Kill the container's init, our own child while it is being made; return when it is ending.

    Not when it has ended: for that it may have to be reaped by us, and in the freezer of cgroup v1
    it does not even begin.
    """
    for each in [pid] if pid else _children():
        try:
            _signal_send(each, signal.SIGKILL)
        except ProcessLookupError:
            continue
        deadline = time.monotonic() + 60
        while not _is_ending(each) and time.monotonic() < deadline:
            time.sleep(0.001)


def _is_ending(pid: int) -> bool:
    try:
        with _open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        with _open(f"/proc/{pid}/wchan", encoding="ascii") as file:
            wchan = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return True
    frozen = "refrigerator" in wchan or "freez" in wchan or fields[0] == "D"
    return frozen or bool(int(fields[6]) & 4)  # PF_EXITING


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return [int(pid) for pid in file.read().split()]


def _is_effect(name: str, args: tuple[Any, ...]) -> bool:
    return name != "open" or bool(len(args) > 1 and args[1] & _WRITING)


def _error(module: str, code: int, what: str) -> Exception:
    if module == "netlink":
        from pyroute2 import NetlinkError

        return NetlinkError(code, os.strerror(code))  # type: ignore[no-any-return]
    return OSError(code, os.strerror(code), *([what] if what.startswith("/") else []))


def _watch(owner: Any, name: str, *, reading: bool) -> None:
    real: Callable[..., Any] = getattr(owner, name)
    module = getattr(owner, "__name__", "").rpartition(".")[2]

    def point(*args: Any, **options: Any) -> Any:
        if not ARMED.on:
            return real(*args, **options)
        effect = not reading or (name == "open" and _is_effect(name, args))
        what = next((str(arg) for arg in args if isinstance(arg, str | bytes)), "")
        kind = ARMED.meet(f"{module}.{name} {what[:60]!r}", effect=effect)
        if kind == "error":
            assert ARMED.fault is not None
            raise _error(module, ARMED.fault.code, what)
        # What the function calls in its turn is the same point.
        ARMED.on = False
        try:
            result = real(*args, **options)
        finally:
            ARMED.on = True
        if kind == "term":
            _signal_send(os.getpid(), signal.SIGTERM)
        return result

    setattr(owner, name, point)


def watch_everything() -> None:
    """Replace the functions; to be called before the rest of ocipy is imported."""
    for table, reading in ((_EFFECTS, False), (_READING, True)):
        for module, names in table.items():
            owner = __import__(module, fromlist=["_"])
            for name in names.split():
                _watch(owner, name, reading=reading)
    _watch_plans()


def _watch_plans() -> None:
    """Let the switch of init travel, note the steps, and die where init says so."""
    from ocipy.spawn import launch, network_devices, sync

    encode, message, open_netlink = vars(launch)["encode_plan"], sync.Message, network_devices._open

    def encode_plan(plan: Any, fds: Any, flags: int = 0) -> bytes:
        if ARMED.on and ARMED.note is not None and ARMED.fault is None:
            for index, step in enumerate(plan):
                ARMED.note.add(f"step {index} {step.place} {step.operation}")
        encoded: bytes = encode(plan, fds, flags | (ARMED.fault.plan_flags if ARMED.fault else 0))
        return encoded

    class Message(message):  # type: ignore[misc, valid-type]
        __slots__ = ()

        def __init__(self, data: bytes, fd: int = -1) -> None:
            super().__init__(data, fd)
            if self.kind == sync.MESSAGE_TRACE:
                if ARMED.note is not None:
                    ARMED.note.fire()
                _kill_self()

    class Netlink:
        """The socket of pyroute2, each request being a point."""

        def __init__(self, socket: Any) -> None:
            self.__name__ = "netlink"
            for name in ("link", "addr", "route", "get_addr", "get_routes", "close"):
                setattr(self, name, getattr(socket, name))
            for name in ("link", "addr", "route"):
                _watch(self, name, reading=False)

    vars(launch)["encode_plan"] = encode_plan
    sync.Message = Message  # type: ignore[misc]
    network_devices._open = lambda namespace: Netlink(open_netlink(namespace))  # type: ignore[assignment, return-value]
