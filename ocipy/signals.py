"""Signals, without `import signal`, which builds enumerations."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]

from ocipy.errors import UsageError

SIGKILL, SIGTERM, SIGSTOP = 9, 15, 19


def pidfd_send_signal(pidfd: int, number: int) -> None:
    """pidfd_send_signal(2); raises OSError, of which ProcessLookupError says it was reaped."""
    _signal.pidfd_send_signal(pidfd, number)


def signal_number(text: str) -> int:
    """Return the number of `9`, `KILL`, `sigkill` or `SIGRTMIN+3`.

    Raises:
        UsageError: no such signal. A number is taken as it is, and judged by the kernel.
    """
    digits = text.removeprefix("+")
    if digits.isascii() and digits.isdigit() and len(digits) < 10:
        return int(digits)
    name = text.upper().removeprefix("SIG")
    number = _realtime(name) if name.startswith("RT") else getattr(_signal, f"SIG{name}", None)
    # SIG_IGN and the like are no signals, and neither is a function.
    if number is None or name.startswith("_"):
        raise UsageError(
            f'unknown signal "{text}"', hint="use a number or a name, such as TERM or SIGRTMIN+3"
        )
    return int(number)


def _realtime(name: str) -> int | None:
    """Return the number of `RTMIN`, `RTMIN+3` or `RTMAX-2`, or None."""
    lowest, highest = int(_signal.SIGRTMIN), int(_signal.SIGRTMAX)
    base, sign, offset = name[:5], name[5:6], name[6:]
    if base not in ("RTMIN", "RTMAX") or not (offset.isdecimal() if sign else True):
        return None
    if sign not in ("", "+", "-"):
        return None
    number = (lowest if base == "RTMIN" else highest) + int(f"{sign}{offset or 0}")
    return number if lowest <= number <= highest else None
