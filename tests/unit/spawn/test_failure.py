"""Which system call a sentence names."""

from __future__ import annotations

import errno

from ocipy.errors import StepError
from ocipy.plan import _generated_steps as steps
from ocipy.spawn.failure import host_step_failure, init_died, step_failure
from ocipy.spawn.sync import _LAYOUT, MESSAGE_FAILED, Message


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


def test_a_step_that_names_no_call_is_worded_without_one() -> None:
    step = steps.NewSession("")
    message = Message(_LAYOUT.pack(MESSAGE_FAILED, 3, 0, errno.EPERM, 0, 0, b""))
    sentence = str(step_failure(step, message))
    assert sentence == f"cannot {step.describe()}: operation not permitted (EPERM)"
    assert str(StepError(step, "", 0, detail="it is so")) == f"cannot {step.describe()}: it is so"
    whole = f"cannot {step.describe()}: write: operation not permitted (EPERM): a/b"
    assert str(StepError(step, "write", errno.EPERM, detail="a/b")) == whole
