"""docs/security.md and tests/attacks name the same attacks, tests and weakened builds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.attacks import weakened
from tests.attacks.weakenings import WEAKENINGS
from tests.conftest import REPOSITORY

ROOT = Path(REPOSITORY)
ATTACKS = ROOT / "tests" / "attacks"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[list[str]]:
    """Return the cells of each row of the table: attack, defence, test, weakened build."""
    text = (ROOT / "docs" / "security.md").read_text()
    table = text[text.index("| attack |") :].partition("\n\n")[0]
    lines = table.splitlines()
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert found[0] == ["attack", "defence", "test", "weakened build"]
    return found[2:]


def attack_tests() -> set[tuple[str, str]]:
    """Return (file, function) of every test that performs an attack."""
    files = sorted(set(ATTACKS.glob("test_*.py")) - {ATTACKS / "test_weakenings.py"})
    return {
        (str(file.relative_to(ROOT)), name)
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }


def test_every_row_is_whole() -> None:
    for row in rows():
        assert len(row) == 4, row
        assert TEST.search(row[2]), f"no test: {row[0]}"
        assert "`" in row[3] or row[3].startswith("none: "), f"no weakened build: {row[0]}"


def test_every_test_that_is_named_exists() -> None:
    for row in rows():
        for file, name in TEST.findall(row[2]):
            text = (ROOT / file).read_text()
            assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{file}::{name}"


def test_every_attack_is_in_the_table() -> None:
    named = {test for row in rows() for test in TEST.findall(row[2])}
    assert sorted(attack_tests() - named) == []


def test_every_weakened_build_is_in_the_row_of_a_test_that_attacks_it() -> None:
    seen = set()
    for row in rows():
        files = {file for file, _ in TEST.findall(row[2])}
        text = "".join((ROOT / file).read_text() for file in files)
        for name in re.findall(r"`([\w-]+)`", row[3]):
            assert f'"{name}"' in text, f"no test of this row attacks {name}: {row[0]}"
            seen.add(name)
    assert seen == set(WEAKENINGS)


@pytest.mark.parametrize("name", WEAKENINGS)
def test_the_text_that_a_weakened_build_replaces_is_there_once(name: str) -> None:
    """Who changes it sees it here, in seconds, and mends tests/attacks/weakenings.py."""
    assert len(weakened.patched(name)) == len({file for file, _, _ in WEAKENINGS[name].changes})
