"""`ocipy [--root DIR] metrics`: what was counted with --metrics, as Prometheus reads it."""

from __future__ import annotations

from ocipy.observe.metrics import metrics_text
from ocipy.state import store
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request


def run(request: Request) -> int:
    print_text(metrics_text(store.root_path(request.root)))
    return 0
