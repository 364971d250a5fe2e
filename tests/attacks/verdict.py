"""An attack must fail against the real build, and succeed against a weakened one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.attacks.weakenings import WEAKENINGS

if TYPE_CHECKING:
    from collections.abc import Callable

REAL = "real"
# How many attempts a class of races gets; `make attacks` asks for 10,000.
ITERATIONS = int(os.environ.get("ATTACK_ITERATIONS", "200"))
# The same for attempts that take a whole container each: as many, but for `make test`.
LIVES = ITERATIONS if "ATTACK_ITERATIONS" in os.environ else 20
# A weakened build that withstands so many attempts is not weak.
WEAKENED_ITERATIONS = 5000


def against(*weakenings: str) -> pytest.MarkDecorator:
    """Run the test with the real build, and with one that each of `weakenings` has made."""
    unknown = set(weakenings) - set(WEAKENINGS)
    assert not unknown, f"no such weakening: {unknown}"
    return pytest.mark.parametrize("build_name", [REAL, *weakenings], indirect=True)


class Attack:
    """Compares what an attack has done with what it should have.

    Attributes:
        is_weakened: whether it should succeed.
        attempts: how many were made, for the report of `make attacks`.
    """

    def __init__(self, build_name: str) -> None:
        self.build_name = build_name
        self.is_weakened = build_name != REAL
        self.judged = False
        self.attempts = 0

    def succeeded(self, success: object, evidence: object = "") -> None:
        """Say whether it has, once for the whole test."""
        self.judged = True
        if self.is_weakened:
            assert success, f"{self.build_name} withstands the attack: {evidence!r}"
        else:
            assert not success, f"the attack has succeeded: {evidence!r}"

    def repeat(
        self, attempt: Callable[[], tuple[int, object]], iterations: int = ITERATIONS
    ) -> None:
        """Make attempts until one succeeds, or `iterations` have failed.

        `attempt` returns how many it has made, and what a successful one has done, or nothing.
        """
        enough = WEAKENED_ITERATIONS if self.is_weakened else iterations
        success: object = None
        while self.attempts < enough and not success:
            made, success = attempt()
            self.attempts += made
        self.succeeded(success, success or f"{self.attempts} attempts")
        if path := os.environ.get("ATTACK_REPORT"):
            name = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{self.attempts:7d}  {name}\n")
