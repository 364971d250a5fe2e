"""Text of others on a terminal: what a config or an image says must not drive it."""

from __future__ import annotations

# What changes the direction of the text around it: the order on the screen would be a lie.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Return `text` with every control character, line break and lone surrogate spelt out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelt(character) for character in text)


def _spelt(character: str) -> str:
    if character.isprintable() and character not in _DIRECTION:
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
