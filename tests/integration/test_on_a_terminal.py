"""What people see on a terminal, and what programs get: colours and tables, or plain lines."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.containers import Container, Runtime

ESCAPE = "\x1b["


def on_a_terminal(runtime: Runtime, *args: str, **environ: str) -> str:
    """Run a command with its output on a terminal, 100 columns wide; return what it drew."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [runtime.program, "--root", runtime.root, *args],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environ},
    )
    os.close(slave)
    drawn = b""
    try:
        while part := os.read(master, 65536):
            drawn += part
    except OSError:  # EIO: nobody has the other end open any more
        pass
    os.close(master)
    assert process.wait(60) == 0
    return drawn.decode().replace("\r\n", "\n")


@pytest.fixture(autouse=True)
def _only_ocipy(runtime: Runtime) -> None:
    if not runtime.is_ocipy:
        pytest.skip("other runtimes draw nothing")


@pytest.mark.parametrize("command", ["plan", "list"])
def test_tables_are_for_people_and_lines_for_programs(
    container: Container, runtime: Runtime, command: str
) -> None:
    container.args("/bin/sleep", "1000").create()
    args = ["plan", "--bundle", container.bundle.path] if command == "plan" else ["list"]
    drawn = on_a_terminal(runtime, *args, NO_COLOR="")
    assert ESCAPE in drawn
    plain = runtime.call(*args).succeeded().out
    assert ESCAPE not in plain
    what = "pivot_root" if command == "plan" else container.id
    assert what in drawn
    assert what in plain


@pytest.mark.parametrize("command", ["plan", "list"])
def test_no_color_is_obeyed(container: Container, runtime: Runtime, command: str) -> None:
    container.args("/bin/sleep", "1000").create()
    args = ["plan", "--bundle", container.bundle.path] if command == "plan" else ["list"]
    drawn = on_a_terminal(runtime, *args, NO_COLOR="1")
    colours = [part for part in drawn.split(ESCAPE)[1:] if part.startswith(("3", "4", "9"))]
    assert not colours
