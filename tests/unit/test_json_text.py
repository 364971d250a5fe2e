"""JSON without the json module: the same values, the same texts."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest

from ocipy.json_text import DuplicateName, JsonError, dumps, loads
from tests.conftest import REPOSITORY

VALUES: list[Any] = [
    *(None, True, False, 0, -1, 2**64 - 1, 1.5, -1e300, "", 'ä"\\\n\x7f\u2028😀', [], {}),
    [1, [2, []], {"a": {"": [None]}}],
    {"a": {}, "b": [], "c": {"d": [1, {"e": "f"}]}},
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("indent", [0, 2, 4])
def test_texts_are_those_of_the_json_module(value: Any, indent: int) -> None:
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    expected = json.dumps(value, ensure_ascii=False, indent=indent) if indent else compact
    assert dumps(value, indent) == expected
    assert loads(dumps(value, indent)) == value
    assert loads(f" \t\r\n{expected} \n") == value


def test_what_has_no_json_form() -> None:
    with pytest.raises(TypeError, match="set"):
        dumps({"a": {1}})


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        *(("", 0), ("  ", 2), ("x", 0), ("[1,]", 3), ("[1 2]", 3), ('{"a" 1}', 5), ('{"a":1,}', 7)),
        *(("{'a':1}", 1), ('"a', 0), ('"a\nb"', 2), ("[1", 2), ("1 2", 2), ('{"a":tru}', 5)),
        *(("01", 1), ("+1", 0), ("1.", 1), (".5", 0), ('"\\x"', 1), ('"\\u12"', 2), ("\ufeff1", 0)),
    ],
)
def test_what_is_no_json(text: str, offset: int) -> None:
    with pytest.raises(JsonError) as caught:
        loads(text)
    assert caught.value.offset == offset
    assert caught.value.problem[0].islower()


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "9" * 5000, "[" * 100_000])
def test_what_python_would_take_or_choke_on(text: str) -> None:
    with pytest.raises(JsonError):
        loads(text)


def test_overflow_is_infinite_as_everywhere() -> None:
    assert loads("1e999") == math.inf


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '[{"b":{"c":1,"a":1,"c":2}}]', '{"":1,"":2}'])
def test_duplicate_names(text: str) -> None:
    with pytest.raises(DuplicateName):
        loads(text)


def test_errors_do_not_need_the_json_module_to_have_been_imported() -> None:
    program = (
        f"import sys; sys.path.insert(0, {REPOSITORY!r})\n"
        "from ocipy import json_text\n"
        "assert 'json' not in sys.modules\n"
        "try: json_text.loads('[1,')\n"
        "except json_text.JsonError as error: print(error.offset, error.problem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "3 a value is missing\n"
