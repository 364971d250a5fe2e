"""`doctor`: what this host can do for containers, and for one bundle."""

from __future__ import annotations

from ocipy import log
from ocipy.errors import UsageError
from ocipy.json_text import dumps
from ocipy.observe.doctor import FAIL, OK, Check, examine_host, worst
from ocipy.state import store
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.json_text import Json
    from ocipy.request import Request

# Findings, as opposed to an error of ocipy.
FINDINGS_STATUS = 10


def run(request: Request) -> int:
    """Return 10 if something fails; warnings are no failure."""
    output_format = request.text("format")
    if output_format not in ("text", "json"):
        raise UsageError(f"invalid --format {output_format!r}", hint="text or json")
    root = store.root_path(request.root)
    checks: list[Check] = []
    if request.given("bundle"):
        from ocipy.bundle import open_bundle
        from ocipy.observe.doctor_bundle import examine_bundle

        bundle = open_bundle(request.text("bundle"), request.text("config") or None)
        for pointer, sentence in bundle.warnings:
            log.warning(f"{sentence} ({pointer})")
        checks += examine_bundle(bundle, root)
    checks += examine_host(root)
    if output_format == "json":
        report: Json = {"verdict": worst(checks), "checks": [check.to_json() for check in checks]}
        print_text(dumps(report, 2) + "\n")
    else:
        _print(checks)
    return FINDINGS_STATUS if worst(checks) == FAIL else 0


def _print(checks: list[Check]) -> None:
    from ocipy.observe.terminal import print_heading, print_table, print_tree

    rows = [
        [check.verdict, f"{check.group}: {check.name}", check.found, check.pointer]
        for check in checks
    ]
    if not any(check.pointer for check in checks):
        print_table(("", "check", "found"), [row[:3] for row in rows])
    else:
        print_table(("", "check", "found", "field"), rows)
    wrong = [check for check in checks if check.verdict != OK]
    for check in wrong:
        title = f"{check.verdict}: {check.group}: {check.name}"
        print_tree(title, {check.consequence: [f"remedy: {check.remedy}"]})
    fails = sum(check.verdict == FAIL for check in checks)
    print_heading(f"{len(checks)} checks: {fails} failed, {len(wrong) - fails} warnings")
