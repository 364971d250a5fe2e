"""config.md#process and its parts: what the container's process is."""

from __future__ import annotations

import os
import re
import resource
import socket
from typing import TYPE_CHECKING

from conformance import host
from conformance.case import NotHere, Section

if TYPE_CHECKING:
    from conformance.room import Room

SPEC = Section("config.md")
RLIMITS = """AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME
SIGPENDING STACK""".split()
# In /proc/PID/limits; the values are small enough for any host and large enough for a shell.
NAMES = {
    "AS": "Max address space", "CORE": "Max core file size", "CPU": "Max cpu time",
    "DATA": "Max data size", "FSIZE": "Max file size", "LOCKS": "Max file locks",
    "MEMLOCK": "Max locked memory", "MSGQUEUE": "Max msgqueue size", "NICE": "Max nice priority",
    "NOFILE": "Max open files", "NPROC": "Max processes", "RSS": "Max resident set",
    "RTPRIO": "Max realtime priority", "RTTIME": "Max realtime timeout",
    "SIGPENDING": "Max pending signals", "STACK": "Max stack size",
}  # fmt: skip
NUMBERS = {
    name: number
    for number, name in enumerate(
        """CPU FSIZE DATA STACK CORE RSS NPROC NOFILE
MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME""".split()
    )
}
CAP_SYS_RESOURCE = 24
VALUES = {"NICE": (10, 20), "RTPRIO": (10, 20), "NOFILE": (100, 200), "NPROC": (1000, 2000)}
CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()
SETS = {
    "effective": "CapEff", "bounding": "CapBnd", "inheritable": "CapInh", "permitted": "CapPrm",
    "ambient": "CapAmb",
}  # fmt: skip
STATUS = "cat /proc/self/status"


def status_field(text: str, name: str) -> str:
    return next(
        line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(name)
    )


@SPEC.must("process.args", "process", "the program gets its arguments, empty ones included")
def args(room: Room) -> None:
    room.process["args"] = ["/bin/printf", "<%s>", "one", "", "two words"]
    room.create()
    room.start()
    room.wait()
    room.equal(room.read_output(), "<one><><two words>")


@SPEC.must("process.args-empty", "process", "at least one argument is REQUIRED")
def args_empty(room: Room) -> None:
    room.process["args"] = []
    room.rejects("/process/args", late=True)


@SPEC.must("process.args-path", "process", "args[0] is found as by execvp: in $PATH")
def args_path(room: Room) -> None:
    room.process["args"] = ["echo", "found"]
    room.equal(room.run(), "found")


@SPEC.must("process.args-nowhere", "process", "a program that is not there is an error")
def args_nowhere(room: Room) -> None:
    room.process["args"] = ["nosuchprogram"]
    room.rejects("/process/args/0", late=True)


@SPEC.must("process.args-not-executable", "process", "a file without x is no program")
def args_not_executable(room: Room) -> None:
    room.file("bundle/rootfs/bin/noexec", "#!/bin/sh\n", 0o644)
    room.process["args"] = ["/bin/noexec"]
    room.rejects("/process/args/0", late=True)


@SPEC.must("process.env", "process", "the environment is what env lists")
def env(room: Room) -> None:
    room.process["env"] = ["PATH=/bin", "A=1", "EMPTY=", "SPACE=a b=c"]
    lines = room.run("env").splitlines()
    for wanted in room.process["env"]:
        room.holds(wanted in lines, f"{wanted} is not in {lines}")


@SPEC.must("process.env-of-the-runtime", "process", "the runtime's own environment stays outside")
def env_outside(room: Room) -> None:
    os.environ["CONFORMANCE_SECRET"] = "1"
    try:
        room.holds(
            "CONFORMANCE_SECRET" not in room.run("env"), "a variable of the runtime is there"
        )
    finally:
        del os.environ["CONFORMANCE_SECRET"]


@SPEC.must("process.cwd", "process", "cwd is the working directory")
def cwd(room: Room) -> None:
    room.process["cwd"] = "/usr/bin"
    room.equal(room.run("pwd"), "/usr/bin")


@SPEC.must("process.cwd-relative", "process", "cwd must be an absolute path")
def cwd_relative(room: Room) -> None:
    room.process["cwd"] = "usr/bin"
    room.rejects("/process/cwd", late=True)


