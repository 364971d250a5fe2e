"""`audit`: what a config gives away, worst first, and how it compares with Docker's default."""

from __future__ import annotations

from ocipy.json_position import line_and_column, offset_of
from ocipy.observe import docker_default
from ocipy.observe.audit_rules import RULES, SEVERITIES, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocipy.config._generated_types import Config
    from ocipy.json_text import Json

# Of `audit`: the worst finding decides. 1 stays what it always is, an error.
EXIT_STATUS = {"info": 0, "low": 0, "medium": 10, "high": 20, "critical": 30}

# A name that was misspelt for one of these is a wall that is not there.
_WALLS = """apparmorProfile bounding capabilities effective gidMappings limit maskedPaths memory
namespaces noNewPrivileges permitted pids readonly readonlyPaths resources rlimits seccomp
selinuxLabel uidMappings user""".split()


def audit(
    config: Config, text: str, config_file: str, warnings: Iterable[tuple[str, str]]
) -> list[Finding]:
    """Return the findings about an accepted config, the worst first.

    `text` is what it was read from, and `warnings` what open_bundle() said of it.
    """
    findings = [finding for rule in RULES for finding in rule(config)]
    findings += _misspelt(warnings)
    findings.sort(key=lambda finding: -SEVERITIES.index(finding.severity))
    for finding in findings:
        line, column = line_and_column(text, offset_of(text, finding.pointer))
        finding.location = f"{config_file}:{line}:{column}"
    return findings


def _misspelt(warnings: Iterable[tuple[str, str]]) -> Iterable[Finding]:
    import difflib

    for pointer, sentence in warnings:
        if "unknown field" not in sentence:
            continue
        name = pointer.rpartition("/")[2].lower()
        wall = difflib.get_close_matches(name, [word.lower() for word in _WALLS], 1, 0.75)
        yield Finding(
            "unknown-field", "high" if wall else "low", pointer, sentence,
            "the specification says that unknown fields are ignored: what was meant is not in "
            "force", "write it as the specification does ('ocipy validate --strict' refuses it)",
        )  # fmt: skip


def exit_status(findings: list[Finding]) -> int:
    """Return the exit status of `audit`."""
    return max((EXIT_STATUS[finding.severity] for finding in findings), default=0)


def compare_with_docker(config: Config) -> list[dict[str, Json]]:
    """Return where a config differs from what Docker gives by default: aspect, more, less.

    `more` is what the container may that one of Docker's may not, `less` the opposite.
    """
    linux = config.get("linux", {})
    sets = config.get("process", {}).get("capabilities", {})
    effective = {*sets.get("bounding", ()), *sets.get("effective", ())}
    asked = {ns["type"] for ns in linux.get("namespaces", ())}
    default = {*docker_default.NAMESPACES}
    masked = {path.rstrip("/") for path in linux.get("maskedPaths", ())}
    read_only = {path.rstrip("/") for path in linux.get("readonlyPaths", ())}
    rows = [
        ("capabilities", effective - docker_default.CAPABILITIES,
         docker_default.CAPABILITIES - effective),
        ("host's namespaces", default - asked, asked - default),
        ("visible paths", {*docker_default.MASKED_PATHS} - masked - {""},
         masked - {*docker_default.MASKED_PATHS}),
        ("writable paths", {*docker_default.READONLY_PATHS} - read_only,
         read_only - {*docker_default.READONLY_PATHS}),
        ("system calls", set() if linux.get("seccomp") else {"all of them: no profile"}, set()),
        ("new privileges", set(),
         {"noNewPrivileges"} if config.get("process", {}).get("noNewPrivileges") else set()),
        ("writable root", set(), {"read-only"} if config["root"].get("readonly") else set()),
    ]  # fmt: skip
    return [
        {"aspect": aspect, "more": [*sorted(more)], "less": [*sorted(less)]}
        for aspect, more, less in rows
        if more or less
    ]
