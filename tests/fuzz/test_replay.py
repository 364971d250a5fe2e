"""What the fuzzers have found to be different from each other, tried again; no fuzzer is needed.

`make fuzz` looks for more: tests/fuzz/run.sh.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.fuzz.build import SOURCES, compile_harness, write_plans
from tests.fuzz.config_target import one_input
from tests.unit.schema.schemas import GOLDEN

CORPUS = Path(__file__).parent / "corpus"
PATIENCE_SECONDS = 600


@pytest.mark.parametrize("name", SOURCES)
def test_c_harnesses(name: str, tmp_path: Path) -> None:
    """Under the sanitizers: one that finds something ends the program, after the file's name."""
    program = compile_harness(name, tmp_path)
    corpora = [str(CORPUS / name)]
    if name == "init":
        write_plans(tmp_path / "plans")
        corpora.append(str(tmp_path / "plans"))
    done = subprocess.run(
        [program, *corpora], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr[-4000:]
    files = [file for corpus in corpora for file in Path(corpus).iterdir()]
    assert done.stdout == f"{len(files)} replayed\n"
    assert len(files) > 10


def test_configs() -> None:
    """Each is planned, or refused with its place: anything else is raised."""
    files = [*sorted((CORPUS / "config").iterdir()), *sorted((GOLDEN / "configs").iterdir())]
    verdicts = {one_input(file.read_bytes()) for file in files}
    assert verdicts == {"no text", "refused", "planned"}


@pytest.mark.requires("root")
def test_damaged_records() -> None:
    """Every command on records with one member wrong, cut off, or with a bit flipped."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.state_target", "--damage", "211"],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    assert " tried, 0 failed" in done.stderr
