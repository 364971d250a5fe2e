"""SIGKILL of start, delete, exec, pause and update: the next call finds its way all the same."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess

import pytest

from tests.integration import leftovers
from tests.integration.containers import CALL_TIMEOUT_SECONDS, Container, wait_until

# The time of a whole verb is below 50 ms on a machine that does nothing else.
DELAYS = [random.Random(number).uniform(0, 0.05) for number in range(10)]


def kill_after(container: Container, delay: float, *words: str) -> None:
    call = container.runtime.begin(*words)
    with contextlib.suppress(subprocess.TimeoutExpired):
        call.process.wait(delay)
    call.process.kill()
    call.wait()


def is_gone(container: Container, what: str) -> None:
    """Delete the container, reaping meanwhile: its orphans are ours, and hold its pid namespace."""
    call = container.runtime.begin("delete", "--force", container.id)

    def ended() -> bool:
        for pid in leftovers.children():
            if pid != call.process.pid:
                os.waitpid(pid, os.WNOHANG)
        return call.process.poll() is not None

    wait_until(ended, f"the end of {call}", CALL_TIMEOUT_SECONDS)
    call.wait().succeeded()
    left = leftovers.describe_after(container.id, container.runtime.root)
    assert left == [], what


@pytest.mark.parametrize("verb", ["start", "delete", "exec", "pause", "update"])
def test_killed(container: Container, verb: str) -> None:
    if container.runtime.is_runc:
        pytest.xfail("a killed runc leaves processes and cgroups behind")
    statuses = {
        "start": {"created", "running"},
        "delete": {"running", "stopped"},
        "exec": {"running"},
        "pause": {"running", "paused"},
        "update": {"running"},
    }
    words = {
        "delete": ("delete", "--force", container.id),
        "exec": ("exec", container.id, "/bin/sleep", "1000"),
        "update": ("update", "--pids-limit", "100", container.id),
    }.get(verb, (verb, container.id))
    for delay in DELAYS:
        container.script("exec sleep 1000")
        container.create()
        if verb != "start":
            container.start()
        kill_after(container, delay, *words)
        state = container.verb("state", check=False)
        what = f"{verb} killed after {delay * 1000:.1f} ms: {state}"
        if state.status == 0:
            assert container.status in statuses[verb], what
        else:
            assert verb == "delete", what
            assert "does not exist" in state.err, what
        is_gone(container, what)


@pytest.mark.parametrize("delay", DELAYS)
def test_a_killed_start_can_be_repeated_or_has_started(container: Container, delay: float) -> None:
    """The program runs once: never twice, and never not at all."""
    if container.runtime.is_runc:
        pytest.xfail("not asked of runc")
    container.script("echo ran >> /ran; exec sleep 1000").create()
    kill_after(container, delay, "start", container.id)
    if container.status == "created":
        container.start()
    pid = container.pid
    container.exec("/bin/sh", "-c", "until test -e /ran; do sleep 0.01; done")
    with open(f"{container.bundle.rootfs}/ran", encoding="utf-8") as file:
        assert file.read() == "ran\n"
    container.kill("KILL")
    container.wait(pid)
