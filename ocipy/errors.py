"""Everything ocipy raises on purpose.

    OcipyError
    ├── UsageError              the command line is wrong
    ├── ConfigError             config.json breaks the runtime-spec
    │   ├── ConfigFaults        ... in several places; carries every fault
    │   └── UnsupportedError    it is valid, but this kernel or build cannot do it
    ├── StateError              the container is absent, present, or in the wrong status
    ├── StepError               one step of the plan failed
    └── HookError               a hook failed; carries which one and how it ended

A message reads `what failed: why`, lower case, no final period; `hint` says what to do next. Any
other exception that reaches cli.main() is a bug in ocipy; the user is told so, and how to report
it.
"""

from __future__ import annotations

import errno as _errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.plan.step import Step


class OcipyError(Exception):
    """Base; `pointer` (RFC 6901) is the value of config.json that asked for what failed, or "".

    `location` is where in which file that value stands, such as `config.json:12:7`, and `details`
    are lines for people that say it all, the place in the file marked; whoever still has the text
    sets them (ocipy.schema.report). `warnings`, pairs of a pointer and a sentence, are what else
    there is to say about a config that was refused. `code` is what `ocipy help CODE` explains
    (ocipy.error_codes); it never changes its meaning.
    """

    exit_code = 1
    code = "E100"

    def __init__(self, message: str, *, pointer: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer
        self.hint = hint
        self.location = ""
        self.details = ""
        self.warnings: list[tuple[str, str]] = []


class UsageError(OcipyError):
    """The command line is wrong; `hint` says what was meant, or which help to read."""

    code = "E110"

    def __init__(self, message: str, *, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class ConfigError(OcipyError):
    """The value at `pointer` breaks a rule of the runtime-spec.

    `offset`, in characters, is where it stands in the text if the pointer cannot say so: in a text
    that is not JSON, and for a name rather than its value; else it is -1.
    """

    code = "E200"

    def __init__(self, pointer: str, problem: str, *, hint: str = "", offset: int = -1) -> None:
        super().__init__(problem, pointer=pointer, hint=hint)
        self.offset = offset


class ConfigFaults(ConfigError):
    """Several values break rules; `faults` holds one ConfigError for each, in file order."""

    code = "E201"

    def __init__(self, faults: list[ConfigError]) -> None:
        super().__init__("", "")
        self.faults = faults

    def __str__(self) -> str:
        """Name every fault with its place and hint, in one line: a log record has no more."""
        parts = []
        for fault in self.faults:
            place = ", ".join(part for part in (fault.location, fault.pointer) if part)
            hint = f", {fault.hint}" if fault.hint else ""
            parts.append(f"{fault} ({place}){hint}" if place else f"{fault}{hint}")
        return f"{len(parts)} faults in the configuration: " + "; ".join(parts)


class UnsupportedError(ConfigError):
    """The value is valid; the message names what the kernel lacks, and which version has it."""

    code = "E210"


class StateError(OcipyError):
    """The container is absent, present, or in a status that forbids the command."""

    code = "E300"


def pointer_token(name: str) -> str:
    """Return the name of a member as a JSON pointer spells it (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def errno_text(code: int) -> str:
    """Return an errno as a person reads it: "permission denied (EACCES)"; `code` is positive."""
    return f"{os.strerror(code).lower()} ({_errno.errorcode.get(code, f'errno {code}')})"


class StepError(OcipyError):
    """A step failed; C reports three numbers, the sentence is written here, where the plan is.

    `call` may be "", where it is not one call that failed, but something that several make.
    `errno` is positive, or 0 where no system call failed; `detail` is what C could add: a path
    component, a line of the kernel's mount log. `is_foreign`: what the step would have made is
    there already and belongs to somebody else, so that nobody may clean it up.
    """

    code = "E400"
    is_foreign = False

    def __init__(
        self, step: Step, call: str, code: int, *, detail: str = "", hint: str = ""
    ) -> None:
        parts = (f"cannot {step.describe()}", call, errno_text(code) if code else "", detail)
        super().__init__(": ".join(filter(None, parts)), pointer=step.source, hint=hint)
        self.step = step
        self.errno = code


class HookError(OcipyError):
    """A hook failed: could not start, ended with a status other than 0, or ran out of time."""

    code = "E500"
