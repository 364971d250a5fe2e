"""`run` and `exec` in the foreground: signals go to the process, the terminal is passed through.

Every signal that can be caught is forwarded, but SIGCHLD (for us) and SIGWINCH, which resizes the
process's terminal. Signals arrive as bytes in a pipe (set_wakeup_fd), so that one poll(2) waits for
them, for the terminal and for the process alike.
"""

from __future__ import annotations

import os
import select
from _signal import (  # type: ignore[import-not-found]
    NSIG,
    SIGCHLD,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGQUIT,
    SIGSTOP,
    SIGTERM,
    SIGWINCH,
    pidfd_send_signal,
    set_wakeup_fd,
    signal,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocipy.spawn.launch import Launch
    from ocipy.spawn.notify import NotifySocket

_NOT_OURS = frozenset({SIGKILL, SIGSTOP, 32, 33})  # 32 and 33 are libc's
_CHUNK = 65536
_STDIN, _STDOUT = 0, 1


def exit_status(wait_status: int) -> int:
    """Return what a shell would: the exit status, or 128 and the number of the signal."""
    if os.WIFSIGNALED(wait_status):
        return 128 + os.WTERMSIG(wait_status)
    return os.WEXITSTATUS(wait_status)


class CaughtSignals:
    """Catches all signals from now on; `fd` becomes readable when some have come.

    Made before the program starts: what is sent to us as soon as it shows a sign of life is meant
    for it. What comes earlier still is kept until wait_in_foreground().
    """

    __slots__ = ("_write_fd", "deliver", "fd")

    def __init__(self) -> None:
        # What to do about signals at once, by whoever may be held up: a terminal that is not read.
        self.deliver: Callable[[], None] | None = None
        self.fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in range(1, NSIG):
            if number not in _NOT_OURS:
                try:
                    signal(number, self._note)
                except (OSError, ValueError):
                    pass  # not a signal of this kernel

    def _note(self, number: int, frame: object) -> None:
        """The byte in the wake-up pipe says it all; a handler only has to be there."""
        if self.deliver is not None:
            self.deliver()

    def take(self) -> bytes:
        """Return the numbers of the signals that have come."""
        try:
            return os.read(self.fd, 4096)
        except BlockingIOError:
            return b""


def _forward(pidfd: int, number: int) -> None:
    try:
        pidfd_send_signal(pidfd, number)
    except OSError:
        pass  # it has just ended


class ForwardedDuringHooks:
    """While poststart hooks run, the program is there: signals are forwarded to it already.

    Once one that asks us to end has come, and the program has ended, hooks are not waited for.
    """

    __slots__ = ("_launch", "_number", "_signals")

    def __init__(self, launch: Launch, signals: CaughtSignals) -> None:
        self._launch = launch
        self._signals = signals
        self._number = 0

    def register(self, poll: select.poll) -> None:
        poll.register(self._signals.fd, select.POLLIN)
        if self._number:
            poll.register(self._launch.pidfd, select.POLLIN)

    def attend(self, ready: dict[int, int], poll: select.poll) -> None:
        """Raises Interrupted."""
        for number in self._signals.take() if self._signals.fd in ready else b"":
            if number not in (SIGCHLD, SIGWINCH):
                _forward(self._launch.pidfd, number)
            if number in (SIGHUP, SIGINT, SIGQUIT, SIGTERM):
                self._number = number
                poll.register(self._launch.pidfd, select.POLLIN)
        if self._number and self._launch.pidfd in ready:
            from ocipy.spawn.interrupt import Interrupted

            raise Interrupted(self._number, "the container and its poststart hook have ended")


def wait_in_foreground(
    launch: Launch, signals: CaughtSignals, notify: NotifySocket | None = None
) -> int:
    """Wait for the process of a launch; return its wait status, for exit_status().

    With `notify`, meanwhile tell the service manager that the container has said to be ready; we
    stay the main process of its service, as the container is still to be deleted after its end.
    """
    if launch.terminal_fd >= 0:
        from ocipy.spawn.terminal import PassedThroughTerminal

        terminal: PassedThroughTerminal | None = PassedThroughTerminal(launch.terminal_fd)
    else:
        terminal = None

    def deliver() -> None:
        for number in signals.take():
            if number == SIGWINCH and terminal is not None:
                terminal.resize()
            elif number != SIGCHLD:
                _forward(launch.pidfd, number)

    poll = select.poll()
    poll.register(signals.fd, select.POLLIN)
    poll.register(launch.pidfd, select.POLLIN)
    if notify is not None:
        poll.register(notify.fileno(), select.POLLIN)
    try:
        if terminal is not None:
            terminal.open(poll)
        while True:
            ready = dict(poll.poll())
            if signals.fd in ready:
                deliver()
            if terminal is not None:
                signals.deliver = deliver
                terminal.copy(ready, poll)
                signals.deliver = None
            if notify is not None and notify.fileno() in ready and notify.pass_on(os.getpid()):
                poll.unregister(notify.fileno())
                notify = None
            if launch.pidfd in ready:
                return os.waitpid(launch.pid, 0)[1]
    finally:
        if terminal is not None:
            terminal.close()
