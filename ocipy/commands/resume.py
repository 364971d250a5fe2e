"""`ocipy resume ID`: thaw every process of a paused container."""

from __future__ import annotations

from ocipy.commands.pause import change_freezer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request


def run(request: Request) -> int:
    change_freezer(request.root, request.args[0], "resume")
    return 0
