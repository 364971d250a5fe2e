"""Attacks are integration tests, with their fixtures and their check that nothing is left.

@against("NAME", ...) runs a test with the real build, where the attack must fail, and with a
weakened one each (weakenings.py), where it must succeed. What it did is told to `attack`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.attacks import weakened
from tests.attacks.verdict import REAL, Attack
from tests.conftest import runtime_path
from tests.integration.conftest import (  # noqa: F401
    busybox,
    container,
    directory,
    make_container,
    runtime,
    subreaper,
    tag,
)
from tests.integration.system_calls import call_program, caller  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.requires("root"))


@pytest.fixture(scope="session")
def builds(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return the directory of weakened builds, the same for all processes of this session.

    Others must be able to read it: some attacks are those of a user without privileges. Whoever is
    the last to need it takes it away.
    """
    session = os.getppid() if hasattr(request.config, "workerinput") else os.getpid()
    path = Path(tempfile.gettempdir()) / f"ocipy-weakened-{session}-{weakened.source_digest()}"
    path.mkdir(exist_ok=True)
    with open(path / "users", "w", encoding="utf-8") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield path
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def build_name(request: pytest.FixtureRequest) -> str:
    """Return the build under attack: "real" unless @against() says another."""
    return str(getattr(request, "param", REAL))


@pytest.fixture
def runtime_program(build_name: str, builds: Path) -> str:
    if build_name != REAL:
        return str(weakened.build(build_name, builds))
    program = runtime_path()
    if not os.access(program, os.X_OK):
        pytest.fail(f"{program} is missing: run `make build` first, or set RUNTIME")
    return program


@pytest.fixture
def attack(build_name: str) -> Iterator[Attack]:
    """Return who is told whether the attack has succeeded, and says whether it should have."""
    attack = Attack(build_name)
    yield attack
    assert attack.judged, "the test did not say whether its attack has succeeded"
