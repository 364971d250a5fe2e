"""The host's half of create, run and exec: it walks the plan, and init walks along.

Theory of operation. The plan is one list in the order in which things happen. The host runs its
steps up to the first one of init, SpawnInit among them; init then runs its steps up to an
AwaitHost, tells us so and waits, and the host runs what follows that step in the list, up to the
next step of init. So there is one order, and it is the plan's.

    host                               init
    steps[0:k]   ... SpawnInit ──────► exec'd from the sealed memfd
                                       steps[k:n] ... AwaitHost
                 ◄──── MESSAGE_AWAIT   (waits)
    steps[n+1:m] host steps
                 ─────── MESSAGE_GO ─► steps[m:] ...

Every effect pushes its undo before it happens; a failure, an exception and KeyboardInterrupt take
all of it back. If we die by SIGKILL, init finds the socket closed at its next AwaitHost and ends;
what else was made is in the container's record, which was written first.
"""

from __future__ import annotations

import os
import time

from ocipy import log
from ocipy.errors import OcipyError
from ocipy.plan import _generated_steps as steps
from ocipy.plan.encode import PLAN_FLAG_DUMPABLE, PLAN_FLAG_TRACE, encode_plan, host_fds_of
from ocipy.signals import SIGKILL, pidfd_send_signal
from ocipy.spawn import sync
from ocipy.spawn.failure import host_step_failure, init_died, plan_refused, step_failure
from ocipy.spawn.host_fds import open_host_fds
from ocipy.state.process import died_as_init
from ocipy.sys import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocipy.plan.seccomp import SeccompRequest
    from ocipy.plan.step import Step
    from ocipy.request import Request
    from ocipy.spawn.tracing import Tracer
    from ocipy.spawn.undo import Undo
    from ocipy.sys.fd import OwnedFd

_INIT_PATH = os.path.join(os.path.dirname(os.path.dirname(__file__)), "_native", "ocipy-init")


