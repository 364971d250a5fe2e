"""`ocipy validate`: say everything that is wrong with a config.json, and create nothing."""

from __future__ import annotations

from ocipy import log
from ocipy.bundle import open_bundle
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request


def run(request: Request) -> int:
    """Print that the config is valid; its warnings go to the log, faults are the error."""
    config_path = request.text("config") or None
    bundle = open_bundle(request.text("bundle") or ".", config_path, strict=request.flag("strict"))
    for pointer, sentence in bundle.warnings:
        log.warning(f"{sentence} ({pointer})")
    print_text(f"{bundle.config_file} is valid\n")
    return 0
