"""Our terminal and the container's, joined: raw mode, copying both ways, window size."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios

from ocipy.errors import OcipyError, errno_text
from ocipy.sys.fd import write_all

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_CHUNK = 65536


def own_terminal() -> int:
    """Return the first of our standard streams that is a terminal, or -1."""
    return next((fd for fd in (_STDIN, _STDOUT, _STDERR) if os.isatty(fd)), -1)


def give_size(master: int) -> None:
    """Give a pty the size of our terminal, if that has one (tty_ioctl(4))."""
    try:
        size = fcntl.ioctl(own_terminal(), termios.TIOCGWINSZ, b"\0" * 8)
        if any(size[:4]):
            fcntl.ioctl(master, termios.TIOCSWINSZ, size)
    except (OSError, ValueError):
        pass  # there is none, or it is gone


class PassedThroughTerminal:
    """Copies between standard input and output and the master of a pty, which it owns.

    While it is open our terminal is in raw mode: what is typed is for the program, Ctrl-C included.
    Where only output is a terminal, Ctrl-C stays ours, a signal that is forwarded.
    """

    __slots__ = ("_input_open", "_master", "_own", "_saved")

    def __init__(self, master: int) -> None:
        self._master = master
        self._own = own_terminal()
        self._saved: list[object] | None = None
        self._input_open = True

    def open(self, poll: select.poll) -> None:
        """Enter raw mode, where we have a terminal, and give the pty its size."""
        try:
            self._saved = termios.tcgetattr(self._own)
        except (termios.error, ValueError):
            pass  # files and pipes, or gone: the program has a terminal all the same
        else:
            self._set_raw()
            self.resize()
        os.set_blocking(self._master, False)
        poll.register(_STDIN, select.POLLIN)
        poll.register(self._master, select.POLLIN)

    def _set_raw(self) -> None:
        # cfmakeraw(3); tty.setraw would import the same and more.
        mode = termios.tcgetattr(self._own)
        mode[1] &= ~termios.OPOST
        if self._own == _STDIN:
            mode[0] &= ~(
                termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR
                | termios.IGNCR | termios.ICRNL | termios.IXON
            )  # fmt: skip
            mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
            mode[3] &= ~(
                termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN
            )
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._own, termios.TCSANOW, mode)

    def resize(self) -> None:
        """Give the pty the size of our terminal."""
        give_size(self._master)

    def copy(self, ready: dict[int, int], poll: select.poll) -> None:
        """Copy what poll(2) found to be ready."""
        if self._input_open and _STDIN in ready:
            self._copy_input(poll)
        if self._master in ready and not self._copy_output():
            poll.unregister(self._master)

    def _copy_input(self, poll: select.poll) -> None:
        try:
            data = os.read(_STDIN, _CHUNK)
        except OSError:
            data = b""
        if not data:
            # End of file of a pipe: what the line discipline takes for it is Ctrl-D.
            self._input_open = False
            poll.unregister(_STDIN)
            data = b"\x04"
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._master, view) :]
            except BlockingIOError:
                # The program does not read; what it prints meanwhile must not stay stuck with it.
                self._copy_output()
                select.select([self._master], [self._master], [], 0.1)
            except OSError:
                return

    def _copy_output(self) -> bool:
        """Return False once the other side is closed."""
        try:
            data = os.read(self._master, _CHUNK)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno == errno.EIO:  # nobody has the slave open any more
                return False
            raise OcipyError(f"cannot read the terminal: {errno_text(error.errno or 0)}") from None
        if data:
            try:
                write_all(_STDOUT, data)
            except OSError:
                return False
        return bool(data)

    def close(self) -> None:
        """Copy what is left, and give our terminal its mode back."""
        os.set_blocking(self._master, False)
        while self._left() and self._copy_output():
            pass
        if self._saved is not None:
            try:
                termios.tcsetattr(self._own, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]
            except termios.error:
                pass  # it has hung up: there is no mode left to give back
        os.close(self._master)

    def _left(self) -> bool:
        return bool(select.select([self._master], [], [], 0)[0])
