"""JSON text to values and back, without the cost of `import json` (design §4: 7 ms).

The C scanner and encoder under the standard library's json module do the work. What they raise is
worded here; the expensive module is imported only once something is wrong.
"""

from __future__ import annotations

from _json import encode_basestring as _quote
from _json import make_encoder as _make_encoder
from _json import make_scanner as _make_scanner
from _json import scanstring as _scan_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

_WHITESPACE = " \t\n\r"


class JsonError(ValueError):
    """The text is not JSON; `offset` counts characters from 0 to where reading stopped.

    It is -1 where the C scanner does not say: for NaN, Infinity, and integers of 4300 digits.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


class DuplicateName(ValueError):
    """An object has the same name twice (RFC 8259 section 4 leaves the meaning open)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _object_of(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Build one object; raise DuplicateName where `dict` would silently keep the last value."""
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise DuplicateName(name)
            seen.add(name)
    return value


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


class _ScannerOptions:
    """What make_scanner reads from json.JSONDecoder; `strict` forbids control characters."""

    strict = True
    object_hook = None
    object_pairs_hook = staticmethod(_object_of)
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse_constant)
    memo: dict[str, str] = {}  # noqa: RUF012 - the C scanner wants the attribute, and clears it


_scan = _make_scanner(_ScannerOptions())  # type: ignore[arg-type]


def scan_value(text: str, offset: int) -> tuple[Json, int]:
    """Return the value at `offset` of a text that is known to be JSON, and where it ends."""
    return _scan(text, offset)


def scan_string(text: str, offset: int) -> tuple[str, int]:
    """Return the string whose opening quote is before `offset`, and where it ends."""
    return _scan_string(text, offset, True)


def skip_whitespace(text: str, offset: int) -> int:
    while offset < len(text) and text[offset] in _WHITESPACE:
        offset += 1
    return offset


def loads(text: str) -> Json:
    """Return the value of a JSON text.

    Raises:
        JsonError: not JSON, or something follows the value.
        DuplicateName: a name stands twice in one object. Spec (glossary.md#json): JSON "MUST"
            have unique names within an object.
    """
    start = skip_whitespace(text, 0)
    try:
        try:
            value, end = _scan(text, start)
        except SystemError:
            # The C scanner raises json.JSONDecodeError, and breaks where nobody has imported it.
            import json.decoder  # noqa: F401

            value, end = _scan(text, start)
    except StopIteration as stop:
        raise JsonError("a value is missing", stop.value) from None
    except DuplicateName:
        raise
    except RecursionError:
        raise JsonError("nested too deeply", -1) from None
    except ValueError as error:
        # json.JSONDecodeError carries msg and pos; a bare ValueError is a number out of range.
        message = getattr(error, "msg", str(error))
        if hasattr(error, "msg"):
            message = message[:1].lower() + message[1:]
        elif "digits" in message:  # of int(), with advice for programmers
            message = "numbers of more than 4300 digits are not taken"
        raise JsonError(message, getattr(error, "pos", -1)) from None
    end = skip_whitespace(text, end)
    if end != len(text):
        raise JsonError("something follows the end of the value", end)
    return value  # type: ignore[no-any-return]


def _refuse_value(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no JSON form")


# As json.dumps makes it for one line: markers (of circles), default, encoder, indent, separators,
# sort_keys, skipkeys, allow_nan.
_encode_line = _make_encoder(None, _refuse_value, _quote, None, ":", ",", False, False, False)


def dumps(value: object, indent: int = 0) -> str:
    """Return JSON text: one line, or with `indent` spaces per level as json.dumps lays it out."""
    return "".join(_encode(value, indent, "\n") if indent else _encode_line(value, 0))


def _encode(value: object, indent: int, newline: str) -> list[str]:
    if value is None or value is True or value is False:
        return ["null" if value is None else "true" if value else "false"]
    if isinstance(value, str):
        return [_quote(value)]
    if isinstance(value, int | float):
        return [repr(value)]
    inner = newline + " " * indent
    comma = "," + inner
    parts: list[str] = []
    if isinstance(value, dict):
        for name, item in value.items():
            parts += [comma, _quote(name), ": ", *_encode(item, indent, inner)]
        return ["{", inner, *parts[1:], newline, "}"] if parts else ["{}"]
    if isinstance(value, list | tuple):
        for item in value:
            parts += [comma, *_encode(item, indent, inner)]
        return ["[", inner, *parts[1:], newline, "]"] if parts else ["[]"]
    return [str(_refuse_value(value))]
