"""A person at a terminal: waits for a prompt, types, looks at what comes."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time

ROWS, COLUMNS = 33, 111
ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Dialogue:
    """A command on a new pty of its own session, so that Ctrl-C and the window size work."""

    def __init__(
        self, command: list[str], environment: dict[str, str], directory: str, seconds: float
    ) -> None:
        self._terminal, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            cwd=directory,
        )
        os.close(slave)
        self._deadline = time.monotonic() + seconds
        self._unread = ""
        self.transcript = ""

    def expect(self, pattern: str) -> str:
        """Return what was written since the last call, once a match of `pattern` is in it."""
        while not re.search(pattern, self._unread):
            if not self._read():
                raise AssertionError(f"the command ended without {pattern!r}:\n{self.transcript}")
        seen, self._unread = self._unread, ""
        return seen

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def finish(self) -> int:
        """Wait for the command's end; return its exit status."""
        while self._read():
            pass
        os.close(self._terminal)
        return self._process.wait()

    def _read(self) -> bool:
        left = self._deadline - time.monotonic()
        if left <= 0 or not select.select([self._terminal], [], [], left)[0]:
            self._process.kill()
            raise AssertionError(f"out of time:\n{self.transcript}")
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # EIO: nobody has the other side open
            return False
        text = ESCAPE_SEQUENCE.sub("", data.decode(errors="replace")).replace("\r", "")
        self._unread += text
        self.transcript += text
        return bool(data)