@SPEC.must("process.terminal", "process", "with terminal the standard streams are a terminal")
def terminal(room: Room) -> None:
    _terminal(room, "tty; test -t 0 && test -t 1 && test -t 2 && echo three", "three")


@SPEC.must("process.consoleSize", "process", "consoleSize is the size of the terminal")
def console_size(room: Room) -> None:
    room.process["consoleSize"] = {"height": 31, "width": 97}
    _terminal(room, "stty size", "31 97")


def _terminal(room: Room, script: str, wanted: str) -> None:
    room.mount("/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666")
    room.process["terminal"] = True
    room.script(script)
    path = f"{room.directory}/s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        room.create("--console-socket", path)
        listener.settimeout(60)
        with listener.accept()[0] as connection:
            _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
    room.start()
    text = b""
    try:
        while chunk := os.read(fds[0], 4096):
            text += chunk
    except OSError:
        pass  # EIO: the last process has closed it
    os.close(fds[0])
    room.wait()
    room.delete()
    room.holds(wanted in text.decode(), f"{wanted!r} is not in {text!r}")


@SPEC.must(
    "process.consoleSize-without-terminal", "process", "consoleSize is ignored without terminal"
)
def console_size_ignored(room: Room) -> None:
    room.process["consoleSize"] = {"height": 31, "width": 97}
    room.equal(room.run("test -t 0 || echo none"), "none")


@SPEC.must(
    "process.consoleSize-terminal-false", "process", "consoleSize is ignored if terminal is false"
)
def console_size_false(room: Room) -> None:
    room.process.update(consoleSize={"height": 31, "width": 97}, terminal=False)
    room.equal(room.run("test -t 0 || echo none"), "none")


@SPEC.must("process.without-terminal", "process", "terminal is false by default")
def without_terminal(room: Room) -> None:
    room.equal(room.run("test -t 1 || echo none"), "none")


# -- rlimits


@SPEC.family("process.rlimits.{0}", "MUST", "posix-process",
             "getrlimit(RLIMIT_{0}) gives what is configured, soft and hard", RLIMITS)  # fmt: skip
def rlimit(room: Room, name: str) -> None:
    soft, hard = VALUES.get(name, (1 << 30, 1 << 31))
    # Without CAP_SYS_RESOURCE nobody can raise a hard limit: what the host has must do.
    highest = resource.getrlimit(NUMBERS[name])[1]
    if highest != resource.RLIM_INFINITY and not host.bounding() >> CAP_SYS_RESOURCE & 1:
        hard = min(hard, highest)
        soft = min(soft, hard)
    room.process["rlimits"] = [{"type": f"RLIMIT_{name}", "soft": soft, "hard": hard}]
    text = room.run("cat /proc/self/limits")
    found = re.search(rf"^{NAMES[name]} +(\S+) +(\S+)", text, re.MULTILINE)
    room.holds(found, text)
    assert found
    room.equal(found.groups(), (str(soft), str(hard)), "soft and hard")


@SPEC.must("process.rlimits-unlimited", "posix-process", "RLIM_INFINITY is unlimited")
def rlimit_unlimited(room: Room) -> None:
    everything = 2**64 - 1
    room.process["rlimits"] = [{"type": "RLIMIT_CORE", "soft": everything, "hard": everything}]
    room.equal(room.run("ulimit -c; ulimit -H -c"), "unlimited\nunlimited")


@SPEC.must("process.rlimits-several", "posix-process", "each of several entries holds")
def rlimit_several(room: Room) -> None:
    room.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_NPROC", "soft": 300, "hard": 400},
    ]
    text = room.run("cat /proc/self/limits")
    for name, values in (("NOFILE", ("100", "200")), ("NPROC", ("300", "400"))):
        found = re.search(rf"^{NAMES[name]} +(\S+) +(\S+)", text, re.MULTILINE)
        room.equal(found and found.groups(), values, name)


@SPEC.must("process.rlimits-duplicate", "posix-process", "two entries of one type are an error")
def rlimit_duplicate(room: Room) -> None:
    entry = {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}
    room.process["rlimits"] = [entry, {**entry, "soft": 50}]
    room.rejects("/process/rlimits/1", late=True)


