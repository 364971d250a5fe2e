"""Documents that are nearly right: every place of a schema, with every kind of wrong value.

`specimens()` builds, for each place of the schema, the smallest document that has it; `mutations()`
puts into that place what may be right or wrong there. That covers all of the schema in documents
of a few names each. `shuffled()` damages whole configs of real engines at random, with a seed.
"""

from __future__ import annotations

import copy
import random
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]
Path = tuple[str | int, ...]

# Around every bound of the schema, and every type where another one belongs.
NUMBERS = [
    *(0, 1, -1, 255, 256, 511, 512, 65535, 65536, 1.0, 1.5, -0.0, 1e300),
    *(2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32 - 1, 2**32, 2**53),
    *(2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64),
]
STRINGS = [
    *("", "x", "\n", " ", "c", "c\n", "cb", "p", "rwm", "RLIMIT_CPU", "RLIMIT_CPU\n", "RLIMIT_"),
    *("RLIMIT_cpu", "xRLIMIT_CPU", "2MB", "2MB\n", "02MB", "2kB", "MB", "1GBx", "12345678KB"),
    *(
        "MB:",
        "MB:0=1",
        "MB:0\n",
        "MB:\n1",
        "M",
        "0-3,7",
        "0-3,7\n",
        "0;1",
        "CAP_SYS_ADMIN",
        "CAP_1",
    ),
    *(
        "pid",
        "PID",
        "shared",
        "rshared",
        "SCMP_ACT_ALLOW",
        "SCMP_ARCH_X86",
        "LINUX",
        "new",
        "class",
    ),
    *("disable", "raw", "creating", "SCHED_RR", "IOPRIO_CLASS_RT", "MPOL_BIND", "SCMP_CMP_EQ"),
]
OTHERS: list[Any] = [
    *(None, True, False, [], {}, [1], ["x"], [[]], [{}], [None], {"x": 1}, {"x": "y"}),
]
ODD_NAMES: list[Any] = [{"": 1}, {"\n": 1}, {"": "x"}, {"a": None}, {"a": {}}, {"a\n": 2}]


class Files:
    """The schema files by name; they lead from one to another."""

    def __init__(self, files: dict[str, dict[str, Any]]) -> None:
        self.files = files

    def resolve(self, schema: Schema, file: str) -> tuple[Schema, str]:
        while "$ref" in schema:
            target, _, fragment = schema["$ref"].partition("#")
            file = target or file
            schema = self.files[file]
            for token in fragment.split("/")[1:]:
                schema = schema[token]
        return schema, file

    def sample(self, schema: Schema, file: str) -> Any:
        """Return a value that has everything a schema knows, each list with one entry."""
        schema, file = self.resolve(schema, file)
        kind = schema.get("type")
        if "enum" in schema:
            return schema["enum"][0]
        if kind == "array":
            return [self.sample(schema["items"], file)]
        if kind == "object":
            named = {k: self.sample(v, file) for k, v in schema.get("properties", {}).items()}
            values = values_schema(schema)
            return named | ({"key": self.sample(values, file)} if values else {})
        if "pattern" in schema:
            return next(string for string in STRINGS if re.search(schema["pattern"], string))
        return {"string": "x", "boolean": True, "integer": 1, None: 1}[kind]

    def schema_at(self, file: str, path: Path) -> Schema:
        """Return the schema of what stands at `path` of a sample."""
        schema, file = self.resolve(self.files[file], file)
        for token in path:
            if isinstance(token, int):
                schema = schema["items"]
            else:
                schema = schema.get("properties", {}).get(token) or values_schema(schema)
            schema, file = self.resolve(schema, file)
        return schema


def values_schema(schema: Schema) -> Schema:
    """Return the schema of values whose names are free, {} where an object has none of them."""
    values: Schema = schema.get("additionalProperties") or {}
    return values or schema.get("patternProperties", {}).get(".", {})


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in a value, itself first."""
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from places(item, (*path, i))


def at(value: Any, path: Path) -> Any:
    for token in path:
        value = value[token]
    return value


def changed(value: Any, path: Path, new: Any) -> Any:
    """Return a copy with something else at `path`."""
    if not path:
        return new
    value = copy.deepcopy(value)
    at(value, path[:-1])[path[-1]] = new
    return value


def specimens(files: Files, file: str) -> Iterator[tuple[Path, Any]]:
    """Yield each place of a schema with the smallest right document that has it."""
    full = files.sample(files.files[file], file)

    def prune(value: Any, path: Path, rest: Path) -> Any:
        if isinstance(value, dict):
            needed = files.schema_at(file, path).get("required", [])
            kept = {name: prune(value[name], (*path, name), ()) for name in needed}
            if rest:
                kept[str(rest[0])] = prune(value[rest[0]], (*path, rest[0]), rest[1:])
            return kept
        if isinstance(value, list):
            return [prune(value[0], (*path, 0), rest[1:])]
        return value

    for path in places(full):
        yield path, prune(full, (), path)


def mutations(document: Any, path: Path, schema: Schema) -> Iterator[Any]:
    """Yield the document itself, and with other values at `path`, where `schema` is what counts.

    All bounds are tried where numbers belong, all strings where only some of them do.
    """
    yield document
    numbers = NUMBERS if schema.get("type") == "integer" else NUMBERS[::8]
    strings = STRINGS if "pattern" in schema or "enum" in schema else STRINGS[::9]
    for new in (*schema.get("enum", ()), *numbers, *strings, *OTHERS, *ODD_NAMES):
        yield changed(document, path, new)
    here = at(document, path)
    if isinstance(here, dict):
        for name in here:
            yield changed(document, path, {k: v for k, v in here.items() if k != name})
        yield changed(document, path, here | {"unknownName": 1})
    elif isinstance(here, list):
        yield changed(document, path, here * 3)
        yield changed(document, path, [*here, None])


def shuffled(document: Any, seed: int, count: int) -> Iterator[Any]:
    """Yield a document with one to three of its values replaced, moved, doubled or dropped."""
    chance = random.Random(seed)
    paths = [path for path in places(document) if path]
    pool = [*NUMBERS, *STRINGS, *OTHERS, *ODD_NAMES]
    for _ in range(count):
        value = copy.deepcopy(document)
        for path in chance.sample(paths, chance.choice((1, 1, 2, 3))):
            try:
                parent, key = at(value, path[:-1]), path[-1]
                if chance.random() < 0.2:
                    del parent[key]
                elif chance.random() < 0.3:
                    parent[key] = copy.deepcopy(at(document, chance.choice(paths)))
                else:
                    parent[key] = copy.deepcopy(chance.choice(pool))
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change has taken this place away
        yield value
