"""ocipy against its own conformance suite: every third case. `make conformance` runs all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.case import Case, load
from conformance.compare import deviations, explanation
from conformance.runner import run_case, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

# A third of each family: a family is a row of cases that differ in a name.
CASES = list(load().values())[::3]


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, str]]:
    with workplace() as place:
        yield place


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_case(case: Case, runtime_program: str, place: tuple[str, str]) -> None:
    result = run_case(case, runtime_program, *place)
    if result.outcome == "skip":
        pytest.skip(result.detail)
    on_purpose = explanation(deviations(), "ocipy", case.id)
    if on_purpose:
        assert result.outcome == "fail", f"ocipy does not deviate any more: {on_purpose.why}"
    else:
        assert result.outcome == "pass", f"{case.text} ({case.section}): {result.detail}"
