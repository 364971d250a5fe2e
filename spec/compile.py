"""Compile config.json, the schema beside this file, into Python that needs no schema library.

    python spec/compile.py          write the _generated_ files
    python spec/compile.py --check  compare them instead; exit 1 and name those that differ

Written are:

    ocipy/schema/_generated_validate.py  the verdict on a config, a process or resources: straight
                                         code, no imports, no error texts (design §4)
    ocipy/schema/_generated_schema.py    the schema as a literal: read only to explain a rejection
    ocipy/config/_generated_types.py     TypedDicts: read only by type checkers

Understood is the part of JSON Schema that our schemas use; anything else is refused, so that a
keyword can never be silently without effect in the compiled code. Draft 4 semantics: 1.0 is no
integer; a $ref stands for itself, what is beside it only describes.
"""

from __future__ import annotations

import json
import keyword
import pprint
import sys
from pathlib import Path
from typing import Any

SPEC = Path(__file__).resolve().parent
PROJECT = SPEC.parent
Schema = dict[str, Any]

# The functions of the compiled validator that others call, and what each decides on.
ENTRY_POINTS = {
    "config": "#",
    "process": "#/definitions/Process",
    "resources": "#/definitions/Resources",
}
SCALARS = {"string": "str", "boolean": "bool", "integer": "int", "object": "dict", "array": "list"}
KEYWORDS = {
    "string": {"enum", "pattern"},
    "boolean": set(),
    "integer": {"minimum", "maximum"},
    "array": {"items", "minItems"},
    "object": {"properties", "required", "additionalProperties", "patternProperties"},
}
ANNOTATIONS = {"$schema", "title", "description", "definitions", "type"}


class SchemaSet:
    """The schema files by name; `$ref` leads from one to another."""

    def __init__(self, directory: Path) -> None:
        self.files: dict[str, Schema] = {
            path.name: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))
        }

    def resolve(self, schema: Schema, file: str) -> tuple[Schema, str]:
        """Follow `$ref` to the schema it names, and the file that one is in."""
        while "$ref" in schema:
            target, _, fragment = schema["$ref"].partition("#")
            file = target or file
            schema = self.files[file]
            for token in fragment.split("/")[1:]:
                schema = schema[token]
        return schema, file


