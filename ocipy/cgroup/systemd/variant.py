"""GVariant text, in which unit properties are written: in annotations, in plans, in records. Pure.

The subset that values of properties need: booleans, numbers, strings, arrays and tuples of these,
"uint64 5" and "@a(ss) []" to say the type. Without a type a number is an int32 or a double, as in
GLib and in runc.

Source: GLib, "GVariant Text Format"; D-Bus specification, "Type System", for the signatures.
"""

from __future__ import annotations

_KEYWORDS = {
    "boolean": "b",
    "byte": "y",
    "int16": "n",
    "uint16": "q",
    "int32": "i",
    "uint32": "u",
    "int64": "x",
    "uint64": "t",
    "double": "d",
    "string": "s",
    "objectpath": "o",
    "signature": "g",
}
# Of each integer type: signed, and how many bits.
_INTEGERS = {
    "y": (False, 8),
    "n": (True, 16),
    "q": (False, 16),
    "i": (True, 32),
    "u": (False, 32),
    "x": (True, 64),
    "t": (False, 64),
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_DELIMITERS = " \t\n,)]"


def parse_variant(text: str) -> tuple[str, object]:
    """Return the D-Bus signature and the value of GVariant text.

    Raises:
        ValueError: it is none, or of a type that no property has; says what was expected where.
    """
    parser = _Parser(text)
    signature, value = parser.value("")
    parser.skip_space()
    if parser.at < len(text):
        raise parser.wrong("the end")
    return signature, value


def quote(text: str) -> str:
    """Return a string as GVariant text."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def complete_types(signature: str) -> list[str]:
    """Split a signature, "sa(ss)u", into its complete types, ["s", "a(ss)", "u"].

    Raises:
        ValueError: brackets that do not match, or an array of nothing.
    """
    types, at = [], 0
    while at < len(signature):
        start = at
        while signature[at : at + 1] == "a":
            at += 1
        if signature[at : at + 1] == "(":
            depth = 1
            while depth:
                at += 1
                if at >= len(signature):
                    raise ValueError(f"not a type: {signature!r}")
                depth += {"(": 1, ")": -1}.get(signature[at], 0)
        elif signature[at : at + 1] not in _KEYWORDS.values():
            raise ValueError(f"not a type: {signature!r}")
        at += 1
        types.append(signature[start:at])
    return types


class _Parser:
    """Reads one value after the other from `text`; `at` is where it is."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def wrong(self, expected: str) -> ValueError:
        found = self.text[self.at : self.at + 20] or "the end"
        return ValueError(f"expected {expected} at character {self.at + 1}, found {found!r}")

    def skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t\n":
            self.at += 1

    def value(self, wanted: str) -> tuple[str, object]:
        """Read a value; `wanted` is its type, "" where the text decides."""
        self.skip_space()
        first = self.text[self.at : self.at + 1]
        if first == "@":
            self.at += 1
            return self._of_type(self._word(), wanted)
        if first == "[":
            return self._array(wanted)
        if first == "(":
            return self._tuple(wanted)
        if first in ("'", '"') and first:
            return self._typed(wanted, "s"), self._string()
        start = self.at
        word = self._word()
        if word in ("true", "false"):
            return self._typed(wanted, "b"), word == "true"
        if word in _KEYWORDS:
            return self._of_type(_KEYWORDS[word], wanted)
        self.at = start
        return self._number(word, wanted)

    def _of_type(self, signature: str, wanted: str) -> tuple[str, object]:
        if len(complete_types(signature)) != 1 or (wanted and signature != wanted):
            raise self.wrong(f"a value of type {wanted}" if wanted else "one type")
        return self.value(signature)

    def _typed(self, wanted: str, found: str) -> str:
        if wanted and wanted != found and not (found == "s" and wanted in "og"):
            raise self.wrong(f"a value of type {wanted}")
        return wanted or found

    def _word(self) -> str:
        start = self.at
        # The parentheses of "@a(ss)" belong to the word.
        depth = 0
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in _DELIMITERS and not (character == ")" and depth):
                break
            depth += {"(": 1, ")": -1}.get(character, 0)
            self.at += 1
        return self.text[start : self.at]

    def _string(self) -> str:
        end = self.text[self.at]
        self.at += 1
        parts = []
        while self.text[self.at : self.at + 1] not in ("", end):
            character = self.text[self.at]
            if character == "\\":
                self.at += 1
                character = self.text[self.at : self.at + 1]
                character = _ESCAPES.get(character, character)
            parts.append(character)
            self.at += 1
        if self.at >= len(self.text):
            raise self.wrong(end)
        self.at += 1
        return "".join(parts)

    def _number(self, word: str, wanted: str) -> tuple[str, object]:
        try:
            # Octal as in C: "0644" is a mode.
            digits = word.lstrip("+-")
            octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
            value: int | float = int(word, 8 if octal else 0)
        except ValueError:
            try:
                value = float(word)
            except ValueError:
                raise self.wrong(f"a value of type {wanted}" if wanted else "a value") from None
        signature = wanted or ("i" if isinstance(value, int) else "d")
        if signature == "d":
            value = float(value)
        elif signature not in _INTEGERS or not isinstance(value, int):
            raise self.wrong(f"a value of type {signature}")
        else:
            signed, bits = _INTEGERS[signature]
            least, most = (
                (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            )
            if not least <= value <= most:
                raise ValueError(f"{word} is outside {least}..{most}, which {signature} can hold")
        self.at += len(word)
        return signature, value

    def _array(self, wanted: str) -> tuple[str, object]:
        if wanted and wanted[0] != "a":
            raise self.wrong(f"a value of type {wanted}")
        values: list[object] = []
        kind = wanted[1:]
        self.at += 1
        self.skip_space()
        while not self._take("]"):
            kind, value = self.value(kind)
            values.append(value)
            if not self._take(","):
                if self._take("]"):
                    break
                raise self.wrong("',' or ']'")
            self.skip_space()
        if not kind:
            raise self.wrong("a type before '[]', such as '@as'")
        return f"a{kind}", bytes(values) if kind == "y" else values  # type: ignore[arg-type]

    def _tuple(self, wanted: str) -> tuple[str, object]:
        kinds = complete_types(wanted[1:-1]) if wanted[:1] == "(" else []
        if wanted and not kinds:
            raise self.wrong(f"a value of type {wanted}")
        values: list[object] = []
        found: list[str] = []
        self.at += 1
        while not self._take(")"):
            if wanted and len(values) == len(kinds):
                raise self.wrong("')'")
            kind, value = self.value(kinds[len(values)] if wanted else "")
            values.append(value)
            found.append(kind)
            if not self._take(","):
                if self._take(")"):
                    break
                raise self.wrong("',' or ')'")
        if wanted and found != kinds:
            raise self.wrong(f"a value of type {wanted}")
        return f"({''.join(found)})", tuple(values)

    def _take(self, character: str) -> bool:
        self.skip_space()
        if self.text[self.at : self.at + 1] != character:
            return False
        self.at += 1
        return True
