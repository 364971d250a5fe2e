"""Strings that the kernel cannot be told: with a NUL in them, or not Unicode.

JSON can say "\\u0000", C strings end there: what was checked and what is done would differ.
Imported only when the text has an escape that could mean such a character.
"""

from __future__ import annotations

from ocipy.errors import ConfigError
from ocipy.json_position import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Data for other programs, which travels as JSON and never becomes a C string.
_OPAQUE = ("/annotations", "/linux/seccomp/listenerMetadata")


def unusable_strings(config: object) -> list[ConfigError]:
    """Return a fault for each string and each name that no C string can hold."""
    faults = []
    for pointer, string in _strings(config, ""):
        if "\0" in string and not pointer.startswith(_OPAQUE):
            faults.append(ConfigError(pointer, "a NUL character, \\u0000, in a string"))
        elif any("\ud800" <= c <= "\udfff" for c in string):
            faults.append(ConfigError(pointer, "half of a surrogate pair (\\ud800 to \\udfff)"))
    return faults


def _strings(value: object, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for name, item in value.items():
            here = f"{pointer}/{escape(name)}"
            yield here, name
            yield from _strings(item, here)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{i}")