def snake_case(name: str) -> str:
    letters = ["_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name)]
    return "".join(letters)


def refuse_unknown_keywords(schema: Schema) -> None:
    allowed = ANNOTATIONS | KEYWORDS.get(schema.get("type", ""), set())
    if extra := schema.keys() - allowed:
        raise SystemExit(f"compile.py does not know what {sorted(extra)} mean in {schema}")
    if schema.get("type") == "object" and not schema.get("properties") and "required" in schema:
        raise SystemExit(f"compile.py wants required names to be properties: {schema}")


class ValidatorWriter:
    """Writes one function for each object that has properties, and inlines everything else."""

    def __init__(self, schemas: SchemaSet) -> None:
        self.schemas = schemas
        self.functions: dict[str, list[str]] = {}
        self.enums: dict[tuple[str, ...], str] = {}

    def write(self, entry_points: dict[str, str], file: str) -> str:
        entries: list[str] = []
        for name, reference in entry_points.items():
            schema, where = self.schemas.resolve({"$ref": reference}, file)
            inner = self.function_of(schema, where)
            entries += ["", "", f"{name} = {inner}"]
        lines = [
            '"""Written by spec/compile.py from spec/config.json; change those instead.',
            "",
            "Each function says whether a parsed JSON value fits the schema. Objects that fit, but",
            "have names that the specification does not know, are collected in `unknown`, with the",
            "names that they may have.",
            '"""',
            "",
            "from __future__ import annotations",
            "",
            "TYPE_CHECKING = False",
            "if TYPE_CHECKING:",
            "    from typing import Any, TypeAlias",
            "",
            '    Unknown: TypeAlias = "list[tuple[dict[str, Any], tuple[str, ...]]]"',
            "",
        ]
        for values, name in self.enums.items():
            lines.append(f"{name} = frozenset({values!r})")
        for body in self.functions.values():
            lines += ["", "", *body]
        return "\n".join([*lines, *entries]) + "\n"

    def function_of(self, schema: Schema, file: str) -> str:
        """Return the name of the function that decides on an object, and write it if need be."""
        name = "_" + snake_case(schema["title"])
        if name not in self.functions:
            self.functions[name] = []  # stands for it while it is written, in case it nests
            self.functions[name] = self.write_object(name, schema, file)
        return name

    def write_object(self, name: str, schema: Schema, file: str) -> list[str]:
        refuse_unknown_keywords(schema)
        required = schema.get("required", [])
        properties: dict[str, Schema] = schema["properties"]
        lines = [
            f"def {name}(value: Any, unknown: Unknown) -> bool:",
            "    if type(value) is not dict:",
            "        return False",
        ]
        for key in required:
            # None is no valid value of anything required, so it can stand for an absent one.
            lines.append(f"    item = value.get({key!r})")
            check = self.write_check(properties[key], file, "item", "    ")
            assert check, f"{name}.{key}: a required property needs a type"
            lines += check
        lines.append(f"    known = {len(required)}")
        for key, property_schema in properties.items():
            if key in required:
                continue
            lines += [f"    if {key!r} in value:", "        known += 1"]
            check = self.write_check(property_schema, file, "item", "        ")
            lines += [f"        item = value[{key!r}]", *check] if check else []
        lines += [
            "    if known != len(value):",
            f"        unknown.append((value, {tuple(properties)!r}))",
            "    return True",
        ]
        return lines

    def write_check(self, schema: Schema, file: str, name: str, indent: str) -> list[str]:
        """Return lines that leave the function with False where the variable `name` is wrong."""
        schema, file = self.schemas.resolve(schema, file)
        refuse_unknown_keywords(schema)
        kind = schema.get("type")
        if kind is None:
            return []
        if kind == "object" and "properties" in schema:
            wrong = f"not {self.function_of(schema, file)}({name}, unknown)"
            return [f"{indent}if {wrong}:", f"{indent}    return False"]
        wrong = f"type({name}) is not {SCALARS[kind]}"
        wrong += "".join(f" or {extra}" for extra in self.write_conditions(schema, name))
        lines = [f"{indent}if {wrong}:", f"{indent}    return False"]
        inner = f"{name}_" if name != "item" else "entry"
        if "items" in schema:
            check = self.write_check(schema["items"], file, inner, indent + "    ")
            lines += [f"{indent}for {inner} in {name}:", *check]
        elif "additionalProperties" in schema:
            check = self.write_check(schema["additionalProperties"], file, inner, indent + "    ")
            lines += [f"{indent}for {inner} in {name}.values():", *check]
        elif "patternProperties" in schema:
            # "." matches in every name but the empty one and one of line ends alone.
            assert schema["patternProperties"] == {".": {"type": "string"}}, schema
            lines += [
                f"{indent}for key, {inner} in {name}.items():",
                f"{indent}    if type({inner}) is not str and key.strip('\\n'):",
                f"{indent}        return False",
            ]
        return lines

    def write_conditions(self, schema: Schema, name: str) -> list[str]:
        """Return expressions that are true where a value of the right type is wrong."""
        conditions = []
        if "enum" in schema:
            values = tuple(schema["enum"])
            constant = self.enums.setdefault(values, f"_ENUM_{len(self.enums)}")
            conditions.append(f"{name} not in {constant}")
        if "pattern" in schema:
            conditions += write_pattern(schema["pattern"], name)
        if "minimum" in schema and "maximum" in schema:
            conditions.append(f"not {schema['minimum']} <= {name} <= {schema['maximum']}")
        elif "minimum" in schema:
            conditions.append(f"{name} < {schema['minimum']}")
        elif "maximum" in schema:
            conditions.append(f"{name} > {schema['maximum']}")
        if "minItems" in schema:
            conditions.append(f"len({name}) < {schema['minItems']}")
        return conditions


def write_pattern(pattern: str, name: str) -> list[str]:
    """Return expressions that are true where a string does not match; the `re` module is too dear.

    Understood are ^...$ over literals and character classes, at most one of them with * or +: so
    what is before it and after it has fixed places in the string.
    """
    if pattern[0] != "^" or pattern[-1] != "$":
        raise SystemExit(f"compile.py wants patterns of the form ^...$: {pattern!r}")
    elements = split_pattern(pattern[1:-1])
    repeated = [i for i, (_, repeat) in enumerate(elements) if repeat]
    if len(repeated) > 1:
        raise SystemExit(f"compile.py understands one * or + in a pattern: {pattern!r}")
    conditions = []
    middle = repeated[0] if repeated else len(elements)
    fixed = len(elements) - len(repeated)
    if repeated:
        least = fixed + (elements[middle][1] == "+")
        conditions.append(f"len({name}) < {least}" if least else "")
    else:
        conditions.append(f"len({name}) != {fixed}")
    prefix = ""
    while len(prefix) < middle and len(elements[len(prefix)][0]) == 1:
        prefix += elements[len(prefix)][0]
    if prefix:
        conditions.append(f"not {name}.startswith({prefix!r})")
    for i, (characters, repeat) in enumerate(elements):
        start = i if i <= middle else i - len(elements)
        if i < len(prefix):
            continue
        if repeat:
            end = str(middle + 1 - len(elements)) if middle + 1 < len(elements) else ""
            part = f"{name}[{start or ''}:{end}]" if start or end else name
            if characters.startswith("^"):
                conditions += [f"{c!r} in {part}" for c in characters[1:]]
            else:
                conditions.append(f"{part}.strip({characters!r})")
        elif characters.startswith("^"):
            conditions.append(f"{name}[{start}] in {characters[1:]!r}")
        elif len(characters) == 1:
            conditions.append(f"{name}[{start}] != {characters!r}")
        else:
            conditions.append(f"{name}[{start}] not in {characters!r}")
    return [condition for condition in conditions if condition]


def split_pattern(body: str) -> list[tuple[str, str]]:
    """Split into (characters, repeat): the characters allowed, "^" before those not allowed."""
    elements: list[tuple[str, str]] = []
    i = 0
    while i < len(body):
        if body[i] == "[":
            end = body.index("]", i)
            characters = expand_class(body[i + 1 : end])
            i = end + 1
        elif body[i] in "\\.()|?{}*+":
            raise SystemExit(f"compile.py does not understand {body[i]!r} in the pattern {body!r}")
        else:
            characters = body[i]
            i += 1
        repeat = body[i] if i < len(body) and body[i] in "*+" else ""
        i += len(repeat)
        elements.append((characters, repeat))
    return elements


def expand_class(text: str) -> str:
    text = text.replace("\\n", "\n")
    characters, i = "", 0
    while i < len(text):
        if 0 < i < len(text) - 1 and text[i] == "-" and text[i - 1] not in "^ ":
            characters += "".join(map(chr, range(ord(text[i - 1]) + 1, ord(text[i + 1]) + 1)))
            i += 2
        else:
            characters += text[i]
            i += 1
    return characters


class TypesWriter:
    """Writes a TypedDict for each object that has properties."""

    def __init__(self, schemas: SchemaSet) -> None:
        self.schemas = schemas
        self.classes: dict[str, list[str]] = {}

    def write(self, file: str) -> str:
        self.type_of(self.schemas.files[file], file)
        lines = [
            '"""Written by spec/compile.py from spec/config.json; change those instead.',
            "",
            "The parts of a config as type checkers see them; nothing imports this at run time.",
            '"""',
            "",
            "from __future__ import annotations",
            "",
            "from typing import Literal, Required, TypedDict",
        ]
        for body in self.classes.values():
            lines += ["", "", *body]
        return "\n".join(lines) + "\n"

    def type_of(self, schema: Schema, file: str) -> str:
        schema, file = self.schemas.resolve(schema, file)
        kind = schema.get("type")
        if kind == "array":
            return f"list[{self.type_of(schema['items'], file)}]"
        if kind == "object" and "properties" in schema:
            return self.class_of(schema, file)
        if kind == "object":
            values = schema.get("additionalProperties") or schema.get("patternProperties", {})
            values = values.get(".", values)
            return f"dict[str, {self.type_of(values, file)}]"
        if "enum" in schema:
            return f"Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
        return "object" if kind is None else SCALARS[kind]

    def class_of(self, schema: Schema, file: str) -> str:
        name: str = schema["title"]
        if name in self.classes:
            return name
        fields = {
            key: f"Required[{kind}]" if key in schema.get("required", []) else kind
            for key, kind in (
                (key, self.type_of(value, file)) for key, value in schema["properties"].items()
            )
        }
        if any(keyword.iskeyword(key) for key in fields):
            # ioPriority.class: a name that a class body cannot have.
            body = [f"    {json.dumps(key)}: {kind!r}," for key, kind in fields.items()]
            self.classes[name] = [f'{name} = TypedDict("{name}", {{', *body, "}, total=False)"]
        else:
            described = json.dumps(schema.get("description", "Spec: " + name), ensure_ascii=False)
            self.classes[name] = [
                f"class {name}(TypedDict, total=False):",
                f'    """{described[1:-1]}"""',
                "",
                *(f"    {key}: {kind}" for key, kind in fields.items()),
            ]
        return name


def write_schema_literal(schema: Schema) -> str:
    literal = pprint.pformat(schema, width=100, sort_dicts=False)
    return (
        '"""Written by spec/compile.py from spec/config.json; change that instead.\n\n'
        "The schema itself, to explain what is wrong with a config that was rejected.\n"
        '"""\n\n'
        "from __future__ import annotations\n\n"
        "TYPE_CHECKING = False\n"
        "if TYPE_CHECKING:\n"
        "    from typing import Any\n\n"
        f"CONFIG: dict[str, Any] = {literal}\n"
    )


def generated_files() -> dict[Path, str]:
    """Return what each generated file has to hold."""
    schemas = SchemaSet(SPEC)
    package = PROJECT / "ocipy"
    return {
        package / "schema/_generated_validate.py": ValidatorWriter(schemas).write(
            ENTRY_POINTS, "config.json"
        ),
        package / "schema/_generated_schema.py": write_schema_literal(schemas.files["config.json"]),
        package / "config/_generated_types.py": TypesWriter(schemas).write("config.json"),
    }


def main(arguments: list[str]) -> int:
    stale = []
    for path, text in generated_files().items():
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in arguments:
            stale.append(path.relative_to(PROJECT))
        else:
            path.write_text(text)
    for name in stale:
        print(f"{name} is not what spec/compile.py writes", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
