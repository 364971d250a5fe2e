"""Commands in any order, one after the other and at the same time, against the model.

A history is what hypothesis makes of the rules below; each has a container of its own.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.integration import leftovers
from tests.integration.containers import Call, wait_until
from tests.property.conftest import COUNTS, SEED, sized
from tests.property.model import ABSENT, COMMANDS, PAUSED, STOPPED, State, apply, outcomes
from tests.property.test_runs import is_clean

if TYPE_CHECKING:
    from tests.integration.containers import Container

# It says that its handlers are there. `wait` ends with the signal, where a `sleep` would not.
PROGRAM = """trap 'exit 0' TERM; trap '' USR1; echo up; while :; do sleep 1000 & wait $!; done"""
EXEC_STATUS = 7
CALL_SECONDS = 60

# Two that wait for each other's end would make a history of minutes, and say nothing more.
AT_ONCE = [command for command in COMMANDS if command != "kill TERM"]


class Histories(RuleBasedStateMachine):
    """One container, its model, and what hypothesis does to both."""

    container: Container

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.created: Call | None = None
        self.calls: list[Call] = []

    def begin(self, command: str) -> Call:
        container = self.container
        verb, *options = command.split()
        words = [*options, container.id] if verb == "delete" else [container.id, *options]
        if verb == "create":
            words = ["--bundle", container.bundle.path, container.id]
        elif verb == "exec":
            words = [container.id, "/bin/sh", "-c", f"exit {EXEC_STATUS}"]
        COUNTS["commands in histories"] += 1
        call = container.runtime.begin(verb, *words)
        self.calls = [*self.calls[-5:], call]
        return call

    def end(self, command: str, call: Call) -> bool:
        """Wait for a call; return whether it did what it says. Nothing it does is an accident."""
        reaping(call)
        is_clean(call)
        succeeded = call.status == (EXEC_STATUS if command == "exec" else 0)
        if command == "create" and succeeded:
            self.created = call
            COUNTS["life cycles of histories"] += 1
        assert succeeded or call.err or command == "exec", call
        return succeeded

    def settle(self, allowed: set[State]) -> None:
        """Wait until the container is as one of these; that is its state from now on."""
        seen = self.status()

        def is_one() -> bool:
            nonlocal seen
            leftovers.orphans()
            seen = self.status()
            return any(state.status == seen for state in allowed)

        if not any(state.status == seen for state in allowed):
            what = f"one of {allowed}, and not {seen}, after {self.calls}"
            wait_until(is_one, what, CALL_SECONDS)
        candidates = [state for state in allowed if state.status == seen]
        self.state = candidates[0]
        if seen == "running":
            self.await_handlers()

    def await_handlers(self) -> None:
        """Wait for the program's first line: from then on it ends on TERM."""
        created = self.created
        assert created is not None
        wait_until(lambda: "up" in created.out, "the program is up", CALL_SECONDS)

    def status(self) -> str:
        call = self.container.verb("state", check=False)
        if call.status:
            assert "does not exist" in is_clean(call).err, call
            return ABSENT
        status: str = json.loads(call.out)["status"]
        return status

    @rule(command=st.sampled_from(COMMANDS))
    def one(self, command: str) -> None:
        expected = apply(self.state, command)
        call = self.begin(command)
        succeeded = self.end(command, call)
        assert succeeded == (expected is not None), (self.state, command, call)
        self.settle({expected or self.state})

    # What comes of a race is no matter of a fixed choice of examples: only in `make property`.
    @precondition(lambda self: SEED is not None)
    @rule(commands=st.lists(st.sampled_from(AT_ONCE), min_size=2, max_size=4))
    def at_the_same_time(self, commands: list[str]) -> None:
        if "pause" in commands:
            # One that has come in before it would wait for the resume.
            commands = [command for command in commands if command != "exec"]
        before = self.state
        calls = [(command, self.begin(command)) for command in commands]
        succeeded = [command for command, call in calls if self.end(command, call)]
        COUNTS["sets of commands at the same time"] += 1
        # exec and state are witnesses: they have seen a moment of it, and have changed nothing.
        changes = [command for command in succeeded if command not in ("exec", "state")]
        failed = [command for command in commands if command not in succeeded]
        allowed = outcomes(before, changes, failed)
        assert allowed, f"{before}: {succeeded} have all succeeded: {calls}"
        self.settle(allowed)
        if self.state.status == PAUSED and "kill KILL" in succeeded:
            # It may have been frozen while it was dying, which cannot be seen. Now it is clear.
            assert self.end("kill KILL", self.begin("kill KILL"))
            self.settle({State(STOPPED)})

    @rule()
    def list_shows_it(self) -> None:
        call = self.container.runtime.call("list", "--quiet")
        assert (self.container.id in call.out.split()) == (self.state.status != ABSENT), call

    @invariant()
    def nothing_without_a_container(self) -> None:
        if self.state.status == ABSENT:
            left = leftovers.describe_after(self.container.id, self.container.runtime.root, 60)
            assert left == [], f"{left} after {self.calls}"

    def teardown(self) -> None:
        self.end("delete --force", self.begin("delete --force"))
        self.settle({State()})
        self.nothing_without_a_container()
        COUNTS["histories"] += 1


def reaping(call: Call) -> None:
    """Wait for a call; the dead of the container are ours to reap, and hold its pid namespace."""

    def ended() -> bool:
        for pid in leftovers.children():
            if not is_a_call(pid):
                os.waitpid(pid, os.WNOHANG)
        return call.process.poll() is not None

    wait_until(ended, f"the end of {call}", CALL_SECONDS)
    call.wait()


def is_a_call(pid: int) -> bool:
    """Is this child one of ours, which subprocess reaps? It bears the name of the interpreter."""
    with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
        return comm.read().startswith(("python", "ocipy\n"))


def test_histories(container: Container) -> None:
    container.script(PROGRAM).bundle.write()

    class OfThisContainer(Histories):
        pass

    OfThisContainer.container = container
    given_settings: Any = sized("PROPERTY_HISTORIES", 4, stateful_step_count=15)
    if SEED is not None:
        OfThisContainer._hypothesis_internal_use_seed = int(SEED)
    run_state_machine_as_test(OfThisContainer, settings=given_settings)
