"""Hooks that run on the host: prestart, createRuntime, poststart and poststop.

Spec (config.md#posix-platform-hooks): in the listed order, the state on standard input. What a hook
prints is kept for the error message. When its time is up, the hook's process group is killed, and
with it what has left the group: as subreaper we become the parent of every orphan.
"""

from __future__ import annotations

import os
import select
import time

from ocipy.errors import HookError, errno_text
from ocipy.json_text import dumps
from ocipy.signals import SIGKILL, SIGSTOP
from ocipy.spawn.failure import describe_wait_status
from ocipy.sys import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Protocol

    class Meanwhile(Protocol):
        """What is to be attended to while a hook runs."""

        def register(self, poll: select.poll) -> None: ...

        def attend(self, ready: dict[int, int], poll: select.poll) -> None: ...


_OUTPUT_MAX = 4096


def run_hooks(
    config: Mapping[str, object],
    kind: str,
    state: Mapping[str, object],
    meanwhile: Meanwhile | None = None,
) -> None:
    """Run the hooks of one kind in order; `state` is the State of runtime.md#state.

    Raises:
        HookError: one could not be started, ended with a status other than 0, or ran out of time.
            The ones after it have not run.
        Exception: what `meanwhile` raises; the hook has been killed.
    """
    for error in _failures(config, kind, state, meanwhile):
        raise error


def run_all_hooks(
    config: Mapping[str, object], kind: str, state: Mapping[str, object]
) -> list[HookError]:
    """Run the hooks of one kind, all of them, whichever fail; return the failures.

    Spec (config.md#poststop): the remaining hooks are executed as if the hook had succeeded.
    """
    return list(_failures(config, kind, state))


def _failures(
    config: Mapping[str, object],
    kind: str,
    state: Mapping[str, object],
    meanwhile: Meanwhile | None = None,
) -> Iterator[HookError]:
    hooks = config.get("hooks")
    if not isinstance(hooks, dict):
        return
    text = dumps(state).encode()
    for i, hook in enumerate(hooks.get(kind) or []):
        try:
            _run_hook(kind, i, hook, text, str(state.get("bundle") or "/"), meanwhile)
        except HookError as error:
            yield error


def _run_hook(
    kind: str,
    i: int,
    hook: dict[str, object],
    state: bytes,
    bundle: str,
    meanwhile: Meanwhile | None,
) -> None:
    path = str(hook["path"])
    argv: list[str] = hook.get("args") or [path]  # type: ignore[assignment]
    env = hook.get("env")
    if env is None:
        # As runc does: without a list of its own a hook has the environment of its caller.
        env = [f"{name}={value}" for name, value in os.environ.items()]
    elif "TRACEPARENT" in os.environ:
        from ocipy.plan.trace_parent import trace_environment, with_trace

        env = with_trace(env, trace_environment(os.environ))  # type: ignore[arg-type]
    timeout = hook.get("timeout")
    pointer = f"/hooks/{kind}/{i}"
    native.become_subreaper()
    others = set(_children())
    hook_input, ours_in = os.pipe2(os.O_CLOEXEC)
    ours_out, hook_output = os.pipe2(os.O_CLOEXEC)
    cwd = bundle if os.path.isdir(bundle) else "/"
    try:
        pid, pidfd = native.spawn_program(path, argv, env, cwd, hook_input, hook_output)  # type: ignore[arg-type]
    except OSError as error:
        os.close(ours_in)
        os.close(ours_out)
        raise HookError(
            f"{kind} hook {path!r}: cannot start it: {errno_text(error.errno or 0)}",
            pointer=pointer,
        ) from None
    finally:
        os.close(hook_input)
        os.close(hook_output)
    conversation = _Conversation(pidfd, ours_in, ours_out, state)
    in_time = False
    try:
        seconds = float(timeout) if isinstance(timeout, int) else None
        in_time = conversation.run(seconds, meanwhile)
    finally:  # we, too, may be told to end
        if not in_time:
            _kill_descendants(pid, others)
        try:
            status = os.waitpid(pid, 0)[1]
        except ChildProcessError:
            # In a program that imports ocipy: the kernel reaps its children if it ignores SIGCHLD.
            raise HookError(
                f"{kind} hook {path!r}: nobody can know how it ended",
                pointer=pointer,
                hint="this program ignores SIGCHLD, or waits for children that are not its own",
            ) from None
    if in_time and status == 0:
        return
    how = (
        describe_wait_status(status)
        if in_time
        else f"ran past its timeout of {timeout}s and was killed"
    )
    printed = conversation.output.decode("utf-8", "replace").strip()
    raise HookError(
        f"{kind} hook {path!r}: {how}" + (f": {printed}" if printed else ""), pointer=pointer
    )


