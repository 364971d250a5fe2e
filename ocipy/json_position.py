"""Where a value stands in a JSON text: pointer to offset, offset to line and column.

Only errors need this, so only errors pay for it: the accepted config was parsed by ocipy.json_text,
which keeps no positions. Here the same C scanner skips over what the pointer does not lead to.
"""

from __future__ import annotations

from ocipy.json_text import DuplicateName, JsonError, scan_string, scan_value, skip_whitespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# How much of a long line an excerpt shows on each side of the place: most engines write config.json
# as a single line of some 20,000 characters.
_CONTEXT = 60


def offset_of(text: str, pointer: str, *, of_name: bool = False) -> int:
    """Return the offset in characters of the value `pointer` (RFC 6901) leads to, or of its name.

    Where the pointer leads nowhere, the offset of the innermost value on the way to it.
    """
    offset = skip_whitespace(text, 0)
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    for i, token in enumerate(tokens):
        for name, name_offset, value_offset in members(text, offset):
            if name == token:
                last = i == len(tokens) - 1
                offset = name_offset if of_name and last else value_offset
                break
        else:
            break
    return offset


def members(text: str, offset: int) -> Iterator[tuple[str, int, int]]:
    """Yield (name, offset of the name, offset of the value) of each member of an object.

    The object is at `offset`. An array has the names "0", "1", …; a value that is neither has no
    members. The text must be JSON; names may stand twice.
    """
    kind = text[offset : offset + 1]
    if kind not in ("{", "["):
        return
    offset = skip_whitespace(text, offset + 1)
    index = 0
    while text[offset] not in "}]":
        name, name_offset = str(index), offset
        if kind == "{":
            name, offset = scan_string(text, offset + 1)
            offset = skip_whitespace(text, skip_whitespace(text, offset) + 1)
        yield name, name_offset if kind == "{" else offset, offset
        offset = skip_whitespace(text, _end_of_value(text, offset))
        if text[offset] == ",":
            offset = skip_whitespace(text, offset + 1)
        index += 1


def _end_of_value(text: str, offset: int) -> int:
    """Return where the value at `offset` ends, whatever names stand in it twice."""
    try:
        return scan_value(text, offset)[1]
    except DuplicateName:
        end = skip_whitespace(text, offset + 1)
        for _, _, value_offset in members(text, offset):
            end = skip_whitespace(text, _end_of_value(text, value_offset))
            end += text[end] == ","
        return skip_whitespace(text, end) + 1


def duplicate_name(text: str) -> tuple[str, int]:
    """Return pointer and offset of the first name that stands a second time in its object.

    Raises:
        JsonError: no name does.
    """

    def search(pointer: str, offset: int) -> tuple[str, int] | None:
        seen: set[str] = set()
        for name, name_offset, value_offset in members(text, offset):
            here = f"{pointer}/{escape(name)}"
            if name in seen:
                return here, name_offset
            seen.add(name)
            if found := search(here, value_offset):
                return found
        return None

    found = search("", skip_whitespace(text, 0))
    if found is None:
        raise JsonError("no name stands twice", 0)
    return found


def escape(name: str) -> str:
    """Return one name as a part of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset, both counted from 1, the column in characters."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def excerpt(text: str, offset: int) -> list[str]:
    """Return the line at `offset`, or of a long one the part around it, and a line that points."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    before, after = text[start:offset], text[offset:end].rstrip()
    if len(before) > _CONTEXT:
        before = "…" + before[-_CONTEXT:]
    if len(after) > _CONTEXT:
        after = after[:_CONTEXT] + "…"
    number = str(line_and_column(text, offset)[0])
    # A tab stays a tab above and below, so that ^ stands under its place whatever tabs are wide.
    margin = "".join("\t" if c == "\t" else " " for c in before)
    return [
        f"{number:>6} | {printable(before + after)}".rstrip(),
        f"{'':>6} | {margin}^",
    ]


def marked(text: str, offset: int) -> str:
    """Return the surroundings of an offset in one line, with ⟨here⟩ at the place."""
    before = " ".join(text[max(0, offset - _CONTEXT) : offset].split())[-30:]
    after = " ".join(text[offset : offset + _CONTEXT].split())[:30]
    return printable(f"{before} ⟨here⟩ {after}".strip())


def printable(line: str) -> str:
    """Return text that cannot drive a terminal: configs come from far away."""
    return "".join(c if c.isprintable() or c == "\t" else f"\\u{ord(c):04x}" for c in line)
