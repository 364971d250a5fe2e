"""python -m conformance.compare NAME=PATH ... [--results DIR] [--docs DIR]

Runs the whole suite against several runtimes, and writes two pages: conformance.md, the results
side by side, and conformance-errors.md, the same mistakes and what each runtime answers. With
--results the results are kept there as NAME.json, and read instead where they are already; --again
runs some cases once more, and keeps the rest.

deviations.toml says why a case that a runtime fails is that runtime's fault, and not the case's.
A failed case without such a reason makes the exit status 1.
"""

from __future__ import annotations

import argparse
import fnmatch
import functools
import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.case import load

DATA = Path(__file__).with_name("deviations.toml")
# crun 1.8 refuses to work beside a hybrid cgroup2 mount: hide it, in a mount namespace of its own.
HIDE_UNIFIED = """mount -t tmpfs -o size=64m none /sys/fs/cgroup/unified && exec "$@" """
WORD = {"pass": "passes", "fail": "**fails**", "skip": "not tried"}
SPEC = "https://github.com/opencontainers/runtime-spec/blob/v1.3.0"

Documents = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Deviation:
    """Why `runtime` fails cases that match one of `cases`; `client` needs it to, if any does."""

    runtime: str
    cases: tuple[str, ...]
    why: str
    client: str = ""


@functools.cache
def deviations() -> list[Deviation]:
    found = tomllib.loads(DATA.read_text())["deviation"]
    return [
        Deviation(runtime, tuple(one["cases"].split()), one["why"], one.get("client", ""))
        for one in found
        for runtime in one["runtime"].split()
    ]


def explanation(known: list[Deviation], runtime: str, case_id: str) -> Deviation | None:
    """Return the first reason that is given for this runtime and case."""
    for deviation in known:
        if deviation.runtime == runtime and any(
            fnmatch.fnmatch(case_id, pattern) for pattern in deviation.cases
        ):
            return deviation
    return None


def unexplained(documents: Documents, known: list[Deviation]) -> list[str]:
    return [
        f"{name}: {result['id']}: {result['detail']}"
        for name, document in documents.items()
        for result in document["results"]
        if result["outcome"] == "fail" and not explanation(known, name, result["id"])
    ]


def cell(text: str, limit: int = 400) -> str:
    """Return text as it can stand in a cell of a table."""
    text = " ".join(text.split())
    text = text if len(text) <= limit else text[:limit] + "…"
    return text.replace("|", "\\|").replace("<", "&lt;")


def code(text: str, limit: int = 400) -> str:
    text = " ".join(text.split()).replace("`", "'")
    text = text if len(text) <= limit else text[:limit] + "…"
    return f"`{text}`".replace("|", "\\|") if text else ""


def comparison(documents: Documents, known: list[Deviation]) -> str:
    """Return the page that compares."""
    names = list(documents)
    lines = [
        "# Conformance, side by side",
        "",
        "Written by `make conformance`; not to be edited. Each case is one requirement of",
        f"[runtime-spec 1.3]({SPEC}/spec.md), tried with the command line of each runtime on one",
        "host: a rejection counts only if nothing was left behind, no state, cgroup, mount or",
        "process. `python -m conformance --runtime PATH` runs the same cases against any runtime,",
        "[accounting.toml](../conformance/accounting.toml) says what each key word of the",
        "specification became, and [conformance-errors.md](conformance-errors.md) has what each",
        "runtime answers to a mistake.",
        "",
        "| runtime | version | " + " | ".join(f"{level} passed" for level in LEVELS) + " | failed |"
        " not tried |",
        "| --- | --- |" + " --- |" * 5,
    ]
    for name, document in documents.items():
        counts = Counter((r["level"], r["outcome"]) for r in document["results"])
        tried = [
            f"{counts[level, 'pass']} of {counts[level, 'pass'] + counts[level, 'fail']}"
            for level in LEVELS
        ]
        failed = sum(counts[level, "fail"] for level in LEVELS)
        skipped = sum(counts[level, "skip"] for level in LEVELS)
        cells = (name, cell(document["version"]), *tried, str(failed), str(skipped))
        lines.append(f"| {' | '.join(cells)} |")
    lines += _on_purpose(documents, known) + _reasons(documents, known) + _not_tried(documents)
    lines += _all(documents, names)
    return "\n".join(lines) + "\n"


