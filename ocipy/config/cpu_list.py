"""Lists of CPUs and memory nodes: 0-3,7."""

from __future__ import annotations

# As runc: an arbitrary bound, so that a slip of the pen does not become a mask of gigabytes.
_MAX_NUMBER = 64 * 1024


def parse_list(text: str) -> list[int]:
    """Return the numbers of a list such as "0-3, 7", in ascending order; "" has none.

    Raises:
        ValueError: it is no such list; the message says what is wrong with which part.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        part = part.strip(" ")
        if not part:
            continue
        first, dash, last = part.partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            raise ValueError(f'"{part}" is neither a number nor a range such as 0-3')
        start, end = int(first), int(last or first)
        if end > _MAX_NUMBER:
            raise ValueError(f"{end} is larger than {_MAX_NUMBER}")
        if start > end:
            raise ValueError(f'"{part}" runs backwards')
        numbers.update(range(start, end + 1))
    if text and not numbers:
        raise ValueError(f'"{text}" has no number in it')
    return sorted(numbers)


def bit_mask(numbers: list[int]) -> bytes:
    """Return the mask of what parse_list() gave, as the kernel reads it: whole words of 64 bits."""
    if not numbers:
        return b""
    size = (numbers[-1] // 64 + 1) * 8
    return sum(1 << number for number in numbers).to_bytes(size, "little")


def list_problem(text: str) -> str:
    """Return what is wrong with a list, "" if nothing is."""
    try:
        parse_list(text)
    except ValueError as error:
        return str(error)
    return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
