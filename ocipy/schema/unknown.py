"""Names that the specification does not know: where they stand, and what was meant.

Spec (config.md#extensibility): unknown properties MUST be ignored, and MAY be logged. They are
logged: a seccomp profile under a misspelt name is a container without one.
"""

from __future__ import annotations

from ocipy.errors import ConfigError
from ocipy.json_position import escape, offset_of
from ocipy.schema.suggest import did_you_mean

# Sections that no config for Linux has; nothing of them was meant.
_OTHER_PLATFORMS = ("freebsd", "solaris", "vm", "windows", "zos")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ocipy.schema._generated_validate import Unknown


def unknown_names(config: object, unknown: Unknown, text: str) -> list[ConfigError]:
    """Return a fault for each name that is not known; with `text` they know their offsets.

    `unknown` is what the compiled validator collected: objects of `config`, and their known names.
    """
    objects = {id(value): known for value, known in unknown}
    faults = []
    for pointer, value in _objects(config, ""):
        if id(value) not in objects:
            continue
        known = objects[id(value)]
        for name in value:
            if name in known:
                continue
            here = f"{pointer}/{escape(name)}"
            offset = offset_of(text, here, of_name=True) if text else -1
            # What is already there was not meant.
            hint = did_you_mean(name, [other for other in known if other not in value])
            hint = hint or _where_it_belongs(name)
            faults.append(ConfigError(here, f'unknown field "{name}"', hint=hint, offset=offset))
    return faults


def _where_it_belongs(name: str) -> str:
    """Return a hint for a name that the specification has in one other place, "" otherwise."""
    from ocipy.schema._generated_schema import CONFIG

    places: list[str] = []

    def walk(schema: dict[str, Any], place: str) -> None:
        if "$ref" in schema:
            schema = CONFIG["definitions"][schema["$ref"].rpartition("/")[2]]
        if "items" in schema:
            walk(schema["items"], f"an entry of {place}")
        for key, inner in schema.get("properties", {}).items():
            if key in _OTHER_PLATFORMS:
                continue
            if key == name:
                places.append(place or "the top level")
            if " " not in place:
                walk(inner, f"{place}/{key}")

    walk(CONFIG, "")
    return f"it belongs to {places[0]}" if len(places) == 1 else ""


def _objects(value: object, pointer: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each object in a parsed JSON value and its pointer, outer ones first."""
    if isinstance(value, dict):
        yield pointer, value
        for name, item in value.items():
            if isinstance(item, dict | list):
                yield from _objects(item, f"{pointer}/{escape(name)}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            if isinstance(item, dict | list):
                yield from _objects(item, f"{pointer}/{i}")
