"""Where values stand in a text."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from ocipy.json_position import (
    duplicate_name,
    escape,
    excerpt,
    line_and_column,
    marked,
    offset_of,
    printable,
)
from ocipy.json_text import JsonError, scan_value

TEXT = """
{
\t"a": {"b~/": [10, {"c": "ä,]}\\"", "": null}, [], {}]},
  "x" :\t
    true
}
"""


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", '{\n\t"a"'),
        ("/a", '{"b~/"'),
        ("/a/b~0~1", "[10"),
        ("/a/b~0~1/0", "10,"),
        ("/a/b~0~1/1", '{"c"'),
        ("/a/b~0~1/1/c", '"ä,'),
        ("/a/b~0~1/1/", "null}"),
        ("/a/b~0~1/2", "[],"),
        ("/a/b~0~1/3", "{}]"),
        ("/x", "true"),
        ("/a/b~0~1/9", "[10"),
        ("/a/none/at/all", '{"b~/"'),
        ("/x/deeper", "true"),
    ],
)
def test_offsets_of_values(pointer: str, found: str) -> None:
    assert TEXT[offset_of(TEXT, pointer) :].startswith(found)


def test_offsets_of_names() -> None:
    assert TEXT[offset_of(TEXT, "/x", of_name=True) :].startswith('"x"')
    assert TEXT[offset_of(TEXT, "/a/b~0~1/1/c", of_name=True) :].startswith('"c"')
    assert TEXT[offset_of(TEXT, "/a/b~0~1/0", of_name=True) :].startswith("10"), "has no name"


@pytest.mark.parametrize("indent", [None, 0, 4])
def test_every_value_is_found(indent: int | None) -> None:
    chance = random.Random(1)

    def build(depth: int) -> Any:
        kind = chance.choice(("object", "array", "scalar") if depth else ("scalar",))
        if kind == "object":
            return {f'{i}"/~{{': build(depth - 1) for i in range(chance.randrange(4))}
        if kind == "array":
            return [build(depth - 1) for _ in range(chance.randrange(4))]
        return chance.choice((None, True, -1.5e3, "", 'a"b\\', "ä\n", 2**70))

    def walk(text: str, value: Any, pointer: str) -> int:
        assert scan_value(text, offset_of(text, pointer))[0] == value
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
            value, list
        ) else ()  # fmt: skip
        return 1 + sum(walk(text, item, f"{pointer}/{escape(str(key))}") for key, item in entries)

    whole = [build(5) for _ in range(30)]
    assert walk(json.dumps(whole, indent=indent), whole, "") > 100


@pytest.mark.parametrize(
    ("text", "pointer", "offset"),
    [
        ('{"a": 1, "a": 2}', "/a", 9),
        ('[{"b": {"a": 1, "c": {}, "a": [2]}}]', "/0/b/a", 25),
        ('{"x": {"a": 1, "a": 2}, "x": 3}', "/x/a", 15),
        ('{"a/": [1, 2], "b": [ {"z": 1, "y": {}, "z" : 2} ] }', "/b/0/z", 40),
    ],
)
def test_duplicate_names(text: str, pointer: str, offset: int) -> None:
    assert duplicate_name(text) == (pointer, offset)


def test_no_duplicate_name() -> None:
    with pytest.raises(JsonError):
        duplicate_name('{"a": {"b": 1}, "c": {"b": 1}}')


def test_lines_and_columns_count_from_one() -> None:
    assert line_and_column("ab\ncd", 0) == (1, 1)
    assert line_and_column("ab\ncd", 2) == (1, 3)
    assert line_and_column("ab\ncd", 3) == (2, 1)
    assert line_and_column("äö\nü", 4) == (2, 2)
    assert line_and_column("", 0) == (1, 1)


def test_excerpt() -> None:
    assert excerpt("one\n\ttwo: 3\nfour", 10) == ["     2 | \ttwo: 3", "       | \t     ^"]
    assert excerpt("x", 1) == ["     1 | x", "       |  ^"]


def test_excerpt_of_a_long_line() -> None:
    line, pointing = excerpt("x" * 5000 + "here" + "y" * 5000, 5000)
    assert len(line) < 140
    assert line[pointing.index("^") :].startswith("hereyyy")
    assert line.endswith("…")


def test_marked() -> None:
    assert marked('{"a":\n  1 "b": 2}', 10) == '{"a": 1 ⟨here⟩ "b": 2}'


def test_nothing_drives_the_terminal() -> None:
    assert printable("a\x1b[31m\x7f\t\x9b") == "a\\u001b[31m\\u007f\t\\u009b"
    assert "\x1b" not in "".join(excerpt('{"a": "\x1b[31m"}', 3))
