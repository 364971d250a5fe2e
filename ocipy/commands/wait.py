"""`wait`: until the process of a container has ended, and how it did."""

from __future__ import annotations

import os

from ocipy.errors import StateError, UsageError
from ocipy.json_text import dumps
from ocipy.observe.waiting import wait_for
from ocipy.state import store
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request


def run(request: Request) -> int:
    """Print the exit code as `docker wait` does; in words as well on a terminal."""
    output_format = request.text("format")
    if output_format not in ("text", "json"):
        raise UsageError(f"invalid --format {output_format!r}", hint="text or json")
    timeout_seconds = None
    if request.text("timeout"):
        from ocipy.commands.events import parse_duration

        timeout_seconds = parse_duration(request.text("timeout"), "timeout")
    root, container_id = store.root_path(request.root), request.args[0]
    ended = wait_for(root, container_id, timeout_seconds)
    if ended is None:
        raise StateError(
            f"container {container_id} has not ended within {request.text('timeout')}",
            hint="without --timeout, 'wait' takes as long as the container",
        )
    if output_format == "json":
        print_text(dumps({"id": container_id, **ended.to_json()}) + "\n")
        return 0
    if ended.exit_code is None:
        raise StateError(
            f"container {container_id} has ended, and nobody can tell how any more: the process "
            "that created it has taken the exit status",
            hint="start 'ocipy wait' before the container ends, or run it with 'ocipy run --keep'",
        )
    words = f"  {ended.describe()}" if os.isatty(1) else ""
    print_text(f"{ended.exit_code}{words}\n")
    return 0