LEVELS = ("MUST", "SHOULD", "MAY")


def _failed(document: dict[str, Any]) -> list[str]:
    return [r["id"] for r in document["results"] if r["outcome"] == "fail"]


def _on_purpose(documents: Documents, known: list[Deviation]) -> list[str]:
    lines = ["", "## On purpose", "", "Where a client depends on it, ocipy does as runc does.", ""]
    lines += [
        "| case | asked for | what is done instead | who needs it |",
        "| --- | --- | --- | --- |",
    ]
    texts = {r["id"]: r["text"] for d in documents.values() for r in d["results"]}
    for case_id in _failed(documents.get("ocipy", {"results": []})):
        reason = explanation(known, "ocipy", case_id)
        if reason:
            cells = (f"`{case_id}`", cell(texts[case_id]), cell(reason.why), cell(reason.client))
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _reasons(documents: Documents, known: list[Deviation]) -> list[str]:
    lines = ["", "## Why the others fail", ""]
    for name, document in documents.items():
        groups: dict[str, list[str]] = {}
        for case_id in _failed(document):
            reason = explanation(known, name, case_id)
            if name != "ocipy":
                groups.setdefault(reason.why if reason else "**not explained**", []).append(case_id)
        for why, cases in groups.items():
            shown = ", ".join(f"`{case_id}`" for case_id in cases[:4])
            more = f" and {len(cases) - 4} more" if len(cases) > 4 else ""
            lines.append(f"* **{name}**, {len(cases)}: {why} ({shown}{more})")
    return lines


def _not_tried(documents: Documents) -> list[str]:
    lines = ["", "## Not tried", "", "What this host, or the runtime, lacks for it.", ""]
    groups: dict[tuple[str, str], list[str]] = {}
    for name, document in documents.items():
        for result in document["results"]:
            if result["outcome"] == "skip":
                groups.setdefault((result["id"], result["detail"]), []).append(name)
    lines += ["| case | runtimes | why |", "| --- | --- | --- |"]
    for (case_id, detail), names in groups.items():
        lines.append(f"| `{case_id}` | {', '.join(names)} | {cell(detail)} |")
    return lines


def _all(documents: Documents, names: list[str]) -> list[str]:
    lines: list[str] = []
    section = ""
    outcomes = {n: {r["id"]: r["outcome"] for r in d["results"]} for n, d in documents.items()}
    rows = sorted(documents[names[0]]["results"], key=lambda r: _document(r["section"]))
    for result in rows:
        if result["section"] != section:
            section = result["section"]
            lines += ["", f"## [{section}]({SPEC}/{section})", ""]
            lines += [
                f"| case | level | {' | '.join(names)} |",
                "| --- | --- |" + " --- |" * len(names),
            ]
        cells = " | ".join(WORD[outcomes[name][result["id"]]] for name in names)
        lines.append(f"| `{result['id']}` | {result['level']} | {cells} |")
    return lines


def _document(section: str) -> tuple[str, str]:
    document, _, anchor = section.partition("#")
    return document, anchor


