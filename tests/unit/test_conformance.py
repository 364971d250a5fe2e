"""The conformance suite by itself: what it imports, what it accounts for, how it reports."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from conformance import report
from conformance.accounting import anchor, key_words, wrong_entries
from conformance.case import Case, Result, Section, load, select
from conformance.compare import comparison, deviations, errors_table, explanation, unexplained
from conformance.fields import FIELDS, LEAST, surroundings
from tests.conftest import REPOSITORY

ROOT = Path(REPOSITORY)
SOURCES = sorted((ROOT / "conformance").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_imported_but_itself_and_the_standard_library(path: Path) -> None:
    """Whoever knows a runtime from the inside cannot judge the others."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert top == "conformance" or top in sys.stdlib_module_names, f"imports {name}"


def test_no_case_speaks_of_a_runtime() -> None:
    for path in SOURCES:
        if path.parent.name == "cases":
            code = ast.parse(path.read_text())
            words = {n.value for n in ast.walk(code) if isinstance(n, ast.Constant)}
            assert not {"ocipy", "runc", "crun"} & {w for w in words if isinstance(w, str)}, path


def test_accounting_names_cases_that_exist() -> None:
    assert wrong_entries() == []


def test_every_section_has_the_form_of_a_link() -> None:
    for case in load().values():
        document, _, where = case.section.partition("#")
        assert document.endswith(".md") and where == anchor(where), case


def test_key_words_are_found_with_their_section() -> None:
    text = "# <a name=x />Some Heading\n* `a` (REQUIRED) MUST NOT be\n"
    text += "```\n# MAY\n```\n## Two: B\nMAY\n"
    assert key_words(text) == [
        ("some-heading", "REQUIRED", 2),
        ("some-heading", "MUST NOT", 2),
        ("some-heading", "MAY", 4),
        ("two-b", "MAY", 7),
    ]


def test_selection() -> None:
    assert [case.id for case in select("mounts.order-nested")] == ["mounts.order-nested"]
    assert {case.id.split(".")[0] for case in select("hooks.* mounts.option.*")} == {
        "hooks",
        "mounts",
    }
    assert len(select("")) == len(load()) > 1000


def test_fields_have_surroundings_that_are_there() -> None:
    names = [field.name for field in FIELDS]
    assert len(names) == len(set(names))
    for pointer in LEAST:
        assert surroundings(pointer)[-1] == (pointer, LEAST[pointer])


def results() -> list[Result]:
    section = Section("x.md")
    cases = [
        Case(f"x.{n}", "MUST", f"{section.document}#y", "it <works>", lambda room: None)
        for n in range(3)
    ]
    mistake = {
        "pointer": "/process/cwd",
        "value": '"a|b"',
        "status": "1",
        "message": "no /process/cwd",
    }
    return [
        Result(cases[0], "pass", mistakes=[mistake]),
        Result(cases[1], "fail", "says\nno"),
        Result(cases[2], "skip", "no disk"),
    ]


def test_tap() -> None:
    lines = list(report.tap(results(), 3))
    assert lines[:2] == ["TAP version 13", "1..3"]
    assert lines[2] == "ok 1 - x.0 (MUST, x.md#y)"
    assert lines[3].splitlines() == [
        "not ok 2 - x.1 (MUST, x.md#y)",
        "#   it <works>",
        "#   says no",
    ]
    assert lines[4].endswith("# SKIP no disk")
    assert lines[5] == "# 1 passed, 1 failed, 1 could not be tried here"


def test_json() -> None:
    document = json.loads(report.as_json("/bin/r", "r 1", results()))
    assert [r["outcome"] for r in document["results"]] == ["pass", "fail", "skip"]
    assert document["results"][0]["mistakes"][0]["pointer"] == "/process/cwd"


def test_html() -> None:
    page = report.as_html("/bin/r", "r <1>", results())
    assert "it &lt;works&gt;" in page and "<works>" not in page
    assert page.count("<tr>") == 4


def test_deviations_name_cases_that_exist() -> None:
    for deviation in deviations():
        assert deviation.why, deviation
        for pattern in deviation.cases:
            assert select(pattern), f"{deviation.runtime}: no case {pattern}"


def test_a_failure_without_an_explanation_is_reported() -> None:
    document = json.loads(report.as_json("/bin/r", "r 1", results()))
    assert unexplained({"runc": document}, []) == ["runc: x.1: says\nno"]


def test_tables() -> None:
    document = json.loads(report.as_json("/bin/r", "r 1", results()))
    page = comparison({"ocipy": document, "runc": document}, [])
    assert "| `x.1` | MUST | **fails** | **fails** |" in page
    page = errors_table({"ocipy": document, "runc": document})
    assert '`"a\\|b"`' in page and "no /process/cwd" in page


def test_the_pages_are_of_these_cases() -> None:
    """docs/conformance.md is written by `make conformance`: it has every case."""
    page = (ROOT / "docs" / "conformance.md").read_text()
    missing = [name for name in load() if f"`{name}`" not in page]
    assert not missing, "run make conformance"
    assert explanation(deviations(), "ocipy", "operations.delete.created")
