"""What the commands do to one container, as the specification has it: the model.

A state is a status, and what is still to come: signals that a frozen process has not seen yet.
`apply()` returns the state after a command that succeeds, or None where it must fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

ABSENT, CREATED, RUNNING, PAUSED, STOPPED = "absent", "created", "running", "paused", "stopped"


class State(NamedTuple):
    """`below` is the status that a paused container goes back to; `dying`: as soon as it thaws."""

    status: str = ABSENT
    below: str = ""
    dying: bool = False


# The program of the containers ends on TERM and ignores USR1. Before `start` it is init that gets
# them, and the first process of a pid namespace hears of no signal that it has no handler for.
COMMANDS = (
    "create",
    "start",
    "kill KILL",
    "kill TERM",
    "kill USR1",
    "pause",
    "resume",
    "exec",
    "delete",
    "delete --force",
    "state",
)


def apply(state: State, command: str) -> State | None:
    """Return what a command makes of a container, once its effect is complete."""
    status = state.status
    if command == "create":
        return State(CREATED) if status == ABSENT else None
    if command == "delete --force":
        return State(ABSENT)
    if status == ABSENT:
        return None
    if command == "state":
        return state
    if command == "start":
        return State(RUNNING) if status == CREATED else None
    if command.startswith("kill"):
        return _kill(state, command.removeprefix("kill "))
    if command == "pause":
        return State(PAUSED, status) if status in (CREATED, RUNNING) else None
    if command == "resume":
        if status != PAUSED:
            return None
        return State(STOPPED) if state.dying else State(state.below)
    if command == "exec":
        return state if status in (CREATED, RUNNING) else None
    assert command == "delete"
    # A created one, too: README of the project, and every other runtime.
    return State(ABSENT) if status in (CREATED, STOPPED) else None


def _kill(state: State, signal: str) -> State | None:
    status = state.status
    if status == STOPPED:
        return None
    if signal == "KILL" or (signal == "TERM" and status == RUNNING):
        return State(STOPPED)
    if signal == "TERM" and state.below == RUNNING:
        return state._replace(dying=True)
    return state


def outcomes(before: State, succeeded: Sequence[str], failed: Sequence[str] = ()) -> set[State]:
    """Return the states that commands at the same time may lead to; empty if none can.

    There must be an order in which all that have succeeded can. What failed has no effect, but for
    a create that was killed: who has killed it has succeeded, and there is no container.

    Death takes a moment, in which a process still counts as alive, and can be frozen.
    """
    if "create" in failed and before.status == ABSENT:
        without = [command for command in succeeded if not command.startswith("kill")]
        if without != list(succeeded):
            return outcomes(before, succeeded) | outcomes(before, without)
    # delete --force kills first, and another command may come before it has the lock.
    hidden = [_KILLS for command in succeeded if command == "delete --force"]
    found = set()
    seen: set[tuple[State, tuple[str, ...]]] = set()
    waiting = [(before, tuple(sorted([*succeeded, *hidden])))]
    while waiting:
        state, left = waiting.pop()
        if (state, left) in seen:
            continue
        seen.add((state, left))
        if state.dying and state.status != PAUSED:
            waiting.append((State(STOPPED), left))
        elif not left:
            found.add(state)
        for command in set(left):
            rest = list(left)
            rest.remove(command)
            waiting += [(after, tuple(rest)) for after in _at_once(state, command)]
    return found


_KILLS = "(kills)"


def _at_once(state: State, command: str) -> list[State]:
    """Return what a command may make of a container while others are at work on it."""
    alive = state.status in (CREATED, RUNNING, PAUSED)
    if command == _KILLS:
        return [State(state.below or state.status, "", True)] if alive else [state]
    if command == "kill KILL" and alive:
        # A paused one is killed, and then thawed; one that is paused in between stays frozen.
        return [State(state.below or state.status, "", True)]
    if command == "resume" and state.status == PAUSED:
        return [State(state.below, "", state.dying)]
    if command == "pause" and state.status in (CREATED, RUNNING):
        return [State(PAUSED, state.status, state.dying)]
    if command == "start" and state.status == CREATED:
        return [State(RUNNING, "", state.dying)]
    after = apply(state, command)
    return [after] if after else []
