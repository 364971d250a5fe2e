"""A soak of seconds: that it holds, and that it would notice if something did not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires("root")

SIZES = ["--lives", "24", "--parallel", "4", "--alive", "8", "--storms", "2", "--commands", "8"]
PATIENCE_SECONDS = 900


def soak(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.soak.soak", *SIZES, "--kill", "0.3", *options],
        cwd=REPOSITORY,
        env=environment or None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def test_nothing_is_left_by_a_small_one() -> None:
    done = soak()
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("24 lives", "8 alive at once", "2 storms", "0 problems"):
        assert f"\n{line}\n" in done.stdout, done.stdout


def test_a_runtime_that_forgets_a_state_is_noticed(runtime_program: str, tmp_path: Path) -> None:
    forgetful = tmp_path / "ocipy-forgetful"
    kept = tmp_path / "kept"
    kept.mkdir()
    program, place = json.dumps(runtime_program), json.dumps(str(kept))
    forgetful.write_text(
        # It deletes from another root than the one in which it creates.
        f'#!/bin/bash\nif [ "$3" = delete ]; then set -- --root {place} "${{@:3}}"; fi\n'
        f'exec {program} "$@"\n'
    )
    forgetful.chmod(0o755)
    sizes = ["--lives", "1", "--alive", "0", "--storms", "0", "--kill", "0", "--patience", "1"]
    done = soak(*sizes, RUNTIME=str(forgetful), PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    assert done.returncode == 1, done.stdout
    assert "is left" in done.stdout
