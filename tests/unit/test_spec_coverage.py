"""docs/spec-coverage.md against the schema, the sources, the operations and the tests."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

ROOT = Path(REPOSITORY)
OTHER_PLATFORMS = {"freebsd", "solaris", "vm", "windows", "zos"}


def fields() -> list[str]:
    """Return every property of config.json for Linux: `a.b[].c`, `*` for names that are free."""
    schema = json.loads((ROOT / "spec" / "config.json").read_text())

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in part:
            part = schema["definitions"][part["$ref"].rpartition("/")[2]]
        return part

    def below(part: dict[str, Any], path: str) -> list[str]:
        part, found = resolved(part), []
        for name, value in part.get("properties", {}).items():
            if path or name not in OTHER_PLATFORMS:
                here = f"{path}.{name}" if path else name
                found += [here, *below(value, here)]
        free = [part.get("additionalProperties"), *part.get("patternProperties", {}).values()]
        for value in free:
            if isinstance(value, dict):
                found += below(value, f"{path}.*")
        if isinstance(part.get("items"), dict):
            found += below(part["items"], f"{path}[]")
        return found

    return below(schema, "")


def rows() -> list[list[str]]:
    text = (ROOT / "docs" / "spec-coverage.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def covers(pattern: str, field: str) -> bool:
    # A `*` of the field itself is a name, too.
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", r"[^.\[]*"), field))


ROWS = rows()


def test_every_field_has_a_row() -> None:
    patterns = [words(row[0])[0] for row in ROWS]
    missing = [field for field in fields() if not any(covers(p, field) for p in patterns)]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: words(row[0])[0])
def test_row(row: list[str]) -> None:
    field, decided, operations, tests = row
    (pattern,) = words(field)
    assert any(covers(pattern, known) for known in fields()), "no such field"
    assert words(decided)
    for module in words(decided):
        assert (ROOT / "ocipy" / module).is_file(), module
    known_operations = {
        operation["name"]
        for operation in tomllib.loads((ROOT / "ocipy_native" / "operations.toml").read_text())[
            "operation"
        ]
    }
    if operations.startswith("none: "):
        assert len(operations) > len("none: ")
    else:
        assert words(operations)
        assert set(words(operations)) <= known_operations
    assert words(tests)
    for test in words(tests):
        path, _, name = test.partition("::")
        source = ROOT / "tests" / path
        assert source.is_file(), test
        names = {
            node.name
            for node in ast.walk(ast.parse(source.read_text()))
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        }
        assert name in names or (not name and names), f"no such test: {test}"
