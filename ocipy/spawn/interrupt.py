"""Being told to end while a container is being made: what was made is taken back first.

A signal that would end us raises Interrupted at the next step of Python, so that it takes the same
way as any failure. Not while the foreground waits for the program: there signals are the program's
(foreground.py).
"""

from __future__ import annotations

from _signal import (  # type: ignore[import-not-found]
    SIG_IGN,
    SIGHUP,
    SIGINT,
    SIGQUIT,
    SIGTERM,
    getsignal,
    signal,
)

from ocipy.errors import OcipyError


class Interrupted(OcipyError):
    """A signal asked us to end; the exit status is what a shell would make of it."""

    def __init__(self, number: int, done: str) -> None:
        super().__init__(f"interrupted by signal {number}: {done}")
        self.exit_code = 128 + number


def ignore_interrupts() -> None:
    """From now on it is too late: all is done, and what is left takes microseconds."""
    for number in (SIGHUP, SIGINT, SIGQUIT, SIGTERM):
        signal(number, SIG_IGN)


def clean_up_when_interrupted(done: str = "everything was taken back") -> None:
    """From now on signals that end us raise Interrupted; ignored ones stay ignored (nohup(1)).

    `done` is what the message says of how far it came.
    """

    def raise_interrupted(number: int, frame: object) -> None:
        # One is enough: a second signal must not interrupt the cleaning up.
        ignore_interrupts()
        raise Interrupted(number, done)

    for number in (SIGHUP, SIGINT, SIGQUIT, SIGTERM):
        if getsignal(number) != SIG_IGN:
            signal(number, raise_interrupted)
