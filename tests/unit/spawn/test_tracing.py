"""The times of a trace, where the host hears late of what init has done."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.plan import _generated_steps as steps
from ocipy.spawn.tracing import Tracer

if TYPE_CHECKING:
    from pathlib import Path

    from ocipy.plan.step import Step


@pytest.mark.parametrize("waits", [False, True], ids=["", "await_host"])
def test_init_is_faster_than_its_clone(tmp_path: Path, waits: bool) -> None:
    """On a busy machine the clone returns when init has done its first steps."""
    path = tmp_path / "trace"
    tracer = Tracer(str(path), "exec", "c1")
    plan: list[Step] = [
        steps.SpawnInit("", clone_flags=0),
        steps.SetHostname("/hostname", hostname="a"),
    ]
    plan[1:1] = [steps.AwaitHost("", reason="for a moment")] if waits else []
    for step in plan[1:]:
        step.place = "init"
    began = time.monotonic_ns()
    ended = [began + 1000 * number for number in range(1, len(plan))]
    launch: Any = SimpleNamespace(steps=plan, trace=list(enumerate(ended, 1)))
    tracer.follow(launch)
    while time.monotonic_ns() <= ended[-1]:
        pass
    tracer.host_step(0, plan[0], began)
    tracer.finish()
    spans = [e for e in json.loads(path.read_text())["traceEvents"] if e.get("cat") == "init"]
    assert len(spans) == len(ended)
    at = 0.0
    for span in spans:
        assert span["ts"] >= at - 0.01, span
        at = span["ts"] + span["dur"]
