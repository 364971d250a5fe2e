"""What a case is, the registry of all of them, and how one ends."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.room import Room

    Check = Callable[..., None]

LEVELS = ("MUST", "SHOULD", "MAY")


class Failure(Exception):
    """The runtime does not do what the case asks for; the text says what it did."""


class NotHere(Exception):
    """The case cannot be tried on this host, or with this runtime; the text says why."""


@dataclass(frozen=True)
class Case:
    """One requirement, tried once.

    Attributes:
        id: dotted, unique; the first word is the section of the specification.
        level: MUST, SHOULD or MAY: of the runtime. MUST also stands for MUST NOT.
        section: document and anchor, such as `config.md#mounts`.
        text: what is asked for, in a sentence.
        check: called with a Room and `arguments`; raises Failure or NotHere, or returns.
    """

    id: str
    level: str
    section: str
    text: str
    check: Check
    arguments: tuple[Any, ...] = ()

    def run(self, room: Room) -> None:
        self.check(room, *self.arguments)


CASES: dict[str, Case] = {}


def add(case: Case) -> None:
    if case.id in CASES:
        raise ValueError(f"two cases {case.id}")
    if case.level not in LEVELS:
        raise ValueError(f"{case.id}: level {case.level}")
    CASES[case.id] = case


@dataclass(frozen=True)
class Section:
    """Decorators that register cases of one document: `@SPEC.must(id, anchor, text)`."""

    document: str

    def _case(self, level: str, name: str, anchor: str, text: str) -> Callable[[Check], Check]:
        def register(check: Check) -> Check:
            add(Case(name, level, f"{self.document}#{anchor}", text, check))
            return check

        return register

    def must(self, name: str, anchor: str, text: str) -> Callable[[Check], Check]:
        return self._case("MUST", name, anchor, text)

    def should(self, name: str, anchor: str, text: str) -> Callable[[Check], Check]:
        return self._case("SHOULD", name, anchor, text)

    def may(self, name: str, anchor: str, text: str) -> Callable[[Check], Check]:
        return self._case("MAY", name, anchor, text)

    def family(
        self, name: str, level: str, anchor: str, text: str, rows: Iterable[tuple[Any, ...] | str]
    ) -> Callable[[Check], Check]:
        """One case for each row; `name`, `anchor` and `text` are formatted with the row."""

        def register(check: Check) -> Check:
            for row in rows:
                values = (row,) if isinstance(row, str) else row
                where = f"{self.document}#{anchor.format(*values)}"
                case_id, sentence = name.format(*values), text.format(*values)
                add(Case(case_id, level, where, sentence, check, values))
            return check

        return register


def load() -> dict[str, Case]:
    """Import every file of cases; return all cases by id, in the order of the files."""
    import importlib
    import pkgutil

    from conformance import cases

    for module in sorted(m.name for m in pkgutil.iter_modules(cases.__path__)):
        importlib.import_module(f"conformance.cases.{module}")
    return CASES


def select(expression: str) -> list[Case]:
    """Return the cases whose id has one of the words of `expression`, or matches it as a glob."""
    words = expression.split()
    return [
        case
        for case in load().values()
        if not words or any(word in case.id or fnmatch.fnmatch(case.id, word) for word in words)
    ]


@dataclass
class Result:
    """How a case ended. `mistakes` has what was answered to each configuration that is wrong."""

    case: Case
    outcome: str
    detail: str = ""
    mistakes: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        case = self.case
        return {
            "id": case.id, "level": case.level, "section": case.section, "text": case.text,
            "outcome": self.outcome, "detail": self.detail, "mistakes": self.mistakes,
        }  # fmt: skip
