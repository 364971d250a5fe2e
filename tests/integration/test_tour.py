"""docs/essence.md and quick-start.md: each command is carried out, and says what the page says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from tests.integration.containers import Runtime

PAGES = [Path(REPOSITORY, "docs", name) for name in ("essence.md", "essence.zh.md")]
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PATIENCE_SECONDS = 600


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def as_pattern(text: str) -> re.Pattern[str]:
    """Return what an output with "…" for anything matches; a line of nothing else: any lines."""
    lines = [
        "(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"[ ]*\n"
        for line in map(str.rstrip, text.splitlines())
    ]
    return re.compile("".join(lines))


def test_both_languages_have_the_same_commands() -> None:
    english, chinese = map(blocks, PAGES)
    assert english == chinese
    assert len(english) > 30


@pytest.mark.requires(
    "time-namespaces", "user-namespaces", "veth", "program:gcc", "program:nsenter", "program:ip"
)
def test_the_commands_of_the_tour(runtime: Runtime, directory: str) -> None:
    do_as_the_page_says(PAGES[0], runtime, directory)


def test_the_commands_of_the_quick_start(runtime: Runtime, directory: str) -> None:
    do_as_the_page_says(Path(REPOSITORY, "docs", "quick-start.md"), runtime, directory)


def do_as_the_page_says(page: Path, runtime: Runtime, directory: str) -> None:
    if not runtime.is_ocipy:
        pytest.skip("the page is about ocipy")
    found = blocks(page)
    # One shell for all, as for somebody who types along; a line in between says where it is.
    script = "cd work; set -u\n" + "".join(
        f"echo '@@ {number}'\n{text}" for number, (kind, text) in enumerate(found) if kind == "sh"
    )
    os.mkdir(f"{directory}/work")
    os.mkdir(f"{directory}/bin")
    # Of its own root, where nothing of it can be left behind unseen.
    with open(f"{directory}/bin/ocipy", "x", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {runtime.program} --root {runtime.root} "$@"\n')
    os.chmod(f"{directory}/bin/ocipy", 0o755)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        env={
            "PATH": f"{directory}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": directory,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    said = dict(re.findall(r"^@@ (\d+)\n(.*?)(?=^@@ |\Z)", done.stdout, re.DOTALL | re.MULTILINE))
    for number, (kind, text) in enumerate(found):
        if kind == "sh":
            after = found[number + 1] if number + 1 < len(found) else ("", "")
            expected = after[1] if after[0] == "text" else ""
            output = "".join(f"{line.rstrip()}\n" for line in said[str(number)].splitlines())
            assert as_pattern(expected).fullmatch(output), (
                f"{text}\nprints\n{output}\nand not\n{expected}"
            )
    assert done.returncode == 0
