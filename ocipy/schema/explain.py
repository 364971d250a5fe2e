"""Why a config was rejected: every fault at once. Imported only then.

The compiled validator says no and nothing else; here jsonschema reads the same schema and finds
what is wrong, and where. The rules that a schema cannot say are asked as well: one run of ocipy,
one list of everything to repair.
"""

from __future__ import annotations

from ocipy.errors import ConfigError
from ocipy.json_position import escape
from ocipy.json_text import dumps
from ocipy.schema.suggest import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from jsonschema.exceptions import ValidationError

    from ocipy.config.found import Found
    from ocipy.schema._generated_validate import Unknown

# What a rule may run into when the structure it relies on is not there.
_WRONG_STRUCTURE = (TypeError, KeyError, AttributeError, IndexError, ValueError)

_KINDS = {
    "string": "a string",
    "boolean": "true or false",
    "integer": "an integer",
    "object": "an object",
    "array": "an array",
}
_ITEMS = {"string": "strings", "integer": "integers", "object": "objects"}


def explain(
    value: object, definition: str, rules: Iterable[Callable[[Any], Iterable[Found]]]
) -> list[ConfigError]:
    """Return every fault of a value that the compiled validator has rejected; at least one.

    `definition` names the part of the schema, "" for a whole config.
    """
    faults = structural_faults(value, definition)
    if not isinstance(value, dict):
        return faults
    wrong = {fault.pointer for fault in faults}
    for rule in rules:
        try:
            for found in rule(value):
                if isinstance(found, ConfigError) and not _is_below(found.pointer, wrong):
                    faults.append(found)
        except _WRONG_STRUCTURE:
            # The rule asks something of a value that is not even of the right type: that is said.
            continue
    return faults


def structural_faults(value: object, definition: str) -> list[ConfigError]:
    """Return what the schema alone finds wrong."""
    try:
        from jsonschema import Draft4Validator
    except ImportError:
        return [
            ConfigError(
                "",
                "the configuration does not have the structure that runtime-spec 1.3 asks for",
                hint="where it departs from it can be said once Python's jsonschema is installed",
            )
        ]
    from ocipy.schema._generated_schema import CONFIG

    schema: dict[str, Any] = _with_strict_ends(CONFIG)
    if definition:
        reference = f"#/definitions/{definition}"
        schema = {"$ref": reference, "definitions": schema["definitions"]}
    errors = Draft4Validator(schema).iter_errors(value)
    return [_fault_of(error) for error in errors]


def unknown_in(value: object, definition: str) -> Unknown:
    """Return each object that has names which the schema does not know, and the names it knows.

    The compiled validator collects them too, but gives up at the first fault.
    """
    from ocipy.schema._generated_schema import CONFIG

    unknown: Unknown = []

    def walk(value: object, schema: dict[str, Any]) -> None:
        if "$ref" in schema:
            schema = CONFIG["definitions"][schema["$ref"].rpartition("/")[2]]
        if isinstance(value, list):
            for item in value:
                walk(item, schema.get("items", {}))
        if not isinstance(value, dict):
            return
        known: dict[str, Any] = schema.get("properties", {})
        if known and not value.keys() <= known.keys():
            unknown.append((value, tuple(known)))
        for name, item in value.items():
            walk(item, known.get(name, schema.get("additionalProperties", {})))

    walk(value, CONFIG["definitions"][definition] if definition else CONFIG)
    return unknown


def _with_strict_ends(schema: Any) -> Any:
    """Return the schema with `$` of patterns as JSON Schema (ECMA 262) means it: only at the end.

    Python's `$` also stands before a line end there.
    """
    if isinstance(schema, dict):
        return {
            name: item[:-1] + r"\Z"
            if name == "pattern" and isinstance(item, str) and item.endswith("$")
            else _with_strict_ends(item)
            for name, item in schema.items()
        }
    return [_with_strict_ends(item) for item in schema] if isinstance(schema, list) else schema


def _is_below(pointer: str, wrong: set[str]) -> bool:
    """Is the value at `pointer`, or one around it other than the whole, already known as wrong?"""
    while pointer:
        if pointer in wrong:
            return True
        pointer = pointer.rpartition("/")[0]
    return False


def _fault_of(error: ValidationError) -> ConfigError:
    pointer = "".join(f"/{escape(str(token))}" for token in error.absolute_path)
    keyword, subject = str(error.validator), _subject(list(error.absolute_path))
    found: Any = error.instance
    rule: Any = error.validator_value
    schema: Any = error.schema
    if keyword == "type":
        problem = f"{subject} must be {_expected(schema)}, found {_describe(found)}"
        hint = "leave the field out instead" if found is None and pointer else ""
        if isinstance(found, float) and rule == "integer" and found.is_integer():
            hint = f"write {int(found)}"
        if isinstance(found, str) and rule == "array":
            hint = f"write [{_shorten(dumps(found))}]"
        if isinstance(found, str) and rule in ("integer", "boolean"):
            hint = "write it without quotes"
        return ConfigError(pointer, problem, hint=hint)
    if keyword == "required":
        missing = _missing_name(error)
        others = [name for name in found if name not in schema["properties"]]
        problem = f'the required field "{missing}" is missing'
        near = [name for name in others if did_you_mean(name, [missing])]
        return ConfigError(pointer, problem, hint=f'is "{near[0]}" meant for it?' if near else "")
    if keyword == "enum":
        problem = f"{_shorten(dumps(found))} is none of {', '.join(rule)}"
        return ConfigError(pointer, problem, hint=did_you_mean(str(found), rule))
    if keyword in ("minimum", "maximum"):
        low, high = schema.get("minimum"), schema.get("maximum")
        problem = f"{subject} must be in the range {low} to {high}, found {found}"
        if high is None:
            problem = f"{subject} must be at least {low}, found {found}"
        return ConfigError(pointer, problem)
    if keyword == "minItems":
        return ConfigError(pointer, f"{subject} needs at least {rule} entry, found {len(found)}")
    problem = f"{_shorten(dumps(found))} is not of the form {schema.get('pattern', rule)}"
    problem = problem.replace(r"\Z", "$")
    return ConfigError(pointer, problem, hint=schema.get("description", ""))


def _subject(path: list[str | int]) -> str:
    """Return what a sentence calls the value at a path: args, args[0], the configuration."""
    subject = ""
    while path and isinstance(path[-1], int):
        subject = f"[{path.pop()}]{subject}"
    return f"{path[-1]}{subject}" if path else f"the configuration{subject}"


def _missing_name(error: ValidationError) -> str:
    """Return the name that `required` misses; jsonschema has it in the sentence alone."""
    found: Any = error.instance
    rule: Any = error.validator_value
    missing: list[str] = [name for name in rule if name not in found]
    return next((name for name in missing if repr(name) in error.message), missing[0])


def _expected(schema: dict[str, Any]) -> str:
    kind = _KINDS[schema["type"]]
    items: dict[str, Any] = schema.get("items", {})
    if "$ref" in items:
        from ocipy.schema._generated_schema import CONFIG

        items = CONFIG["definitions"][items["$ref"].rpartition("/")[2]]
    if word := _ITEMS.get(items.get("type", "")):
        kind += f" of {word}"
    return kind


def _describe(value: object) -> str:
    if value is None or isinstance(value, bool):
        return dumps(value)
    if isinstance(value, str):
        return f"the string {_shorten(dumps(value))}"
    if isinstance(value, int | float):
        return f"the number {_shorten(dumps(value))}"
    return "an object" if isinstance(value, dict) else "an array"


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:56]}…{text[-1]}"
