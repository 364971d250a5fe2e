"""`create`: everything of the container but its program, which waits for `start`."""

from __future__ import annotations

from ocipy.spawn.container import make_container
from ocipy.spawn.interrupt import clean_up_when_interrupted, ignore_interrupts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.bundle import Bundle
    from ocipy.request import Request
    from ocipy.spawn.caller import Caller
    from ocipy.spawn.container import Container


def run(request: Request) -> int:
    """Spec (runtime.md#create)."""
    clean_up_when_interrupted()
    container = create_container(request, request.args[0])
    # From here on init waits for `start`, and everything is undone by `delete`.
    ignore_interrupts()
    container.launch.close()
    container.lock.release()
    if container.launch.tracer is not None:
        container.launch.tracer.finish()
    return 0


def create_container(
    request: Request,
    container_id: str,
    *,
    bundle: Bundle | None = None,
    caller: Caller | None = None,
) -> Container:
    """Return the created container, its lock held; init waits for `start` or for our end.

    Raises:
        OcipyError: it cannot be made; nothing is left of it.
    """
    container = make_container(
        request, container_id, start_at_once=False, bundle=bundle, caller=caller
    )
    try:
        container.launch.go()
    except BaseException:
        container.destroy()
        raise
    return container
