"""Lists of CPUs."""

from __future__ import annotations

import pytest

from ocipy.config.cpu_list import list_problem, parse_list


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        ("0", [0]),
        ("0-3,7", [0, 1, 2, 3, 7]),
        (" 7 , 0-1,,1-2 ", [0, 1, 2, 7]),
        ("3-3", [3]),
        ("65536", [65536]),
    ],
)
def test_lists(text: str, numbers: list[int]) -> None:
    assert parse_list(text) == numbers
    assert list_problem(text) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", "neither a number nor a range"),
        ("1-", "neither a number nor a range"),
        ("-1", "neither a number nor a range"),
        ("1-2-3", "neither a number nor a range"),
        ("1 2", "neither a number nor a range"),
        ("+1", "neither a number nor a range"),
        ("١", "neither a number nor a range"),
        ("2-1", "runs backwards"),
        ("0-65537", "larger than 65536"),
        (",", "has no number"),
        (" ", "has no number"),
    ],
)
def test_what_is_no_list(text: str, problem: str) -> None:
    assert problem in list_problem(text)
    with pytest.raises(ValueError, match=problem):
        parse_list(text)