@SPEC.family("process.rlimits-unknown.{0}", "MUST", "posix-process",
             "{0}, which maps to no limit of the kernel, is an error",
             ["RLIMIT_BANANA", "NOFILE", "rlimit_nofile"])  # fmt: skip
def rlimit_unknown(room: Room, name: str) -> None:
    room.process["rlimits"] = [{"type": name, "soft": 100, "hard": 200}]
    room.rejects("/process/rlimits/0/type", late=True)


@SPEC.must(
    "process.rlimits-soft-above-hard",
    "posix-process",
    "a soft limit above the hard one is an error",
)
def rlimit_above(room: Room) -> None:
    room.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 200, "hard": 100}]
    room.rejects("/process/rlimits/0/soft", late=True)


# -- capabilities


@SPEC.family("process.capabilities.{0}", "MUST", "linux-process",
             "the set {0} has what is listed and nothing else", list(SETS))  # fmt: skip
def capability_set(room: Room, name: str) -> None:
    wanted = {key: ["CAP_KILL"] if key != "ambient" else [] for key in SETS}
    if name == "ambient":
        wanted["ambient"] = ["CAP_KILL"]
    elif name == "bounding":
        wanted["bounding"] = ["CAP_KILL", "CAP_CHOWN"]
        # A program of root gains what is in the bounding set: look at the set itself only.
    room.process["capabilities"] = wanted
    mask = 1 << CAPABILITIES.index("KILL") | ((1 << 0) if name == "bounding" else 0)
    room.equal(int(status_field(room.run(STATUS), SETS[name]), 16), mask, SETS[name])


@SPEC.family("process.capabilities.each.{0}", "MUST", "linux-process",
             "CAP_{0} is granted, or logged as a warning without a failure", CAPABILITIES)  # fmt: skip
def each_capability(room: Room, name: str) -> None:
    number = CAPABILITIES.index(name)
    room.process["capabilities"] = {
        key: [f"CAP_{name}"] for key in ("bounding", "permitted", "effective")
    }
    room.script(STATUS)
    answer = room.create()
    room.start()
    room.wait()
    found = int(status_field(room.read_output(), "CapBnd"), 16)
    if host.bounding() >> number & 1:
        room.equal(found, 1 << number, "CapBnd")
    else:
        room.equal(found, 0, "CapBnd")
        room.holds(name in answer.err, f"no warning of CAP_{name}: {answer.err!r}")


@SPEC.must("process.capabilities-unknown-warned", "linux-process",
           "a capability that the kernel has not is logged as a warning")  # fmt: skip
def unknown_capability_warned(room: Room) -> None:
    room.process["capabilities"]["bounding"].append("CAP_BANANA")
    answer = room.create()
    room.holds("CAP_BANANA" in answer.err, f"no warning: {answer.err!r}")


@SPEC.should("process.capabilities-unknown-accepted", "linux-process",
             "a capability that cannot be granted is no reason to fail")  # fmt: skip
def unknown_capability_accepted(room: Room) -> None:
    for name in ("bounding", "effective", "permitted"):
        room.process["capabilities"][name].append("CAP_BANANA")
    room.accepts()


@SPEC.must("process.capabilities-without", "linux-process", "the sets may be absent")
def without_capabilities(room: Room) -> None:
    del room.process["capabilities"]
    room.accepts()


# -- the rest of the Linux process


@SPEC.must("process.noNewPrivileges", "linux-process", "noNewPrivileges sets no_new_privs")
def no_new_privileges(room: Room) -> None:
    room.process["noNewPrivileges"] = True
    room.equal(status_field(room.run(STATUS), "NoNewPrivs"), "1")


@SPEC.must("process.noNewPrivileges-false", "linux-process", "without it no_new_privs is not set")
def new_privileges(room: Room) -> None:
    room.equal(status_field(room.run(STATUS), "NoNewPrivs"), "0")


@SPEC.family("process.oomScoreAdj.{0}", "MUST", "linux-process",
             "oom_score_adj is set to {0}", [(0,), (100,), (1000,)])  # fmt: skip
