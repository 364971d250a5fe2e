"""process.execCPUAffinity by its effect."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.containers import Container

CPUS = sorted(os.sched_getaffinity(0))
ALLOWED = ("grep", "Cpus_allowed_list", "/proc/self/status")

pytestmark = [
    pytest.mark.skipif(len(CPUS) < 2, reason="there is only one CPU"),
    pytest.mark.runc_deviates("1.1 ignores it"),
]


@pytest.mark.parametrize("moment", ["initial", "final"])
def test_exec_runs_where_it_is_told(container: Container, moment: str) -> None:
    container.process["execCPUAffinity"] = {moment: str(CPUS[-1])}
    pid = container.up()
    # It is for exec only: the container process itself keeps what it inherits.
    assert os.sched_getaffinity(pid) == set(CPUS)
    assert container.exec(*ALLOWED).out.split()[1] == str(CPUS[-1])


def test_final_is_what_remains(container: Container) -> None:
    container.process["execCPUAffinity"] = {"initial": str(CPUS[0]), "final": str(CPUS[-1])}
    container.up()
    assert container.exec(*ALLOWED).out.split()[1] == str(CPUS[-1])


def test_wrong_lists(container: Container) -> None:
    container.process["execCPUAffinity"] = {"initial": "a-b"}
    container.is_rejected("/process/execCPUAffinity/initial")
