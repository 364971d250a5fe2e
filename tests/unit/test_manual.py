"""Help texts and man pages: every command has them, and groff has nothing to say against them."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from manual import man_pages
from ocipy.arguments import parse_command, parse_globals
from ocipy.command_examples import EXAMPLES
from ocipy.help import is_available
from ocipy.options import FLAG, GLOBAL_OPTIONS, all_commands

AVAILABLE = [command for command in all_commands() if is_available(command.name)]
PAGES = man_pages.pages()
# What is typed between pipes and separators, each a call of ocipy.
CALL = re.compile(r"(?:^|[|;(] *|xargs -\w+ )(ocipy [^|;)>]*)")


@pytest.mark.parametrize("command", AVAILABLE, ids=lambda command: command.name)
def test_every_command_has_examples_that_parse(command: object) -> None:
    name = getattr(command, "name", "")
    assert EXAMPLES.get(name), f"add examples of {name!r} to ocipy/command_examples.py"
    found = []
    for what, typed in EXAMPLES[name]:
        assert len(what) < 80
        assert len(typed) < 100
        calls = CALL.findall(typed)
        assert calls, typed
        for call in calls:
            words = shlex.split(call)[1:]
            if "xargs" in typed and words[0] != "list":
                words.append("id")
            values, rest = parse_globals(words)
            found.append(parse_command(values, rest).command)
    assert name in found, f"no example of {name!r} calls it"


@pytest.mark.requires("program:groff")
@pytest.mark.parametrize("name", PAGES)
def test_groff_warns_of_nothing(name: str) -> None:
    done = subprocess.run(
        ["groff", "-ww", "-man", "-Tutf8", "-P-cbou"],
        input=PAGES[name].encode(),
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "100"},
        timeout=120,
    )
    assert done.returncode == 0
    assert not done.stderr, done.stderr.decode()
    text = done.stdout.decode()
    wanted = {"NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"}
    assert wanted <= set(text.splitlines()), text


def test_pages_have_every_command_and_option() -> None:
    assert set(PAGES) == {"ocipy.8", *(f"ocipy-{command.name}.8" for command in AVAILABLE)}
    for options, page in (
        (GLOBAL_OPTIONS, PAGES["ocipy.8"]),
        *((command.options, PAGES[f"ocipy-{command.name}.8"]) for command in AVAILABLE),
    ):
        for option in options:
            form = rf"\-\-{option.name}".replace("-", r"\-").replace(r"\\-", r"\-")
            value = "" if option.kind == FLAG else f" {option.metavar}"
            shown = f"\\fB{form}{value}".replace("'", r"\(aq") in page
            assert shown is not option.hidden, option.name
