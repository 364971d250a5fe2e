"""Our terminal and the container's, joined: raw mode, copying both ways, window size."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios

from ocipy.errors import OcipyError, errno_text
from ocipy.sys.fd import write_all

_STDIN, _STDOUT = 0, 1
_CHUNK = 65536


def give_size(master: int) -> None:
    """Give a pty the size of our terminal, if that has one (tty_ioctl(4))."""
    try:
        size = fcntl.ioctl(_STDIN, termios.TIOCGWINSZ, b"\0" * 8)
        if any(size[:4]):
            fcntl.ioctl(master, termios.TIOCSWINSZ, size)
    except OSError:
        pass  # not a terminal, or gone


class PassedThroughTerminal:
    """Copies between standard input and output and the master of a pty, which it owns.

    While it is open our terminal is in raw mode: what is typed is for the program, Ctrl-C included.
    """

    __slots__ = ("_input_open", "_master", "_saved")

    def __init__(self, master: int) -> None:
        self._master = master
        self._saved: list[object] | None = None
        self._input_open = True

    def open(self, poll: select.poll) -> None:
        """Enter raw mode, where standard input is a terminal, and give the pty our size."""
        try:
            self._saved = termios.tcgetattr(_STDIN)
        except termios.error:
            pass  # input from a file or a pipe: the program has a terminal all the same
        else:
            self._set_raw()
            self.resize()
        os.set_blocking(self._master, False)
        poll.register(_STDIN, select.POLLIN)
        poll.register(self._master, select.POLLIN)

    def _set_raw(self) -> None:
        # cfmakeraw(3); tty.setraw would import the same and more.
        mode = termios.tcgetattr(_STDIN)
        mode[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR
            | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[1] &= ~termios.OPOST
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(_STDIN, termios.TCSANOW, mode)

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
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]
        os.close(self._master)

    def _left(self) -> bool:
        return bool(select.select([self._master], [], [], 0)[0])