class _Conversation:
    """Feeds a hook its state and keeps what it prints, until it ends; owns the descriptors."""

    __slots__ = ("_pidfd", "_reading", "_state", "_writing", "output")

    def __init__(self, pidfd: int, writing: int, reading: int, state: bytes) -> None:
        self._pidfd = pidfd
        self._writing = writing
        self._reading = reading
        self._state = memoryview(state)
        self.output = b""

    def run(self, timeout_seconds: float | None, meanwhile: Meanwhile | None) -> bool:
        """Return whether the hook ended within its time."""
        os.set_blocking(self._writing, False)
        os.set_blocking(self._reading, False)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.register(self._reading, select.POLLIN)
        poll.register(self._writing, select.POLLOUT)
        if meanwhile is not None:
            meanwhile.register(poll)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        try:
            while True:
                left = None
                if deadline is not None:
                    # poll(2) counts in an int: longer than 24 days is waited for in parts.
                    left = min(max(0, deadline - time.monotonic()) * 1000, 0x7FFFFFFF)
                ready = dict(poll.poll(left))
                if meanwhile is not None:
                    meanwhile.attend(ready, poll)
                if self._writing in ready and self._write():
                    poll.unregister(self._writing)
                    os.close(self._writing)
                    self._writing = -1
                if self._reading in ready and self._read():
                    poll.unregister(self._reading)
                    ready.pop(self._reading)
                if self._pidfd in ready:
                    self._read()
                    return True
                if not ready and left is not None and left <= 0:
                    return False
        finally:
            for fd in (self._pidfd, self._reading, self._writing):
                if fd >= 0:
                    os.close(fd)

    def _write(self) -> bool:
        """Return whether there is nothing more to write."""
        try:
            self._state = self._state[os.write(self._writing, self._state) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:  # a hook may ignore its state
            return True
        return not self._state

    def _read(self) -> bool:
        """Return whether the other end is closed."""
        try:
            data = os.read(self._reading, 65536)
        except BlockingIOError:
            return False
        self.output = (self.output + data)[:_OUTPUT_MAX]
        return not data


def _children(pid: int = 0) -> list[int]:
    """Return the children of a process, by default our own, of all of its threads.

    Empty where the kernel is built without CONFIG_PROC_CHILDREN, and for one that has ended.
    """
    found: list[int] = []
    tasks = f"/proc/{pid or 'self'}/task"
    try:
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/children", "rb", buffering=0) as file:
                found += map(int, (file.read() or b"").split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _kill_descendants(pid: int, others: set[int]) -> None:
    """Kill a hook and all that it started."""
    if len(os.listdir("/proc/self/task")) > 1:
        _kill_tree(pid)
        return
    try:
        os.killpg(pid, SIGKILL)
    except ProcessLookupError:
        pass
    # What is orphaned by that becomes our child, and dies.
    while True:
        found = [child for child in _children() if child not in others and child != pid]
        for child in found:
            _kill_child(child)
        if not found:
            return


def _kill_tree(pid: int) -> None:
    """Kill a hook and what can be told from the children of other threads: what descends from it.

    A program that imports ocipy may start others at any moment, and adopts orphans of all of them.
    So what a hook has let go before is left alone. All are stopped first, and start nothing more.
    """
    tree, new = [pid], [pid]
    while new:
        for member in new:
            _signal(member, SIGSTOP)
        new = [child for member in tree for child in _children(member) if child not in tree]
        tree += new
    try:
        os.killpg(pid, SIGKILL)
    except ProcessLookupError:
        pass
    for member in tree[1:]:
        _signal(member, SIGKILL)
    # We adopt each when its parent has ended, so they are reaped in order; the hook by our caller.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    for member in tree[1:]:
        _kill_child(member)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _kill_child(child: int) -> None:
    try:
        os.kill(child, SIGKILL)  # ours and not yet waited for: the number is not reused
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
