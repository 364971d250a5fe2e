"""What ocipy says while it works: log records for programs, sentences for people.

    where to            a record is
    --log FILE          one line in FILE, as logrus writes text or JSON; an error is repeated on
                        stderr as a plain line, as runc does
    stderr, no terminal the same line on stderr: podman searches it for `msg="…"`
    stderr, a terminal  sentences with their hint

Warnings wait until the command has ended. When it fails they travel inside its one error record,
because podman decodes the log of a failed command as a single JSON value; when it succeeds they are
records of their own. FILE is appended to, never truncated: containerd reads one log for the whole
life of a container.
"""

from __future__ import annotations

import errno
import os
import time

from ocipy.errors import UsageError
from ocipy.json_text import dumps
from ocipy.sys.fd import write_all
from ocipy.timestamp import utc_timestamp

STDERR = 2
# How long the reader of a fifo may take to open it, and then to make room in it.
READER_SECONDS = 5.0


class Log:
    """Where records go. Methods never raise: that a log is full must not fail a container."""

    __slots__ = ("as_json", "fd", "level", "warnings")

    def __init__(self) -> None:
        self.fd = STDERR
        self.as_json = False
        self.level = "info"
        self.warnings: list[str] = []

    def open(self, path: str, log_format: str, level: str) -> None:
        """Send records to a file, a fifo or ("" and /dev/stderr) the standard error output.

        `level` is error, warning, info or debug; an error is logged at every level.

        Raises:
            UsageError: the file cannot be opened; it is a fifo, and nobody reads it.
        """
        self.as_json = log_format == "json"
        self.level = level
        # Under systemd stderr is a socket, which /dev/stderr cannot be opened to.
        if path in ("", "/dev/stderr", "/proc/self/fd/2"):
            self.fd = STDERR
            return
        # Without waiting: a fifo that nobody reads would keep us for ever (open(2): ENXIO).
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        deadline = time.monotonic() + READER_SECONDS
        while True:
            try:
                self.fd = os.open(path, flags, 0o644)
                return
            except OSError as error:
                if error.errno == errno.ENXIO and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                nobody = error.errno == errno.ENXIO
                reason = "nobody reads this fifo" if nobody else error.strerror or str(error)
            raise UsageError(f"cannot open the log {path}: {reason.lower()}")

    def debug(self, message: str) -> None:
        if self.level == "debug":
            self._write("debug", message, {})

    def warning(self, message: str) -> None:
        """Keep a warning until it is known how the command ends."""
        if self.level != "error" and message not in self.warnings:
            self.warnings.append(message)

    def flush_warnings(self) -> None:
        """Write what was kept: the command has succeeded, or what follows may take for ever."""
        for message in self.take_warnings():
            if self.fd == STDERR and self._for_people():
                self._write_stderr(f"ocipy: warning: {message}\n")
            else:
                self._write("warning", message, {})

    def take_warnings(self) -> list[str]:
        """Return what was kept, for whoever says it in another way."""
        warnings, self.warnings = self.warnings, []
        return warnings

    def failure(
        self,
        message: str,
        *,
        pointer: str,
        location: str,
        hint: str,
        details: str = "",
        code: str = "",
    ) -> None:
        """Write the one error record of a command that failed.

        `location` (`config.json:12:7`) and `pointer` (`/mounts/3`) say which value of the config
        asked for what failed; each may be "". People on a terminal are shown `details` in place of
        all of them, if there are any: lines that mark the place in the file. `code` is what
        `ocipy help` explains.
        """
        warnings = self.take_warnings()
        # Everything that only shows `msg`, such as docker, must show the way out as well. Places
        # and hints follow the message, so that texts which clients search for stay as they are.
        place = ", ".join(part for part in (location, pointer) if part)
        sentence = message + (f" ({place})" if place else "") + (f"; {hint}" if hint else "")
        fields = {"code": code, "pointer": pointer, "location": location, "hint": hint}
        record = {name: value for name, value in fields.items() if value and self.as_json}
        if warnings:
            record["warnings"] = "; ".join(warnings)

        if self.fd != STDERR or not self._for_people():
            self._write("error", sentence, record)
        if self._for_people():
            lines = [f"ocipy: warning: {warning}" for warning in warnings]
            lines.append(f"ocipy: {details or message}")
            lines += [f"    at {place}"] if place and not details else []
            lines += [f"    hint: {hint}"] if hint and not details else []
            lines += [f"    more: ocipy help {code}"] if code else []
            self._write_stderr("\n".join(lines) + "\n")
        elif self.fd != STDERR:
            self._write_stderr(sentence + "\n")

    def _for_people(self) -> bool:
        return not (self.as_json and self.fd == STDERR) and os.isatty(STDERR)

    def _write(self, level: str, message: str, fields: dict[str, str]) -> None:
        now = utc_timestamp(time.time_ns(), nanoseconds=False)
        if self.as_json:
            line = dumps({"level": level, "msg": message, "time": now, **fields})
        else:
            # Quoted as JSON strings are: newlines and control characters stay inside the line.
            more = "".join(f" {name}={dumps(value)}" for name, value in fields.items())
            line = f"time={dumps(now)} level={level} msg={dumps(message)}{more}"
        self._write_to(self.fd, line + "\n")

    def _write_stderr(self, text: str) -> None:
        self._write_to(STDERR, text)

    def _write_to(self, fd: int, text: str) -> None:
        try:
            # One write(2) per record: with O_APPEND, records of several writers never mix.
            patience = None if fd == STDERR else READER_SECONDS
            write_all(fd, text.encode("utf-8", "backslashreplace"), patience)
        except OSError:
            # EPIPE, ENOSPC, a closed stderr: there is nowhere left to say so.
            pass


_log = Log()
open_log = _log.open
debug = _log.debug
warning = _log.warning
flush_warnings = _log.flush_warnings
take_warnings = _log.take_warnings
failure = _log.failure


def is_debugging() -> bool:
    """Was --debug given? For text that is costly to make."""
    return _log.level == "debug"
