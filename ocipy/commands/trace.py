"""`ocipy trace FILE`: what `run`, `create` and `exec` have written with --trace, shown."""

from __future__ import annotations

from ocipy.errors import UsageError
from ocipy.observe.terminal import is_terminal
from ocipy.observe.trace_views import read_trace, to_svg, to_text
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request


def run(request: Request) -> int:
    """Print a time line, or a picture."""
    output_format = request.text("format")
    if output_format not in ("text", "svg"):
        raise UsageError(
            f"invalid --format {output_format!r}",
            hint="text or svg; the file itself is what Perfetto and chrome://tracing open",
        )
    trace = read_trace(request.args[0])
    if output_format == "svg":
        print_text(to_svg(trace))
    else:
        print_text(to_text(trace, bar="█" if is_terminal() else "#"))
    return 0
