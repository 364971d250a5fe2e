"""Which system call a sentence names."""

from __future__ import annotations

import errno

from ocipy.plan import _generated_steps as steps
from ocipy.spawn.failure import host_step_failure, init_died


def test_the_clone_is_what_fails_on_the_host() -> None:
    """init's execveat(2) is made by the child, and shows as its end."""
    step = steps.SpawnInit("/linux/namespaces", clone_flags=0)
    sentence = str(host_step_failure(step, OSError(errno.EPERM, "")))
    assert "clone3: operation not permitted (EPERM)" in sentence


def test_a_write_is_what_fails_of_open_and_write() -> None:
    step = steps.SetOomScoreAdj("/process/oomScoreAdj", score=-5)
    assert "write: " in str(host_step_failure(step, OSError(errno.EACCES, "")))


def test_an_init_that_a_filter_keeps_from_exiting_dies_of_sigill() -> None:
    for number in (4, 31):
        assert "seccomp" in init_died(number).hint
    assert "seccomp" not in init_died(11).hint
