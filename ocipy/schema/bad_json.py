"""What is wrong with a text that is not JSON. Imported only then."""

from __future__ import annotations

from ocipy.errors import ConfigError
from ocipy.json_position import duplicate_name, marked
from ocipy.json_text import DuplicateName, scan_string
from ocipy.schema.report import describe_faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.json_text import JsonError


def explain_bad_json(error: JsonError | DuplicateName, text: str, file_name: str) -> ConfigError:
    """Return the error to raise: what is wrong, where, how it looks there, and what may help."""
    if isinstance(error, DuplicateName):
        pointer, offset = duplicate_name(text)
        fault = ConfigError(
            pointer,
            f'the name "{error.name}" stands twice in the same object',
            hint="keep one of them: programs disagree on which of the two counts",
            offset=offset,
        )
    elif not text.strip(" \t\r\n"):
        fault = ConfigError("", f"{file_name} is empty", hint="'ocipy spec' writes one")
    elif error.offset < 0:
        word = error.problem.partition(" ")[0]
        offset = _outside_strings(text, word)
        fault = ConfigError("", f"{file_name} is not JSON: {error.problem}", offset=offset)
    else:
        problem, hint, offset = _reword(error, text)
        near = marked(text, offset)
        fault = ConfigError(
            "", f"{file_name} is not JSON: {problem}: {near}", hint=hint, offset=offset
        )
    describe_faults(fault, text, file_name)
    return fault


def _reword(error: JsonError, text: str) -> tuple[str, str, int]:
    """Return what is wrong, what may help, and where it is best seen."""
    problem = error.problem
    rest = text[error.offset :].lstrip(" \t\r\n")
    offset = len(text) - len(rest)
    if problem.startswith("unterminated string"):
        return "a string has no closing quote", "", error.offset
    if problem.startswith("invalid control character"):
        problem = "a string has a line end or another control character in it"
        return problem, "write a line end as \\n", error.offset
    if not rest:
        end = len(text.rstrip(" \t\r\n"))
        return "the text ends too early", "the file may be cut off", end
    if rest[0] in "}]" and text[:offset].rstrip(" \t\r\n").endswith(","):
        return f"a comma too many before {rest[0]}", "drop the comma", text.rindex(",", 0, offset)
    if rest.startswith(("//", "/*", "#")):
        return "a comment, which JSON does not have", "drop it", offset
    if rest[0] == "'":
        return "a single quote", 'JSON has strings in double quotes: "…"', offset
    if problem.startswith("expecting property name"):
        return "a name in double quotes is missing", "", offset
    if problem.startswith("expecting ',' delimiter"):
        return "a comma is missing", "", offset
    if problem.startswith("expecting ':' delimiter"):
        return "a colon is missing", "", offset
    return problem, "", offset


def _outside_strings(text: str, word: str) -> int:
    """Return the offset of a word such as NaN that stands for a value, -1 if none does."""
    start = 0
    while (found := text.find(word, start)) >= 0:
        quote = text.find('"', start)
        if quote < 0 or found < quote:
            return found
        start = scan_string(text, quote + 1)[1]
    return -1
