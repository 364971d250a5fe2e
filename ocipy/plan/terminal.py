"""The terminal of a process: a pty from the container's own devpts."""

from __future__ import annotations

from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Process
    from ocipy.plan.step import Step


def plan_terminal(process: Process, base: str, *, console: bool) -> list[Step]:
    """Return the step that opens the terminal; with `console` it becomes /dev/console as well.

    ControlTerminal makes it the controlling terminal, once nothing forks any more.

    Spec (config.md#process): consoleSize is the size of the terminal, and ignored without one.
    """
    size = process.get("consoleSize", {})
    return [
        steps.OpenTerminal(
            f"{base}/terminal",
            width=size.get("width", 0),
            height=size.get("height", 0),
            uid=process.get("user", {}).get("uid", 0),
            console=console,
        )
    ]
