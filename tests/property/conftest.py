"""Sizes and seeds. Without any, each run tries the same few examples.

    PROPERTY_SEED=7 PROPERTY_VALIDATIONS=10000 PROPERTY_RUNS=600 PROPERTY_HISTORIES=100 \\
        pytest tests/property

prints at its end how many of what there were.
"""

from __future__ import annotations

import collections
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings

from tests.integration.conftest import (  # noqa: F401
    busybox,
    container,
    directory,
    make_container,
    runtime,
    subreaper,
    tag,
)

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTS: collections.Counter[str] = collections.Counter()
SEED = os.environ.get("PROPERTY_SEED")


def sized(variable: str, small: int, **more: Any) -> settings:
    """Return settings for as many examples as the variable says, or a `small` fixed choice."""
    return settings(
        max_examples=int(os.environ.get(variable, small)),
        derandomize=SEED is None,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        # Each example of a real run takes a second, and shrinking tries hundreds.
        phases=[Phase.generate],
        # Slowness is the machine's; a fixture serves all examples of a test on purpose.
        suppress_health_check=list(HealthCheck),
        **more,
    )


def seeded(test: Callable[..., Any]) -> Callable[..., Any]:
    """Let a test of @given begin where PROPERTY_SEED says."""
    return test if SEED is None else seed(int(SEED))(test)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.requires("root"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SEED is not None:
        for name, count in sorted(COUNTS.items()):
            terminalreporter.write_line(f"seed {SEED}: {count} {name}")
