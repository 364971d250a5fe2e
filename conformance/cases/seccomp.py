"""config-linux.md#seccomp and the container process state."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from conformance.case import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.room import Room

SPEC = Section("config-linux.md")
# chroot(2) is what the cases filter: busybox has it as an applet, and nothing else needs it.
CALL = "chroot"
TRY = "chroot / /bin/true 2>/dev/null; echo $?"
ERRNO = {"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"}
ARCHITECTURES = """X86 X86_64 X32 ARM AARCH64 MIPSEL MIPSEL64 MIPSEL64N32 PPC64LE RISCV64""".split()
# One filter cannot have two byte orders: libseccomp answers EDOM.
BIG_ENDIAN = "MIPS MIPS64 MIPS64N32 PPC PPC64 S390 S390X PARISC PARISC64".split()
NEW_ARCHITECTURES = "LOONGARCH64 M68K SH SHEB".split()


def profile(room: Room, action: str, *names: str, **more: Any) -> dict[str, Any]:
    """Allow everything, with one rule; return the profile."""
    rule = {"names": list(names or (CALL,)), "action": action, **more}
    seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    room.linux["seccomp"] = seccomp
    room.process["capabilities"] = {
        name: ["CAP_SYS_CHROOT"] for name in ("bounding", "permitted", "effective")
    }
    return seccomp


# What the shell sees of a child that calls chroot: its status, or 128+SIGSYS.
ACTIONS = [("SCMP_ACT_KILL", "159"), ("SCMP_ACT_KILL_THREAD", "159"), ("SCMP_ACT_KILL_PROCESS", "159"),
           ("SCMP_ACT_TRAP", "159"), ("SCMP_ACT_ERRNO", "1"), ("SCMP_ACT_TRACE", "1"),
           ("SCMP_ACT_ALLOW", "0"), ("SCMP_ACT_LOG", "0")]  # fmt: skip


@SPEC.family("seccomp.action.{0}", "MUST", "seccomp", "the action {0} is taken", ACTIONS)
def action(room: Room, name: str, wanted: str) -> None:
    profile(room, name)
    if name == "SCMP_ACT_ALLOW":
        room.linux["seccomp"]["defaultAction"] = "SCMP_ACT_LOG"
    room.equal(room.run(TRY).splitlines()[-1], wanted, "status of chroot")


@SPEC.family("seccomp.defaultAction.{0}", "MUST", "seccomp", "{0} can be the default action",
             ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"])  # fmt: skip
def default_action(room: Room, name: str) -> None:
    room.linux["seccomp"] = {"defaultAction": name}
    wanted = "2"
    found = room.run("grep '^Seccomp:' /proc/self/status").split()[1]
    room.holds(found == wanted or name == "SCMP_ACT_ALLOW", f"Seccomp: {found}")


@SPEC.must(
    "seccomp.defaultAction.SCMP_ACT_ERRNO", "seccomp", "what no rule allows gets the default action"
)
def default_errno(room: Room) -> None:
    # An allow list that is long enough for a shell would be a list of the whole kernel: the
    # default is taken away again from every call but one, by number.
    profile(room, "SCMP_ACT_ERRNO", errnoRet=38)
    room.equal(
        room.run("chroot / /bin/true 2>&1 | tail -n 1").split(": ")[-1], "Function not implemented"
    )


@SPEC.family("seccomp.errnoRet.{0}", "MUST", "seccomp", "errnoRet {0} is what the call returns",
             [(38, "Function not implemented"), (13, "Permission denied"), (1, "Operation not permitted")])  # fmt: skip
def errno_ret(room: Room, number: int, text: str) -> None:
    profile(room, "SCMP_ACT_ERRNO", errnoRet=number)
    room.equal(room.run("chroot / /bin/true 2>&1 | tail -n 1").split(": ")[-1], text)


@SPEC.must("seccomp.errnoRet-default", "seccomp", "the default of errnoRet is EPERM")
def errno_default(room: Room) -> None:
    profile(room, "SCMP_ACT_ERRNO")
    room.equal(
        room.run("chroot / /bin/true 2>&1 | tail -n 1").split(": ")[-1], "Operation not permitted"
    )


MISUSE = ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP", "SCMP_ACT_ALLOW",
          "SCMP_ACT_LOG"]  # fmt: skip


@SPEC.family(
    "seccomp.errnoRet-misused.{0}",
    "MUST",
    "seccomp",
    "errnoRet with {0}, which has none, is an error",
    MISUSE,
)
def errno_misused(room: Room, name: str) -> None:
    profile(room, name, errnoRet=38)
    room.rejects("/linux/seccomp/syscalls/0/errnoRet")


@SPEC.family("seccomp.defaultErrnoRet-misused.{0}", "MUST", "seccomp",
             "defaultErrnoRet with {0}, which has none, is an error", MISUSE)  # fmt: skip
def default_errno_misused(room: Room, name: str) -> None:
    room.linux["seccomp"] = {"defaultAction": name, "defaultErrnoRet": 38}
    room.rejects("/linux/seccomp/defaultErrnoRet")


@SPEC.must("seccomp.names-empty", "seccomp", "names must have at least one entry")
def names_empty(room: Room) -> None:
    profile(room, "SCMP_ACT_ERRNO")["syscalls"][0]["names"] = []
    room.rejects("/linux/seccomp/syscalls/0/names")


@SPEC.must("seccomp.without-syscalls", "seccomp", "syscalls may be absent")
def without_syscalls(room: Room) -> None:
    room.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
    room.accepts()


@SPEC.family(
    "seccomp.architecture.SCMP_ARCH_{0}",
    "MUST",
    "seccomp",
    "SCMP_ARCH_{0} is an architecture",
    ARCHITECTURES,
)
def architecture(room: Room, name: str) -> None:
    profile(room, "SCMP_ACT_ERRNO")["architectures"] = [f"SCMP_ARCH_{name}"]
    room.create()


@SPEC.family("seccomp.architecture.SCMP_ARCH_{0}", "MUST", "seccomp",
             "SCMP_ARCH_{0} cannot be in one filter with this host's byte order: an error", BIG_ENDIAN)  # fmt: skip
def big_endian(room: Room, name: str) -> None:
    room.needs("" if sys.byteorder == "little" else "a big-endian host")
    profile(room, "SCMP_ACT_ERRNO")["architectures"] = [f"SCMP_ARCH_{name}"]
    room.rejects("/linux/seccomp/architectures")


@SPEC.family("seccomp.architecture.SCMP_ARCH_{0}", "MAY", "seccomp",
             "SCMP_ARCH_{0}, which libseccomp has since 2.6, may be supported", NEW_ARCHITECTURES)  # fmt: skip
def new_architecture(room: Room, name: str) -> None:
    profile(room, "SCMP_ACT_ERRNO")["architectures"] = [f"SCMP_ARCH_{name}"]
    answer = room.try_create()
    if answer.status != 0:
        room.nothing_is_left()


@SPEC.must(
    "seccomp.architecture.unknown", "seccomp", "an architecture that there is not is an error"
)
def architecture_unknown(room: Room) -> None:
    profile(room, "SCMP_ACT_ERRNO")["architectures"] = ["SCMP_ARCH_BANANA"]
    room.rejects("/linux/seccomp/architectures/0")


FLAGS = ["TSYNC", "LOG", "SPEC_ALLOW"]


@SPEC.family(
    "seccomp.flag.SECCOMP_FILTER_FLAG_{0}", "MUST", "seccomp", "the flag {0} is taken", FLAGS
)
def flag(room: Room, name: str) -> None:
    profile(room, "SCMP_ACT_ERRNO")["flags"] = [f"SECCOMP_FILTER_FLAG_{name}"]
    room.equal(room.run(TRY).splitlines()[-1], "1", "status of chroot")


@SPEC.must("seccomp.flag.unknown", "seccomp", "a flag that there is not is an error")
def flag_unknown(room: Room) -> None:
    profile(room, "SCMP_ACT_ERRNO")["flags"] = ["SECCOMP_FILTER_FLAG_BANANA"]
    room.rejects("/linux/seccomp/flags/0")


# Of kill(2), which the shell calls with signal 0 on itself: (value, does `0 op value` match?)
OPERATORS = [("SCMP_CMP_NE", 5, 0, True), ("SCMP_CMP_LT", 5, 0, True), ("SCMP_CMP_LE", 0, 0, True),
             ("SCMP_CMP_EQ", 0, 0, True), ("SCMP_CMP_GE", 0, 0, True), ("SCMP_CMP_GT", 0, 0, False),
             ("SCMP_CMP_MASKED_EQ", 0xFF, 0, True)]  # fmt: skip


@SPEC.family(
    "seccomp.operator.{0}", "MUST", "seccomp", "the operator {0} compares an argument", OPERATORS
)
def operator(room: Room, name: str, value: int, second: int, matches: bool) -> None:
    condition = {"index": 1, "value": value, "valueTwo": second, "op": name}
    profile(room, "SCMP_ACT_ERRNO", "kill", args=[condition])
    found = room.run("kill -0 $$ 2>/dev/null && echo sent || echo refused")
    room.equal(found, "refused" if matches else "sent", "kill(pid, 0)")


@SPEC.must("seccomp.args-all", "seccomp", "of several arguments all must match")
def args_all(room: Room) -> None:
    conditions = [
        {"index": 1, "value": 0, "op": "SCMP_CMP_EQ"},
        {"index": 0, "value": 1, "op": "SCMP_CMP_NE"},
    ]
    profile(room, "SCMP_ACT_ERRNO", "kill", args=conditions)
    room.equal(room.run("kill -0 1 && echo sent"), "sent", "kill(1, 0)")


@SPEC.must("seccomp.args-index", "seccomp", "a call has six arguments: index 6 is an error")
def args_index(room: Room) -> None:
    profile(room, "SCMP_ACT_ERRNO", "kill", args=[{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}])
    room.rejects("/linux/seccomp/syscalls/0/args/0/index")


# -- the listener


class Agent:
    """Takes connections at `path`, and keeps what each brought: payload and descriptors."""

    def __init__(self, path: str) -> None:
        self.received: list[tuple[bytes, list[list[int]], bool]] = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            payload, descriptors, ended = b"", [], False
            with connection:
                connection.settimeout(30)
                with contextlib.suppress(TimeoutError):
                    while True:
                        # The size of the buffer for ancillary data: four descriptors are plenty.
                        data, control, _, _ = connection.recvmsg(1 << 16, 1 << 10)
                        found = array.array("i")
                        for _, _, blob in control:
                            found.frombytes(blob[: len(blob) - len(blob) % found.itemsize])
                        if not data and not found:
                            ended = True
                            break
                        payload += data
                        descriptors.append(list(found))
            self.received.append((payload, descriptors, ended))

    def close(self) -> None:
        # close() alone does not wake accept(2).
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for _, descriptors, _ in self.received:
            for fd in (fd for message in descriptors for fd in message):
                os.close(fd)


@contextlib.contextmanager
def notified(room: Room, metadata: str | None = None) -> Iterator[tuple[dict[str, Any], Agent]]:
    """Run a container whose chroot asks an agent; yield what the agent got, and the agent."""
    path = f"{room.directory}/agent"
    seccomp = profile(room, "SCMP_ACT_NOTIFY")
    seccomp["listenerPath"] = path
    if metadata is not None:
        seccomp["listenerMetadata"] = metadata
    agent = Agent(path)
    try:
        room.script("exec sleep 1000")
        room.create()
        room.start()
        room.until(lambda: bool(agent.received), "a connection to the agent, and its end")
        yield json.loads(agent.received[0][0]), agent
    finally:
        agent.close()


STATE = "the-container-process-state"


@SPEC.must(
    "seccomp.listener.state", STATE, "the state is sent as JSON, with what is REQUIRED in it"
)
def listener_state(room: Room) -> None:
    room.config["annotations"] = {"com.example.key": "value"}
    with notified(room) as (state, _):
        for name in ("ociVersion", "pid", "state"):
            room.holds(name in state, f"no {name} in {state}")
        room.equal(state["pid"], room.pid, "pid")
        room.equal(state["state"]["id"], room.id, "id")
        room.equal(state["state"]["bundle"], room.bundle, "bundle")
        room.equal(
            state["state"].get("annotations", {}).get("com.example.key"), "value", "annotation"
        )


@SPEC.must("seccomp.listener.fds", STATE, "the descriptors come by SCM_RIGHTS, named in fds")
def listener_fds(room: Room) -> None:
    with notified(room) as (state, agent):
        room.equal(state["fds"], ["seccompFd"], "fds")
        fd = agent.received[0][1][0][0]
        room.equal(os.readlink(f"/proc/self/fd/{fd}"), "anon_inode:seccomp notify", "descriptor")


@SPEC.must("seccomp.listener.fds-first", STATE, "the descriptors come with the first message only")
def listener_first(room: Room) -> None:
    with notified(room) as (_, agent):
        counts = [len(fds) for fds in agent.received[0][1]]
        room.equal(
            (counts[0], sum(counts[1:])), (1, 0), "descriptors in the first and the other messages"
        )


@SPEC.must("seccomp.listener.metadata", "seccomp", "listenerMetadata is sent as metadata")
def listener_metadata(room: Room) -> None:
    with notified(room, "opaque=1;x") as (state, _):
        room.equal(state.get("metadata"), "opaque=1;x", "metadata")


@SPEC.must("seccomp.listener.once", "seccomp", "one state is sent for each connection")
def listener_once(room: Room) -> None:
    with notified(room) as (_, agent):
        room.equal(len(agent.received), 1, "connections")


@SPEC.must("seccomp.listener.closed", "seccomp", "the connection is closed after the state")
def listener_closed(room: Room) -> None:
    with notified(room) as (_, agent):
        room.equal(agent.received[0][2], True, "closed within 30 s")


@SPEC.must("seccomp.listener.nobody", "seccomp", "if nothing can be sent, it is an error")
def listener_nobody(room: Room) -> None:
    profile(room, "SCMP_ACT_NOTIFY")["listenerPath"] = f"{room.directory}/nobody"
    answer = room.try_create()
    if answer.status == 0:
        with open(f"{room.directory}/pid", encoding="utf-8") as file:
            room.pid = int(file.read())
        room.refused(room.call("start", room.id))


@SPEC.must(
    "seccomp.listener.wrong-type",
    "seccomp",
    "the socket is of type SOCK_STREAM; another is an error",
)
def listener_type(room: Room) -> None:
    path = f"{room.directory}/agent"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(path)
        profile(room, "SCMP_ACT_NOTIFY")["listenerPath"] = path
        answer = room.try_create()
        if answer.status == 0:
            with open(f"{room.directory}/pid", encoding="utf-8") as file:
                room.pid = int(file.read())
            room.refused(room.call("start", room.id))


@SPEC.must("seccomp.listener.ignored", "seccomp", "without SCMP_ACT_NOTIFY listenerPath is ignored")
def listener_ignored(room: Room) -> None:
    profile(room, "SCMP_ACT_ERRNO")["listenerPath"] = f"{room.directory}/nobody"
    room.equal(room.run(TRY).splitlines()[-1], "1", "status of chroot")


@SPEC.must(
    "seccomp.listener.missing",
    "seccomp",
    "SCMP_ACT_NOTIFY cannot be applied without a listenerPath",
)
def listener_missing(room: Room) -> None:
    profile(room, "SCMP_ACT_NOTIFY")
    room.rejects("/linux/seccomp/listenerPath")


@SPEC.must(
    "seccomp.listener.metadata-alone",
    "seccomp",
    "listenerMetadata without a listenerPath is an error",
)
def listener_metadata_alone(room: Room) -> None:
    profile(room, "SCMP_ACT_ERRNO")["listenerMetadata"] = "opaque"
    room.rejects("/linux/seccomp/listenerMetadata")


@SPEC.must(
    "seccomp.flag.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    "seccomp",
    "the flag WAIT_KILLABLE_RECV is taken",
)
def flag_killable(room: Room) -> None:
    path = f"{room.directory}/agent"
    seccomp = profile(room, "SCMP_ACT_NOTIFY")
    seccomp |= {"listenerPath": path, "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}
    agent = Agent(path)
    try:
        room.create()
        room.start()
        room.wait()
    finally:
        agent.close()
