"""Findings as SARIF 2.1.0, for code hosts and editors that show them beside the file.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/
"""

from __future__ import annotations

from ocipy import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.json_text import Json
    from ocipy.observe.audit_rules import Finding

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVEL = {"info": "note", "low": "note", "medium": "warning", "high": "error", "critical": "error"}
# What GitHub sorts by: the ranges of CVSS.
_SCORE = {"info": "0.0", "low": "2.0", "medium": "5.0", "high": "8.0", "critical": "9.5"}


def to_sarif(findings: list[Finding], config_path: str) -> dict[str, Json]:
    """Return one run of the tool; `config_path` is where the config was read from."""
    from urllib.parse import quote

    names = list(dict.fromkeys(finding.rule for finding in findings))
    rules: list[Json] = []
    for name in names:
        example = next(finding for finding in findings if finding.rule == name)
        rules.append(
            {
                "id": name,
                "shortDescription": {"text": name.replace("-", " ")},
                "fullDescription": {"text": example.reason},
                "help": {"text": f"Remedy: {example.remedy}."},
                "defaultConfiguration": {"level": _LEVEL[example.severity]},
                "properties": {"security-severity": _SCORE[example.severity]},
            }
        )
    results: list[Json] = [
        {
            "ruleId": finding.rule,
            "ruleIndex": names.index(finding.rule),
            "level": _LEVEL[finding.severity],
            "message": {"text": f"{finding.message}: {finding.reason}. Remedy: {finding.remedy}."},
            "locations": [_location(finding, quote(config_path))],
        }
        for finding in findings
    ]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "ocipy", "version": __version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }


def _location(finding: Finding, uri: str) -> Json:
    line, column = map(int, finding.location.rsplit(":", 2)[1:])
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": line, "startColumn": column},
        },
        "logicalLocations": [{"fullyQualifiedName": finding.pointer, "kind": "member"}],
    }
