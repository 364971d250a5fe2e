"""What an error says about the text it is about: line, column, and the lines themselves.

Imported only once something is wrong.
"""

from __future__ import annotations

from ocipy.errors import ConfigError, ConfigFaults
from ocipy.json_position import excerpt, line_and_column, offset_of, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.errors import OcipyError


def describe_faults(error: OcipyError, text: str, file_name: str) -> str:
    """Set `location` and `details` of an error that a value of `text` has caused; return `details`.

    Of ConfigFaults each fault is given its place, and they are put into the order of the file.
    """
    if isinstance(error, ConfigFaults):
        error.faults.sort(key=lambda fault: _offset(fault, text))
        parts = [_describe(fault, text, file_name) for fault in error.faults]
        error.details = "\n\n".join([f"{len(parts)} faults in {file_name}", *parts])
    else:
        error.details = _describe(error, text, file_name)
    return error.details


def _describe(error: OcipyError, text: str, file_name: str) -> str:
    offset = _offset(error, text)
    lines = [printable(str(error))]
    if offset >= 0:
        line, column = line_and_column(text, offset)
        error.location = f"{file_name}:{line}:{column}"
        place = ", ".join(part for part in (error.location, error.pointer) if part)
        lines += [f"    at {printable(place)}", *excerpt(text, offset)]
    if error.hint:
        lines.append(f"    hint: {printable(error.hint)}")
    return "\n".join(lines)


def _offset(error: OcipyError, text: str) -> int:
    """Return where in the text the error's value stands, or -1."""
    if isinstance(error, ConfigError) and error.offset >= 0:
        return error.offset
    return offset_of(text, error.pointer) if error.pointer else -1
