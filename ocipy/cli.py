"""The command line: argv to a Request, the Request to its command, the outcome to an exit status.

Exit status:

    0        success
    1        ocipy failed; 3 if there is no such command (both as runc's)
    255      ocipy failed in `exec`: there 1 is what the process itself may have returned
    0…255    `run` and `exec` in the foreground return that of the process, 128+n for signal n
    130, 141 interrupted from the keyboard; nobody reads the standard output any more

This is the only place that exits.
"""

from __future__ import annotations

import errno
import os
import sys

from ocipy import log
from ocipy.arguments import parse_command, parse_globals
from ocipy.errors import OcipyError, errno_text
from ocipy.sys.fd import open_standard_fds, print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from ocipy.request import Request

_FAILURE_STATUS = {"exec": 255}
_INTERRUPTED, _BROKEN_PIPE = 130, 141

# What a machine that is full, locked up or read-only may answer to any system call.
_NOT_OUR_FAULT = frozenset(
    (
        errno.EACCES,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EPERM,
        errno.EROFS,
    )
)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run one command line and exit, without the interpreter's teardown: nothing needs it."""
    status = 1
    try:
        open_standard_fds()
        status = run_command_line(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:
        status = _BROKEN_PIPE
    finally:
        os._exit(status)


def run_command_line(argv: list[str]) -> int:
    """Run one command line; return the exit status. Raises nothing."""
    command = ""
    try:
        values, rest = parse_globals(argv)
        if values.get("version"):
            rest = ["--version"]
        elif values.get("help") or not rest:
            rest = ["help"]
        if rest == ["--version"]:
            from ocipy.commands.version import version_text

            print_text(version_text())
            return 0
        log.open_log(
            str(values.get("log", "")),
            str(values.get("log-format", "text")),
            "debug" if values.get("debug") else str(values.get("log-level", "info")),
        )
        request = parse_command(values, rest)
        command = request.command
        if values.get("metrics") or os.environ.get("OCIPY_METRICS"):
            from ocipy.observe.metrics import run_counted

            status = run_counted(request, _run)
        else:
            status = _run(request)
        log.flush_warnings()
        return status
    except OcipyError as error:
        _report(error)
        # Where the command line is wrong there is no command yet, so that is 1 for exec as well.
        return _FAILURE_STATUS.get(command, error.exit_code)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last resort; a traceback is not for users
        _report_bug(error)
        return _FAILURE_STATUS.get(command, 1)


def _run(request: Request) -> int:
    if request.command == "help" or request.options.get("help"):
        from ocipy.help import print_help

        return print_help(request)
    if log.is_debugging():
        log.debug(f"command {request.command!r} {request.options} {request.args}")
    name = f"ocipy.commands.{request.command}"
    try:
        module = __import__(name, fromlist=["run"])
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise OcipyError(
            f"{request.command!r} is not supported by this version of ocipy",
            hint="'ocipy --help' lists what is",
        ) from None
    status: int = module.run(request)
    return status


def _report(error: OcipyError) -> None:
    _log_traceback(error)
    for pointer, sentence in error.warnings:
        log.warning(f"{sentence} ({pointer})")
    log.failure(
        str(error),
        pointer=error.pointer,
        location=error.location,
        hint=error.hint,
        details=error.details,
        code=error.code,
    )


def _report_bug(error: Exception) -> None:
    _log_traceback(error)
    what = f"{type(error).__name__}: {error}"
    hint = (
        "this is a bug in ocipy: please report it with what 'ocipy --debug' logs for the same "
        "command"
    )
    if isinstance(error, OSError):
        name = f"{error.filename!r}: " if error.filename else ""
        what = f"{name}{errno_text(error.errno or 0)}"
        if error.errno in _NOT_OUR_FAULT:
            hint = "'ocipy --debug' logs where it happened"
    elif isinstance(error, MemoryError):
        what, hint = errno_text(errno.ENOMEM), "'ocipy --debug' logs where it happened"
    log.failure(f"unexpected error: {what}", pointer="", location="", hint=hint, code="E900")


def _log_traceback(error: Exception) -> None:
    if log.is_debugging():
        import traceback

        log.debug("".join(traceback.format_exception(error)))
