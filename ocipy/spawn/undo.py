"""What to take back, newest first, when a later step fails.

Push the undo before doing the step, never after: what a signal or an exception interrupts half-way
is taken back as well. So every undo must also be right where its step has not happened.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Undo:
    """A stack of calls. run() makes them all, whatever each of them raises."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def push(self, call: Callable[..., object], *args: object) -> None:
        """Remember to call `call(*args)`."""
        self._calls.append((call, args))

    def run(self) -> list[Exception]:
        """Take everything back; return what went wrong on the way."""
        problems: list[Exception] = []
        while self._calls:
            call, args = self._calls.pop()
            try:
                call(*args)
            except Exception as error:  # noqa: BLE001 - the other calls have to be made
                problems.append(error)
        return problems

    def forget(self) -> None:
        """Keep what was done: from here on `delete` is how it is taken back."""
        self._calls.clear()
