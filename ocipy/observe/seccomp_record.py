"""`run --record-seccomp FILE`: the system calls of a container, as the profile that allows them.

Theory of operation. In place of its own profile the container gets a filter of one instruction,
SECCOMP_RET_USER_NOTIF: each system call of each of its processes and threads, of any architecture,
waits until it was answered here. The answer is what the profile in config.json would have said: an
allowed call goes on (SECCOMP_USER_NOTIF_FLAG_CONTINUE) and is noted, a refused one gets its errno,
and is reported by name. So recording widens nothing.

    init                                 the thread of this module
    seccomp(2) with NEW_LISTENER
    sendmsg(2) of the listener: waits    finds the listener among init's descriptors, and takes a
                                         copy of it with pidfd_getfd(2)
                                  ◄────  go on
    close, capset, execve: wait   ◄────  go on, noted: the profile is in force for them, too
    the program's calls           ◄────  ...

sendmsg and close of init are left out: they pass the listener on, which a profile for use has not.
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19) keeps signals from interrupting calls that wait
for us; before that some end with EINTR, as they may at any time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
from struct import pack, unpack_from
from threading import Thread

from ocipy import log
from ocipy.errors import ConfigError, OcipyError, UsageError, errno_text
from ocipy.observe.bpf_machine import Program
from ocipy.plan import _generated_steps as steps
from ocipy.plan.seccomp import (
    ACT_ERRNO,
    ACTIONS,
    ARCHITECTURES,
    NEW_LISTENER,
    SPEC_ALLOW,
    WAIT_KILLABLE_RECV,
)
from ocipy.signals import SIGKILL, pidfd_send_signal
from ocipy.sys import observe_native, seccomp_native
from ocipy.sys.fd import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.host.facts import HostFacts
    from ocipy.json_text import Json
    from ocipy.plan.step import Step
    from ocipy.request import Request
    from ocipy.spawn.launch import Launch

# include/uapi/linux/seccomp.h: _IOWR('!', 0, struct seccomp_notif), and so on.
_RECEIVE, _SEND, _ID_VALID = 0xC0502100, 0xC0182101, 0x40082102
_NOTIFICATION_BYTES = 80
_CONTINUE = 1
_RETURN_NOTIFY = pack("=HBBI", 0x06, 0, 0, ACTIONS["SCMP_ACT_NOTIFY"])
_ACTION = 0xFFFF_0000
_EPERM, _ENOSYS = 1, 38
_X32_BIT = 0x4000_0000
# What the kernel makes a process do when a signal comes, or its end: it may come at another time.
ALWAYS = ("exit", "exit_group", "restart_syscall", "rt_sigreturn")
_OF_INIT_ALONE = ("sendmsg", "close")


def open_recorder(request: Request) -> Recorder:
    """Return the recorder that a command line with --record-seccomp asks for.

    Raises:
        UsageError: nobody would stay to answer, or the file is not for this.
    """
    if request.flag("detach"):
        raise UsageError(
            "--record-seccomp needs the foreground: nobody would answer for a detached container",
            hint="leave --detach out",
        )
    return Recorder(request.text("record-seccomp"))


class Recorder:
    """Records one container."""

    def __init__(self, path: str) -> None:
        """Prepare; what an earlier recording in the file allows is kept.

        Raises:
            UsageError: the file cannot be written, or holds something else.
        """
        self.path = path
        self._names: set[str] = set()
        self._architectures: set[str] = set()
        self._read_earlier()
        self._own: Program | None = None
        self._thread: Thread | None = None
        self._stop_fd = -1
        # (name, how it was refused) to how often.
        self.refused: dict[tuple[str, str], int] = {}
        self.unknown: set[int] = set()

    def _read_earlier(self) -> None:
        from ocipy.json_text import loads

        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                raise UsageError(f"{self.path} is there, and is no file", hint="name a new file")
            with open(self.path, "rb") as file:
                data = file.read(1 << 20)
        except FileNotFoundError:
            # Known before anything runs: the directory is there, and may be written to.
            if not os.access(os.path.dirname(self.path) or ".", os.W_OK | os.X_OK):
                raise UsageError(
                    f"cannot write {self.path}", hint="its directory must be there, and writable"
                ) from None
            return
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {errno_text(error.errno or 0)}") from None
        if not data.strip():
            return
        try:
            profile: Json = loads(data.decode())
            for rule in profile["syscalls"]:  # type: ignore[index, call-overload, union-attr]
                self._names.update(map(str, rule["names"]))  # type: ignore[index, call-overload, arg-type]
            self._architectures.update(map(str, profile["architectures"]))  # type: ignore[index, call-overload, arg-type]
        except (ValueError, KeyError, TypeError):
            raise UsageError(
                f"{self.path} exists, and is no recorded profile",
                hint="it would be overwritten: name another file, or remove it",
            ) from None

    def rewrite(self, config: Config) -> Config:
        """Return a config in whose plan a filter is loaded as late as can be.

        Raises:
            ConfigError: its own profile has a listener: there can be only one.
        """
        profile = config.get("linux", {}).get("seccomp", {})
        for i, rule in enumerate(profile.get("syscalls", ())):
            if rule["action"] == "SCMP_ACT_NOTIFY":
                raise ConfigError(
                    f"/linux/seccomp/syscalls/{i}/action",
                    "a container whose profile has a listener cannot be recorded",
                    hint="a process has one listener: leave this rule out while recording",
                )
        linux = {**config.get("linux", {}), "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}
        return {**config, "linux": linux}  # type: ignore[typeddict-item]

    def prepare(self, plan: list[Step], config: Config, host: HostFacts) -> None:
        """Put the filter that asks us into the plan; `config` is the one that was written."""
        from ocipy.observe.doctor import kernel_version
        from ocipy.plan.seccomp import plan_seccomp
        from ocipy.spawn.seccomp import compile_program

        own = plan_seccomp(config, host)
        if own is not None:
            self._own = Program(compile_program(own))
        killable = WAIT_KILLABLE_RECV if kernel_version(host.kernel) >= (5, 19) else 0
        for step in plan:
            if isinstance(step, steps.LoadSeccomp):
                step.filter = _RETURN_NOTIFY
                step.seccomp_flags = SPEC_ALLOW | NEW_LISTENER | killable
                step.listener = True

    def start(self, launch: Launch) -> None:
        """Begin to answer; called before init is let go to its last steps."""
        self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
        thread = Thread(target=self._work, args=(launch.pid, launch.pidfd), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # which is what CPython makes of an errno of clone(2)
            raise OcipyError(
                f"cannot record system calls: {error}",
                hint="that takes a thread: memory or the number of processes is limited",
            ) from None
        self._thread = thread

    def finish(self) -> None:
        """Stop answering, and write the profile; warn of what was refused."""
        if self._thread is not None:
            os.eventfd_write(self._stop_fd, 1)
            self._thread.join()
            os.close(self._stop_fd)
            self._thread = None
        if not self._architectures:
            return  # the program was never reached
        from ocipy.json_text import dumps

        text = dumps(self.profile(), 2) + "\n"
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                write_all(fd, text.encode())
            finally:
                os.close(fd)
        except OSError as error:
            log.warning(f"cannot write {self.path}: {errno_text(error.errno or 0)}")
        for (name, how), times in sorted(self.refused.items()):
            log.warning(
                f"the seccomp profile of the container refused {name} ({how}), {times} times"
            )
        if self.unknown:
            numbers = ", ".join(map(str, sorted(self.unknown)))
            log.warning(
                f"libseccomp {seccomp_native.libseccomp_version()} has no name for the system "
                f"calls {numbers}: the profile does not allow them"
            )

    def profile(self) -> dict[str, Json]:
        """Return the smallest profile that allows what was done."""
        return {
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": [*sorted(self._architectures)],
            "syscalls": [{"names": [*sorted({*self._names, *ALWAYS})], "action": "SCMP_ACT_ALLOW"}],
        }

    def _work(self, pid: int, pidfd: int) -> None:
        try:
            self._answer_all(pid, pidfd)
        except Exception as error:  # noqa: BLE001 - without answers, its calls wait for ever
            text = errno_text(error.errno or 0) if isinstance(error, OSError) else repr(error)
            log.warning(f"recording ended early, and the container with it: {text}")
            try:
                pidfd_send_signal(pidfd, SIGKILL)
            except OSError:
                pass  # it has ended

    def _answer_all(self, pid: int, pidfd: int) -> None:
        listener = self._find_listener(pid, pidfd)
        if listener < 0:
            return
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._stop_fd, select.POLLIN)
        executed = False
        try:
            while True:
                ready = dict(poll.poll())
                if ready.get(listener, 0) & select.POLLIN:
                    executed = self._answer(listener, pid, executed) or executed
                elif ready:  # all of its processes have ended, or we are told to stop
                    return
        finally:
            os.close(listener)

    def _find_listener(self, pid: int, pidfd: int) -> int:
        """Return our copy of the listener, once init has it; -1 if it ends before."""
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        ended.register(self._stop_fd, select.POLLIN)
        while not ended.poll(1):  # a millisecond
            try:
                for name in os.listdir(f"/proc/{pid}/fd"):
                    if "seccomp notify" in os.readlink(f"/proc/{pid}/fd/{name}"):
                        return observe_native.pidfd_getfd(pidfd, int(name))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EBADF, errno.ESRCH):
                    raise
                # a descriptor that was closed meanwhile, or the process has ended
        return -1

    def _answer(self, listener: int, init: int, executed: bool) -> bool:
        """Answer one call; return whether it was the execve that ends init."""
        buffer = bytearray(_NOTIFICATION_BYTES)
        try:
            fcntl.ioctl(listener, _RECEIVE, buffer)
        except (FileNotFoundError, InterruptedError):
            return False  # whoever made the call was killed, or interrupted
        call_id, pid, _, number, architecture, _, *arguments = unpack_from("=QIIiIQ6Q", buffer)
        name = self._name(number, architecture)
        verdict = ACTIONS["SCMP_ACT_ALLOW"]
        if self._own is not None:
            verdict = self._own.answer(number, architecture, tuple(arguments))
        action = verdict & _ACTION
        # What init does with the listener is not the program's doing.
        of_init = not executed and pid == init and name in _OF_INIT_ALONE
        error, flags = 0, _CONTINUE
        if action not in (ACTIONS["SCMP_ACT_ALLOW"], ACTIONS["SCMP_ACT_LOG"]) and not of_init:
            error, flags = self._refuse(listener, call_id, pid, name or str(number), verdict), 0
        elif not of_init:
            self._note(name, number, architecture)
        try:
            fcntl.ioctl(listener, _SEND, pack("=QqiI", call_id, 0, -error, flags))
        except FileNotFoundError:
            pass  # it was killed meanwhile
        return name in ("execve", "execveat") and pid == init

    def _refuse(self, listener: int, call_id: int, pid: int, name: str, verdict: int) -> int:
        """Do what the container's own profile says; return the errno."""
        action = verdict & _ACTION
        if action == ACT_ERRNO:
            code = verdict & 0xFFFF
            self._count(name, errno_text(code))
            return code
        if action == ACTIONS["SCMP_ACT_TRACE"]:
            self._count(name, "TRACE")
            return _ENOSYS
        self._count(name, "killed")
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return _EPERM
        try:
            # Still the one that asks, so the pidfd is that of this process.
            fcntl.ioctl(listener, _ID_VALID, pack("=Q", call_id))
            pidfd_send_signal(pidfd, SIGKILL)
        except OSError:
            pass
        finally:
            os.close(pidfd)
        return _EPERM

    def _count(self, name: str, how: str) -> None:
        self.refused[name, how] = self.refused.get((name, how), 0) + 1

    def _name(self, number: int, architecture: int) -> str:
        token = architecture
        if architecture == ARCHITECTURES["SCMP_ARCH_X86_64"] and number & _X32_BIT:
            token = ARCHITECTURES["SCMP_ARCH_X32"]
        key = (token, number)
        if key not in self._known:
            self._known[key] = observe_native.syscall_name(token, number)
        return self._known[key]

    _known: dict[tuple[int, int], str] = {}  # noqa: RUF012 - names do not change

    def _note(self, name: str, number: int, architecture: int) -> None:
        if not name:
            self.unknown.add(number)
            return
        self._names.add(name)
        token = architecture
        if architecture == ARCHITECTURES["SCMP_ARCH_X86_64"] and number & _X32_BIT:
            token = ARCHITECTURES["SCMP_ARCH_X32"]
        self._architectures.update(text for text, value in ARCHITECTURES.items() if value == token)
