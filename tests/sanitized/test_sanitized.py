"""Real containers, with every line of C under the address and undefined-behaviour sanitizers.

The integration tests take any runtime; a part of them that reaches all of the shim runs here
against a build with sanitizers. `make test-sanitized` runs all of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY
from tests.sanitized.build import build

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires("root")

# Of init there is more in tests/integration/test_sanitized_init.py; this is for the shim.
REACHING = ["hooks", "terminal"]


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sanitized"))


def test_init_is_the_sanitized_one(sanitized: Path, tmp_path: Path) -> None:
    """It refuses to work by itself, and says so with the sanitizers' code in it."""
    init = sanitized.parent / "tree" / "ocipy" / "_native" / "ocipy-init"
    libraries = subprocess.run(["ldd", init], capture_output=True, text=True, check=True).stdout
    assert "libasan" in libraries
    assert "libubsan" in libraries
    assert subprocess.run([init], capture_output=True, check=False).returncode == 125


def test_integration_tests_under_sanitizers(sanitized: Path) -> None:
    here = f"{REPOSITORY}/tests/integration"
    files = [path for name in REACHING if os.path.exists(path := f"{here}/test_{name}.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, *files],
        env=os.environ | {"RUNTIME": str(sanitized)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 20, done.stdout