class Launch:
    """One walk of a plan.

    Attributes:
        pid: of init as the host sees it, later of the container process; 0 before the clone.
        pidfd: of that process, close-on-exec; -1 before the clone.
        terminal_fd: the pty's master once init has sent it, else -1.
        listener_fd: the seccomp listener once init has sent it, else -1.
        trace: (step index, CLOCK_MONOTONIC nanoseconds) as init reports them.
    """

    __slots__ = (
        "_execute",
        "_forks",
        "_on_pid",
        "_operations",
        "_sync_fd",
        "_undo",
        "cgroup_path",
        "listener_fd",
        "pid",
        "pidfd",
        "privileged",
        "rootfs",
        "stdio",
        "steps",
        "terminal_fd",
        "trace",
        "tracer",
    )

    def __init__(
        self,
        plan: list[Step],
        undo: Undo,
        execute: Callable[[Step, Launch], None],
        *,
        privileged: bool,
        cgroup_path: str = "",
        on_pid: Callable[[int], None],
        stdio: tuple[int, int, int] = (0, 1, 2),
        tracer: Tracer | None = None,
        rootfs: OwnedFd | None = None,
    ) -> None:
        """Prepare the walk; run() makes it.

        Args:
            plan: all steps.
            undo: gets the call that takes each effect back.
            execute: runs one host step other than SpawnInit.
            privileged: whether init may be undumpable from its first instruction on.
            cgroup_path: the cgroup v2 directory that init is born in, or "".
            on_pid: told the pid of init as soon as it is known, and again when it changes.
            tracer: told of every step, when it began and ended.
            stdio: the standard streams of init: each is its own number, or above 2.
            rootfs: the directory that a HostFd of the kind "rootfs" means.
        """
        self.steps = plan
        self.cgroup_path = cgroup_path
        self.privileged = privileged
        self.stdio = stdio
        self.rootfs = rootfs
        self.pid = 0
        self.pidfd = -1
        self.terminal_fd = -1
        self.listener_fd = -1
        self.trace: list[tuple[int, int]] = []
        self.tracer = tracer
        if tracer is not None:
            tracer.follow(self)
        self._undo = undo
        self._execute = execute
        self._on_pid = on_pid
        # To look for steps of a kind: a plan has a hundred, and each question would ask them all.
        self._operations = [step.operation for step in plan]
        self._sync_fd = -1
        self._forks = 0

    def run(self) -> None:
        """Walk the plan up to its last AwaitHost, and the host steps after it: `created`.

        Raises:
            OcipyError: a step failed; what it says is for the user.
        """
        if log.is_debugging():
            from ocipy.plan.describe import plan_to_text

            for line in plan_to_text(self.steps).splitlines():
                log.debug(line.strip())
        at = self._run_host_steps(0)
        while "await_host" in self._operations[at:]:
            message = self._next_message()
            if message is None:
                raise init_died(self._reap())
            at = self._run_host_steps(message.step + 1)

    def go(self) -> None:
        """Let init go on after an AwaitHost; after the last to wait for `start`, or to the program.

        Raises:
            OcipyError: init has died.
        """
        try:
            sync.send_go(self._sync_fd)
        except (BrokenPipeError, ConnectionResetError):
            raise init_died(self._reap()) from None

    def await_exec(self) -> None:
        """Wait until init has become the program.

        Raises:
            OcipyError: a step of the start failed.
        """
        message = self._next_message()
        if message is not None:
            raise OcipyError("init waits for the host at a step that has none: a bug in ocipy")
        if died_as_init(self.pid) is not None:
            raise init_died(self._reap())

    def close(self) -> None:
        """Close the conversation: init, if it still waits for us, ends."""
        if self._sync_fd >= 0:
            os.close(self._sync_fd)
            self._sync_fd = -1

    def _run_host_steps(self, at: int) -> int:
        """Run the host's steps from `at` on; return the index of the next step of init."""
        awaited = at > 0
        while at < len(self.steps) and self.steps[at].place == "host":
            step = self.steps[at]
            began = time.monotonic_ns() if self.tracer is not None else 0
            try:
                if isinstance(step, steps.SpawnInit):
                    self._spawn(step)
                else:
                    self._execute(step, self)
            except OSError as error:
                raise host_step_failure(step, error) from error
            if self.tracer is not None:
                self.tracer.host_step(at, step, began)
            at += 1
        # The last GO is go()'s: what follows it cannot be taken back.
        if awaited and "await_host" in self._operations[at:]:
            self.go()
        return at

    def _spawn(self, step: steps.SpawnInit) -> None:
        rootfs_fd = self.rootfs.fd if self.rootfs is not None else -1
        with open_host_fds(host_fds_of(self.steps), rootfs_fd) as fds:
            # Only where we must write id maps without privileges: see main.c.
            mapping = "write_id_map" in self._operations
            flags = PLAN_FLAG_DUMPABLE if mapping and not self.privileged else 0
            if self.tracer is not None:
                flags |= PLAN_FLAG_TRACE
            encoded = encode_plan(self.steps, fds, flags)
            plan_fd = native.sealed_memfd("ocipy-plan", encoded)
            init_fd = native.sealed_program("ocipy-init", _INIT_PATH)
            self._sync_fd, init_sync_fd = native.socketpair()
            cgroup_fd = -1
            kept = 0
            if "keep_descriptors" in self._operations:
                kept = max(
                    step.count for step in self.steps if isinstance(step, steps.KeepDescriptors)
                )
            inherit = [*fds.values(), *range(3, 3 + kept)]
            try:
                if self.cgroup_path and not self._does_without_cgroup():
                    cgroup_fd = os.open(
                        self.cgroup_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
                    )
                self._undo.push(self._kill)
                self.pid, self.pidfd = native.spawn_init(
                    init_fd,
                    plan_fd,
                    init_sync_fd,
                    step.clone_flags,
                    cgroup_fd,
                    inherit,
                    self.stdio,
                )
            finally:
                for fd in (plan_fd, init_fd, init_sync_fd, cgroup_fd):
                    if fd >= 0:
                        os.close(fd)
        self.rootfs = None
        self._on_pid(self.pid)

    def _does_without_cgroup(self) -> bool:
        """Whether CreateCgroup was not permitted, and that does not matter (is_optional())."""
        if os.path.isdir(self.cgroup_path):
            return False
        return any(isinstance(step, steps.CreateCgroup) and step.ignore for step in self.steps)

    def _kill(self) -> None:
        """Take back the clone: kill init, and with a new pid namespace all that lives in it."""
        self.close()
        for fd in (self.terminal_fd, self.listener_fd):
            if fd >= 0:
                os.close(fd)
        self.terminal_fd = self.listener_fd = -1
        if self.pidfd < 0:
            return
        try:
            pidfd_send_signal(self.pidfd, SIGKILL)
        except ProcessLookupError:
            pass
        self._reap()
        os.close(self.pidfd)
        self.pidfd = -1

    def _reap(self) -> int:
        """Wait for init; return its wait status, 0 if that has been asked for already."""
        try:
            return os.waitpid(self.pid, 0)[1]
        except ChildProcessError:
            return 0

    def _next_message(self) -> sync.Message | None:
        """Return init's next AWAIT, or None at end of file; take the other kinds as they come."""
        awaiting: sync.Message | None = None
        while True:
            # Two processes write to the socket when init forks: the new one may be the quicker.
            if awaiting is not None and self._forks >= self._forks_before(awaiting.step):
                return awaiting
            message = sync.receive_message(self._sync_fd)
            if message is None:
                return None
            if message.kind == sync.MESSAGE_AWAIT:
                awaiting = message
            elif message.kind == sync.MESSAGE_FAILED:
                if message.step >= len(self.steps):
                    raise plan_refused(message)
                raise step_failure(self.steps[message.step], message)
            else:
                self._take(message)

    def _take(self, message: sync.Message) -> None:
        if message.kind == sync.MESSAGE_TERMINAL:
            self.terminal_fd = message.fd
        elif message.kind == sync.MESSAGE_LISTENER:
            self.listener_fd = message.fd
        elif message.kind == sync.MESSAGE_TRACE:
            self.trace.append((message.step, message.nsec))
        elif message.kind == sync.MESSAGE_FORKED:
            self._follow(message.value)

    def _forks_before(self, index: int) -> int:
        """How many times init forks itself before this step."""
        return self._operations[:index].count("fork_init")

    def _follow(self, pid: int) -> None:
        """Take the child that init has left in its place; both are children of ours."""
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.pidfd = -1
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self._forks += 1
        self._on_pid(pid)


def open_tracer(request: Request) -> Tracer | None:
    """Return what follows the launch of this command line, if it says --trace.

    Raises:
        UsageError: the file cannot be written.
    """
    if not request.given("trace"):
        return None
    from ocipy.spawn.tracing import Tracer

    return Tracer(request.text("trace"), request.command, request.args[0])


def fill_in_seccomp(plan: list[Step], seccomp: SeccompRequest | None, root: str) -> None:
    """Compile the profile of a plan, or take it from the cache, for the step that loads it."""
    if seccomp is None:
        return
    from ocipy.spawn.seccomp import compile_filter

    program = compile_filter(seccomp, root)
    for step in plan:
        if isinstance(step, steps.LoadSeccomp):
            step.filter = program