def oom_score_adj(room: Room, value: int) -> None:
    room.process["oomScoreAdj"] = value
    room.equal(room.run("cat /proc/self/oom_score_adj"), str(value))


@SPEC.must("process.oomScoreAdj-unset", "linux-process", "unset, oom_score_adj stays the runtime's")
def oom_score_adj_unset(room: Room) -> None:
    with open("/proc/self/oom_score_adj", encoding="utf-8") as file:
        before = file.read()
    with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
        file.write("300")
    try:
        room.equal(room.run("cat /proc/self/oom_score_adj"), "300")
    finally:
        with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
            file.write(before)


@SPEC.must(
    "process.oomScoreAdj-range", "linux-process", "a value that the kernel refuses is an error"
)
def oom_score_adj_range(room: Room) -> None:
    room.process["oomScoreAdj"] = 1001
    room.rejects("/process/oomScoreAdj", late=True)


SCHED = {"SCHED_OTHER": 0, "SCHED_BATCH": 3, "SCHED_IDLE": 5, "SCHED_FIFO": 1, "SCHED_RR": 2}


@SPEC.family(
    "process.scheduler.{0}", "MUST", "linux-process", "the scheduling policy is {0}", list(SCHED)
)
def scheduler(room: Room, policy: str) -> None:
    room.process["scheduler"] = {"policy": policy}
    if policy in ("SCHED_FIFO", "SCHED_RR"):
        room.needs(host.succeeds("chrt", "-f", "5", "true"))
        room.process["scheduler"]["priority"] = 7
        if not host.v1_file("cpu", "cpu.rt_runtime_us"):
            # A new group of the v1 cpu controller has no real-time budget of its own.
            budget = {"realtimeRuntime": 20000, "realtimePeriod": 1000000}
            room.linux["resources"] = {"cpu": budget}
    room.equal(_stat(room, 41), SCHED[policy], "policy")


def _stat(room: Room, field: int) -> int:
    return int(room.run("cat /proc/self/stat").rpartition(")")[2].split()[field - 3])


@SPEC.must("process.scheduler-nice", "linux-process", "nice is the nice value")
def scheduler_nice(room: Room) -> None:
    room.process["scheduler"] = {"policy": "SCHED_OTHER", "nice": 5}
    room.equal(_stat(room, 19), 5, "nice")


@SPEC.must(
    "process.scheduler-deadline", "linux-process", "SCHED_DEADLINE takes runtime, deadline, period"
)
def scheduler_deadline(room: Room) -> None:
    room.needs(host.succeeds("chrt", "-d", "--sched-runtime", "1000000", "--sched-deadline",
                             "10000000", "--sched-period", "10000000", "0", "true"))  # fmt: skip
    room.process["scheduler"] = {
        "policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 10000000, "period": 10000000,
        "flags": ["SCHED_FLAG_RESET_ON_FORK"],
    }  # fmt: skip
    room.process["args"] = ["/bin/cat", "/proc/self/stat"]
    room.equal(int(room.run().rpartition(")")[2].split()[38]), 6, "policy")


