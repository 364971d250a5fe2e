from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.systemd.variant import complete_types, parse_variant, quote


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", ("b", True)),
        (" false ", ("b", False)),
        ("5", ("i", 5)),
        ("-5", ("i", -5)),
        ("0x10", ("i", 16)),
        ("0644", ("i", 0o644)),
        ("1.5", ("d", 1.5)),
        ("double 2", ("d", 2.0)),
        ("uint64 18446744073709551615", ("t", (1 << 64) - 1)),
        ("byte 0xff", ("y", 255)),
        ("'a'", ("s", "a")),
        ('"it\'s"', ("s", "it's")),
        (r"'it\'s\n'", ("s", "it's\n")),
        ("objectpath '/a'", ("o", "/a")),
        ("['a', 'b']", ("as", ["a", "b"])),
        ("@as []", ("as", [])),
        ("[]", None),
        ("[uint32 1, 2]", ("au", [1, 2])),
        ("@ay [0x03, 0]", ("ay", b"\x03\0")),
        ("@ay []", ("ay", b"")),
        ("('a', uint64 1)", ("(st)", ("a", 1))),
        ("@a(st) [('/dev/a', 1), ('/dev/b', 2)]", ("a(st)", [("/dev/a", 1), ("/dev/b", 2)])),
        ("@a(ss) []", ("a(ss)", [])),
        ("@(ayu) ([1], 2)", ("(ayu)", (b"\1", 2))),
        ("", None),
        ("text", None),
        ("'open", None),
        ("5 6", None),
        ("[1, 'a']", None),
        ("[1", None),
        ("[1 2]", None),
        ("byte 256", None),
        ("uint32 -1", None),
        ("uint64 'a'", None),
        ("@as ['a', 1]", None),
        ("@z 1", None),
        ("@ss 'a'", None),
        ("@a( []", None),
        ("@(ss) ('a',)", None),
        ("@(s) ('a', 'b')", None),
        ("boolean 1", None),
    ],
)
def test_parse(text: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(ValueError, match=r"expected|not a type|outside"):
            parse_variant(text)
        return
    found = parse_variant(text)
    assert found == expected
    assert type(found[1]) is type(expected[1])


@pytest.mark.parametrize("text", ["", "it's", 'a"b', "back\\slash", "two\nlines", "ü"])
def test_a_quoted_string_is_read_back(text: str) -> None:
    assert parse_variant(quote(text)) == ("s", text)


def test_complete_types() -> None:
    assert complete_types("sa(ss)uaas") == ["s", "a(ss)", "u", "aas"]
    for wrong in ("a", "(s", "z"):
        with pytest.raises(ValueError, match="not a type"):
            complete_types(wrong)
