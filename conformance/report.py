"""Results as text: TAP, JSON, HTML."""

from __future__ import annotations

import html
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.case import Result


def count(results: Iterable[Result]) -> str:
    """Return a line such as `530 passed, 0 failed, 4 could not be tried`."""
    counter = Counter(result.outcome for result in results)
    return (
        f"{counter['pass']} passed, {counter['fail']} failed, "
        f"{counter['skip']} could not be tried here"
    )


def tap_line(number: int, result: Result) -> str:
    """Return one test point; what a failed one says follows as a diagnostic."""
    case = result.case
    word = "not ok" if result.outcome == "fail" else "ok"
    line = f"{word} {number} - {case.id} ({case.level}, {case.section})"
    detail = " ".join(result.detail.split())
    if result.outcome == "skip":
        return f"{line} # SKIP {detail}"
    if result.outcome == "fail":
        return f"{line}\n#   {case.text}\n#   {detail}"
    return line


def tap(results: Iterable[Result], planned: int) -> Iterator[str]:
    """Yield lines as the results come in."""
    yield "TAP version 13"
    yield f"1..{planned}"
    seen = []
    for number, result in enumerate(results, 1):
        seen.append(result)
        yield tap_line(number, result)
    yield f"# {count(seen)}"


def as_json(runtime: str, version: str, results: Iterable[Result]) -> str:
    """Return one object: the runtime, its version, and every result."""
    document: dict[str, Any] = {
        "runtime": runtime,
        "version": version,
        "results": [result.as_json() for result in results],
    }
    return json.dumps(document, indent=1)


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Conformance of {runtime}</title>
<style>body{{font:15px sans-serif;margin:2em}}td{{padding:.2em .6em;vertical-align:top}}
.pass{{color:#070}}.fail{{color:#b00;font-weight:bold}}.skip{{color:#777}}</style>
<h1>Conformance of {runtime}</h1><p>{version}</p><p>{count}</p>
<table><tr><th>case<th>level<th>section<th>asked for<th>outcome</tr>
{rows}
</table></html>"""


def as_html(runtime: str, version: str, results: Iterable[Result]) -> str:
    """Return one page without references to anything outside of it."""
    results = list(results)
    rows = []
    for result in results:
        case = result.case
        words = (case.id, case.level, case.section, case.text)
        cells = "".join(f"<td>{html.escape(word)}" for word in words)
        ended = f"{result.outcome} {result.detail}".strip()
        cells += f'<td class="{result.outcome}">{html.escape(ended)}'
        rows.append(f"<tr>{cells}</tr>")
    return PAGE.format(
        runtime=html.escape(runtime), version=html.escape(version), count=count(results),
        rows="\n".join(rows),
    )  # fmt: skip
