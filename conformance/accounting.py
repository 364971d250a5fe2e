"""python -m conformance.accounting SPECDIR: what each key word of the specification became.

accounting.toml has, for every section, its key words in their order, each with the cases that try
it, or the reason why no runtime on Linux can be tried for it. This program reads the documents in
SPECDIR (a checkout of runtime-spec) and compares: a key word without an entry, an entry without its
key word, a case that does not exist are errors. Exit status 1 then.
"""

from __future__ import annotations

import fnmatch
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

from conformance.case import load

DOCUMENTS = """bundle.md config.md config-linux.md runtime.md runtime-linux.md features.md
features-linux.md glossary.md""".split()
KEY_WORD = re.compile(
    r"\b(MUST NOT|MUST|SHALL NOT|SHALL|SHOULD NOT|SHOULD|NOT RECOMMENDED|RECOMMENDED|MAY NOT|MAY"
    r"|REQUIRED|OPTIONAL)\b"
)
HEADING = re.compile(r"^#+\s*(?:<a [^>]*/>)?\s*(.+?)\s*$")
DATA = Path(__file__).with_name("accounting.toml")


def anchor(heading: str) -> str:
    """Return what a heading is linked by: lower case, blanks as hyphens, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def key_words(text: str) -> list[tuple[str, str, int]]:
    """Return (anchor, key word, line) for each key word of one document, in order."""
    found, section, in_example = [], "", False
    for number, line in enumerate(text.splitlines(), 1):
        in_example ^= line.lstrip().startswith("```")
        if not in_example and (heading := HEADING.match(line)):
            section = anchor(heading[1])
        found += [(section, match[0], number) for match in KEY_WORD.finditer(line)]
    return found


def specification(directory: Path) -> dict[str, list[str]]:
    """Return the key words of each section, by `document#anchor`."""
    sections: dict[str, list[str]] = {}
    for document in DOCUMENTS:
        for section, word, _ in key_words((directory / document).read_text()):
            sections.setdefault(f"{document}#{section}", []).append(word)
    return sections


def entries() -> tuple[dict[str, str], dict[str, list[tuple[str, str]]]]:
    """Return the reasons, and (key word, cases or reason) for each section."""
    data = tomllib.loads(DATA.read_text())
    sections = {
        name: [(line.split(" = ", 1)[0], line.split(" = ", 1)[1]) for line in lines]
        for name, lines in data["sections"].items()
    }
    return data["reasons"], sections


def wrong_entries() -> list[str]:
    """Return what is wrong with the data by itself: cases that are not there, unknown reasons."""
    reasons, sections = entries()
    cases = list(load())
    wrong = []
    for name, lines in sections.items():
        for word, became in lines:
            if became.startswith("!"):
                if became[1:] not in reasons:
                    wrong.append(f"{name}: {word}: no reason {became[1:]!r}")
                continue
            for pattern in became.split():
                if not fnmatch.filter(cases, pattern):
                    wrong.append(f"{name}: {word}: no case {pattern}")
    return wrong


def compare(directory: Path) -> tuple[list[str], Counter[str]]:
    """Return what does not agree, and how many key words became what."""
    wrong = wrong_entries()
    counts: Counter[str] = Counter()
    written, (_, sections) = specification(directory), entries()
    for name in [*written, *(name for name in sections if name not in written)]:
        there, ours = written.get(name, []), sections.get(name, [])
        if there != [word for word, _ in ours]:
            wrong.append(f"{name}: has {there}, accounted for {[word for word, _ in ours]}")
        for _, became in ours:
            counts[became[1:] if became.startswith("!") else "cases"] += 1
    return wrong, counts


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print(__doc__)
        return 2
    wrong, counts = compare(Path(argv[0]))
    for line in wrong:
        print(line)
    reasons, _ = entries()
    print(f"{counts.total()} key words: {counts['cases']} are tried by {len(load())} cases")
    for name, count in counts.most_common():
        if name != "cases":
            print(f"{count:4} {reasons[name]}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
