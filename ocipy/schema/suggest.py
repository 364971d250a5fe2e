""" "Did you mean": the known name nearest to one that is not known."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that a slip of the fingers most likely turned into `name`, or ""."""
    best, best_distance = "", max(1, len(name) // 3) + 1
    for candidate in known:
        if candidate.lower() == name.lower():
            return candidate
        if abs(len(candidate) - len(name)) < best_distance:
            distance = edit_distance(name.lower(), candidate.lower())
            if distance < best_distance:
                best, best_distance = candidate, distance
    return best


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean "…"?`, or "" where no known name is near."""
    candidate = nearest(name, known)
    return f'did you mean "{candidate}"?' if candidate else ""


def edit_distance(first: str, second: str) -> int:
    """Return how many letters to insert, drop, replace or swap turn one word into the other.

    difflib rates likeness better, but importing it takes 5 ms, half of a whole `create`, and a
    config of tomorrow's specification has unknown names in every create.
    """
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, row, above = row, [i], before
        for j, b in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]
