"""`create`: everything of the container but its program, which waits for `start`."""

from __future__ import annotations

from ocipy.spawn.container import make_container
from ocipy.spawn.interrupt import ignore_interrupts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request


def run(request: Request) -> int:
    """Spec (runtime.md#create)."""
    container = make_container(request, request.args[0], start_at_once=False)
    try:
        container.launch.go()
    except BaseException:
        container.destroy()
        raise
    # From here on init waits for `start`, and everything is undone by `delete`.
    ignore_interrupts()
    container.launch.close()
    container.lock.release()
    return 0
