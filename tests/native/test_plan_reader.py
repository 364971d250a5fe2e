"""init reads plans: what encode.py writes, and nothing that is damaged. More in tests/fuzz/."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ocipy.plan import _generated_steps as steps
from ocipy.plan.encode import encode_plan, host_fds_of
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocipy.plan.step import Step


def encoded(plan: Sequence[Step]) -> bytes:
    return encode_plan(plan, {fd: 10 + i for i, (_, fd) in enumerate(host_fds_of(plan))})


def run_init(plan: bytes, tmp_path: Path) -> subprocess.CompletedProcess[bytes]:
    """Give init a plan and an end of a socket that nobody reads; it must end by itself."""
    file = tmp_path / "plan"
    file.write_bytes(plan)
    with open(file, "rb") as plan_file, open("/dev/null", "r+b") as sync:
        init = f"{REPOSITORY}/ocipy/_native/ocipy-init"
        numbers = [plan_file.fileno(), sync.fileno()]
        return subprocess.run(
            [init, *map(str, numbers)],
            pass_fds=numbers,
            timeout=20,
            capture_output=True,
            check=False,
        )


def test_a_bad_step_at_the_end_keeps_the_first_from_running(tmp_path: Path) -> None:
    """The whole plan is read before anything is done."""
    target = tmp_path / "made"
    target.mkdir()
    plan = encoded(
        [
            steps.OpenRoot("", path=str(target)),
            steps.MakeSymlink("", path="/link", content="x"),
            steps.Exec("", argv=["/bin/true"], env=[]),
        ]
    )
    run_init(plan, tmp_path)
    assert os.path.islink(target / "link"), "the plan works as long as it is whole"
    os.unlink(target / "link")
    damaged = plan[:24] + (len(plan) - 1).to_bytes(8, "little") + plan[32:-1]
    assert len(damaged) == len(plan) - 1
    assert run_init(damaged, tmp_path).returncode == 1
    assert not os.path.islink(target / "link")


@pytest.mark.parametrize(
    "arguments", [[], ["3"], ["x", "y"], ["3", "4", "5"], ["-1", "4"], ["0", "1"]]
)
def test_init_by_itself_says_what_it_is(arguments: list[str]) -> None:
    done = subprocess.run(
        [f"{REPOSITORY}/ocipy/_native/ocipy-init", *arguments], capture_output=True, check=False
    )
    assert done.returncode == 125
    assert b"of no use by itself" in done.stderr
