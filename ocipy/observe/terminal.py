"""Tables and trees: with rich on a terminal, as plain lines everywhere else.

All text is escaped here (printable()): configs and images have chosen much of it. NO_COLOR is
rich's to obey.
"""

from __future__ import annotations

import os

from ocipy.observe.printable import printable
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

# A longer cell moves what is beside it, and no other row.
_WIDEST = 60
_STYLES = {
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
    "drift": "bold red",
}


def is_terminal() -> bool:
    """Whether people look at the standard output."""
    return os.isatty(1) and os.environ.get("TERM") != "dumb"


def print_heading(text: str) -> None:
    """Print a line above a table."""
    if is_terminal():
        _draw(lambda console, rich_text: console.print(rich_text(printable(text), style="bold")))
    else:
        print_text(f"{printable(text)}\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns; a first cell such as "fail" or "high" has its colour."""
    shown = [[printable(cell) for cell in row] for row in rows]
    if not is_terminal():
        print_text(_plain_table(columns, shown))
        return

    def draw(console: Any, rich_text: Any) -> None:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in shown:
            style = _STYLES.get(row[0], "") if row else ""
            cells = [rich_text(row[0], style=style), *map(rich_text, row[1:])]
            table.add_row(*cells)
        console.print(table)

    _draw(draw)


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [
        min(_WIDEST, max(len(row[i]) for row in [columns, *rows])) for i in range(len(columns))
    ]
    lines = []
    for row in [columns, *rows]:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def print_tree(title: str, branches: Mapping[str, Sequence[str]]) -> None:
    """Print a title with branches, each with its leaves."""
    if not is_terminal():
        lines = [printable(title)]
        for name, leaves in branches.items():
            lines.append(f"  {printable(name)}")
            lines += [f"    {printable(leaf)}" for leaf in leaves]
        print_text("\n".join(lines) + "\n")
        return

    def draw(console: Any, rich_text: Any) -> None:
        from rich.tree import Tree

        tree = Tree(rich_text(printable(title), style="bold"), guide_style="dim")
        for name, leaves in branches.items():
            branch = tree.add(rich_text(printable(name), style="cyan"))
            for leaf in leaves:
                branch.add(rich_text(printable(leaf)))
        console.print(tree)

    _draw(draw)


def _draw(draw: Callable[[Any, Any], None]) -> None:
    from rich.console import Console
    from rich.text import Text

    draw(Console(highlight=False, emoji=False, markup=False, soft_wrap=False), Text)
