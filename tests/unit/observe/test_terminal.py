"""Tables and trees on a terminal and in a pipe; text that would drive the terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

from ocipy.observe.printable import printable
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("h\u00e4user \u4e2d\u6587", "h\u00e4user \u4e2d\u6587"),
        ("\x1b[2J\r\n\t", "\\x1b[2J\\x0d\\x0a\\x09"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("\u202e\u2066", "\\u202e\\u2066"),
        ("\udc80", "\\udc80"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()


def on_a_terminal(arguments: Iterable[str], **environment: str) -> str:
    """Run ocipy on a pseudo terminal; return what it printed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [f"{REPOSITORY}/build/ocipy", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", **environment},
    )
    os.close(slave)
    parts = []
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(master)
    process.wait()
    return b"".join(parts).decode()


def test_colours_on_a_terminal_only() -> None:
    assert "\x1b[32mok" in on_a_terminal(["doctor"])
    without = on_a_terminal(["doctor"], NO_COLOR="1")
    assert "\x1b[3" not in without
    assert "\x1b[" not in on_a_terminal(["doctor"], TERM="dumb")
    done = subprocess.run(
        [f"{REPOSITORY}/build/ocipy", "doctor"], capture_output=True, text=True, check=False
    )
    assert "\x1b" not in done.stdout
    assert done.stdout.startswith("      check")
