"""`audit`: what a bundle or a container gives away, worst first."""

from __future__ import annotations

import os

from ocipy.errors import UsageError
from ocipy.json_text import dumps
from ocipy.observe.audit import audit, compare_with_docker, exit_status
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.bundle import Bundle
    from ocipy.json_text import Json
    from ocipy.observe.audit_rules import Finding
    from ocipy.request import Request


def run(request: Request) -> int:
    """Return 30, 20 or 10 if the worst finding is critical, high or medium, and else 0."""
    output_format = request.text("format")
    if output_format not in ("text", "json", "sarif"):
        raise UsageError(f"invalid --format {output_format!r}", hint="text, json or sarif")
    if request.args and request.given("bundle"):
        raise UsageError("audit takes a container or a --bundle, not both")
    bundle = _bundle(request)
    findings = audit(bundle.config, bundle.text, bundle.config_file, bundle.warnings)
    if output_format == "sarif":
        from ocipy.observe.sarif import to_sarif

        path = os.path.relpath(os.path.join(bundle.path, bundle.config_file))
        print_text(dumps(to_sarif(findings, path), 2) + "\n")
    elif output_format == "json":
        report: Json = {
            "findings": [finding.to_json() for finding in findings],
            "comparedWithDocker": list(compare_with_docker(bundle.config)),
        }
        print_text(dumps(report, 2) + "\n")
    else:
        _print(findings, bundle)
    return exit_status(findings)


def _bundle(request: Request) -> Bundle:
    from ocipy.bundle import open_bundle
    from ocipy.state import store

    if not request.args:
        return open_bundle(request.text("bundle") or ".", request.text("config") or None)
    # The config that the container was made with, wherever its bundle is by now.
    directory = store.find(store.root_path(request.root), request.args[0])
    store.load_record(directory)
    return open_bundle(directory.path)


def _print(findings: list[Finding], bundle: Bundle) -> None:
    from ocipy.observe.terminal import print_heading, print_table, print_tree

    for finding in findings:
        print_tree(
            f"{finding.severity}: {finding.message}",
            {f"at {finding.location}, {finding.pointer}": [],
             f"reason: {finding.reason}": [], f"remedy: {finding.remedy}": []},
        )  # fmt: skip
    rows = [
        [str(row["aspect"]), ", ".join(row["more"]) or "-", ", ".join(row["less"]) or "-"]  # type: ignore[arg-type]
        for row in compare_with_docker(bundle.config)
    ]
    if rows:
        print_heading("Compared with Docker's default:")
        print_table(("aspect", "may more", "may less"), rows)
    counts = [
        f"{number} {severity}"
        for severity in ("critical", "high", "medium", "low", "info")
        if (number := sum(finding.severity == severity for finding in findings))
    ]
    print_heading(f"{len(findings)} findings" + (f": {', '.join(counts)}" if counts else ""))