def errors_table(documents: Documents) -> str:
    """Return the page of mistakes: what is wrong, and what each runtime says."""
    names = list(documents)
    answers: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for name, document in documents.items():
        for result in document["results"]:
            for mistake in result["mistakes"]:
                key = (result["id"], mistake["pointer"], mistake["value"])
                answers.setdefault(key, {})[name] = mistake
    lines = [
        "# The same mistakes, and the answers",
        "",
        "Written by `make conformance`; not to be edited. Each row is a configuration with one",
        "mistake, as the cases of [conformance.md](conformance.md) make it. Named: the message has",
        "the name of the field. Placed: it has the pointer to it, or its line.",
        "",
        "| runtime | mistakes | refused | field named | place given |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in names:
        given = [(key, found[name]) for key, found in answers.items() if name in found]
        refused = [(key, a) for key, a in given if a["status"] != "0"]
        counts = (
            len(given),
            len(refused),
            sum(names_field(key[1], a["message"]) for key, a in refused),
            sum(gives_place(key[1], a["message"]) for key, a in refused),
        )
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    lines += ["", f"| case | field | value | {' | '.join(names)} |"]
    lines.append("| --- | --- | --- |" + " --- |" * len(names))
    for (case_id, pointer, value), found in answers.items():
        cells = [f"`{case_id}`", code(pointer or "(the whole)"), code(value, 60)]
        for name in names:
            answer = found.get(name)
            if answer is None:
                cells.append("not tried")
            elif answer["status"] == "0":
                cells.append("**accepted**")
            else:
                cells.append(code(stripped(answer["message"]), 220))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def stripped(message: str) -> str:
    """Return a message without what is different in each run: time stamps and names of rooms."""
    import re

    message = re.sub(r'time="[^"]*" ', "", message)
    message = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?:? ?", "", message)
    message = re.sub(r"/tmp/conformance-\w+/conformance-[\d-]+", "…", message)
    return re.sub(r"conformance-\d+-\d+", "ID", message)


def names_field(pointer: str, message: str) -> bool:
    names = [w for w in pointer.split("/") if w and not w.isdigit()]
    return bool(names) and names[-1].lower() in message.lower()


def gives_place(pointer: str, message: str) -> bool:
    import re

    if re.search(r"config\.json:\d+|line \d+", message):
        return True
    dotted = ".".join(w for w in pointer.split("/") if w and not w.isdigit())
    return bool(pointer.strip("/")) and (
        pointer in message or ("." in dotted and dotted in message)
    )


def results(name: str, program: str, directory: Path, again: str) -> dict[str, Any]:
    """Run the suite against one runtime, or read what is in `directory` already."""
    kept = directory / f"{name}.json"
    if again or not kept.exists():
        command = [sys.executable, "-m", "conformance", "--format", "json", "--runtime", program]
        command += ["-k", again]
        if name == "crun" and os.path.ismount("/sys/fs/cgroup/unified"):
            outer = [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                HIDE_UNIFIED,
                "sh",
            ]
            command = [*outer, *command]
        print(f"conformance: {name} ({program})", file=sys.stderr, flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        document: dict[str, Any] = json.loads(done.stdout)
        if again and kept.exists():
            document = merged(json.loads(kept.read_bytes()), document)
        kept.write_text(json.dumps(document, indent=1))
    document = json.loads(kept.read_bytes())
    return document


def merged(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the results of all cases that there are, those of `after` where it has them."""
    found = {r["id"]: r for document in (before, after) for r in document["results"]}
    return {**after, "results": [found[name] for name in load() if name in found]}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="conformance.compare", description=__doc__)
    parser.add_argument("runtimes", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--results", type=Path, default=Path("build/conformance"))
    parser.add_argument(
        "--again", default="", metavar="EXPR", help="as -k of python -m conformance"
    )
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    options = parser.parse_args(argv)
    options.results.mkdir(parents=True, exist_ok=True)
    documents = {}
    for runtime in options.runtimes:
        name, _, program = runtime.partition("=")
        documents[name] = results(name, program, options.results, options.again)
    (options.docs / "conformance.md").write_text(comparison(documents, deviations()))
    (options.docs / "conformance-errors.md").write_text(errors_table(documents))
    wrong = unexplained(documents, deviations())
    for line in wrong:
        print(f"no reason in deviations.toml: {line}")
    for name, document in documents.items():
        counts = Counter(result["outcome"] for result in document["results"])
        print(f"{name}: {counts['pass']} pass, {counts['fail']} fail, {counts['skip']} not tried")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