@SPEC.must(
    "process.scheduler-flag-unknown", "linux-process", "an unknown scheduling flag is an error"
)
def scheduler_flag(room: Room) -> None:
    room.process["scheduler"] = {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_BANANA"]}
    room.rejects("/process/scheduler/flags/0", late=True)


IO_CLASSES = {
    "IOPRIO_CLASS_RT": "realtime: prio 4", "IOPRIO_CLASS_BE": "best-effort: prio 4",
    "IOPRIO_CLASS_IDLE": "idle",
}  # fmt: skip


@SPEC.family(
    "process.ioPriority.{0}", "MUST", "linux-process", "the I/O class is {0}", list(IO_CLASSES)
)
def io_priority(room: Room, name: str) -> None:
    room.process["ioPriority"] = {"class": name, "priority": 4}
    found = room.run("ionice -p $$")
    room.holds(found.startswith(IO_CLASSES[name]), f"ionice says {found!r}")


@SPEC.family("process.ioPriority-range.{0}", "MUST", "linux-process",
             "an I/O priority of {0} is outside of 0 to 7", [(8,), (-1,)])  # fmt: skip
def io_priority_range(room: Room, value: int) -> None:
    room.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": value}
    room.rejects("/process/ioPriority/priority", late=True)


@SPEC.must(
    "process.execCPUAffinity-init",
    "linux-process",
    "execCPUAffinity is not for the container's init",
)
def exec_cpu_affinity(room: Room) -> None:
    before = room.run("grep Cpus_allowed_list /proc/self/status")
    room.process["execCPUAffinity"] = {"initial": "0", "final": "0"}
    room.id += "-2"
    room.equal(room.run("grep Cpus_allowed_list /proc/self/status"), before)


@SPEC.family("process.execCPUAffinity-malformed.{0}", "MUST", "linux-process",
             "a list of CPUs that is none is an error", ["initial", "final"])  # fmt: skip
def exec_cpu_affinity_malformed(room: Room, name: str) -> None:
    room.process["execCPUAffinity"] = {name: "banana"}
    room.rejects(f"/process/execCPUAffinity/{name}", late=True)


@SPEC.family("process.{0}", "MUST", "linux-process",
             "{0} cannot be applied without its security module: an error", ["apparmorProfile", "selinuxLabel"])  # fmt: skip
def security_module(room: Room, name: str) -> None:
    there = {"apparmorProfile": "/sys/module/apparmor", "selinuxLabel": "/sys/fs/selinux"}[name]
    if os.path.exists(there):
        raise NotHere(f"{there} exists: this host has the security module")
    label = {"apparmorProfile": "acme", "selinuxLabel": "system_u:system_r:container_t:s0"}
    room.process[name] = label[name]
    room.rejects(f"/process/{name}", late=True)


# -- user


@SPEC.must("process.user.ids", "posix-platform-user", "uid and gid are the process's")
def user(room: Room) -> None:
    room.process["user"] = {"uid": 1234, "gid": 5678}
    text = room.run(STATUS)
    room.equal(status_field(text, "Uid").split(), ["1234"] * 4, "uids")
    room.equal(status_field(text, "Gid").split(), ["5678"] * 4, "gids")


@SPEC.must("process.user.large", "posix-platform-user", "ids may be as large as a kernel's")
def user_large(room: Room) -> None:
    room.process["user"] = {"uid": 4294967294, "gid": 4294967294}
    room.equal(status_field(room.run(STATUS), "Uid").split(), ["4294967294"] * 4, "uids")


@SPEC.must(
    "process.user.no-additional", "posix-platform-user", "without additionalGids there are none"
)
def no_additional(room: Room) -> None:
    room.process["user"] = {"uid": 1, "gid": 1}
    room.holds(status_field(room.run(STATUS), "Groups") in ("", "1"), "groups of the runtime")


@SPEC.must("process.user.additionalGids", "posix-platform-user", "additionalGids are added")
def additional_gids(room: Room) -> None:
    room.process["user"]["additionalGids"] = [5, 70000]
    groups = status_field(room.run(STATUS), "Groups").split()
    room.holds({"5", "70000"} <= set(groups), f"groups {groups}")


@SPEC.must("process.user.umask", "posix-platform-user", "umask is the process's umask")
def umask(room: Room) -> None:
    room.process["user"]["umask"] = 0o027
    room.equal(room.run("umask"), "0027")


@SPEC.should("process.user.umask-unset", "posix-platform-user", "unset, the umask is the caller's")
def umask_unset(room: Room) -> None:
    before = os.umask(0o031)
    try:
        found = room.run("umask")
    finally:
        os.umask(before)
    # What the calling process is, is left open: the runtime's caller, or the runtime, whose 0022
    # is what the field is used to.
    room.holds(found in ("0031", "0022"), f"umask {found}")


@SPEC.must("process.user.in-the-namespace", "posix-platform-user", "ids are those of the container")
def user_mapped(room: Room) -> None:
    room.user_namespace()
    room.process["user"] = {"uid": 7, "gid": 8}
    text = room.run(STATUS)
    room.equal(status_field(text, "Uid").split()[0], "7", "uid")


@SPEC.must("process.user.unmapped", "posix-platform-user", "an id without a mapping is an error")
def user_unmapped(room: Room) -> None:
    room.user_namespace(size=10)
    room.process["user"] = {"uid": 1000, "gid": 0}
    room.rejects("/process/user/uid", late=True)
