"""`ocipy completion`: what the three shells make of it, each loaded for real."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ocipy.help import is_available
from ocipy.options import GLOBAL_OPTIONS, all_commands
from ocipy.shell_words import DIRECTORIES, FILES, WORDS, choices, complete
from tests.conftest import REPOSITORY

PATIENCE_SECONDS = 120.0
START = f"import sys; sys.path.insert(0, {REPOSITORY!r}); from ocipy.cli import main; main()"

# What stands before the cursor, and what it must become: the same in every shell.
CASES = [
    ("ocipy cre", ["create"]),
    ("ocipy run --pid-f", ["--pid-file"]),
    ("ocipy list --format j", ["json"]),
    ("ocipy --log-format=j", ["--log-format=json"]),
    ("ocipy --root STATE start de", ["demo-1"]),
    ("ocipy --root=STATE kill demo-1 K", ["KILL"]),
    ("ocipy completion fi", ["fish"]),
]


def texts(line: str, ids: tuple[str, ...] = ()) -> list[str]:
    """Return the words that could stand at the end of a line, whose last word may be ""."""
    return [word for word, _ in complete(line.split(" ")[1:], lambda root: [*ids]).words]


def test_commands_that_are_there_are_offered() -> None:
    assert texts("ocipy ") == [c.name for c in all_commands() if is_available(c.name)]
    assert texts("ocipy pau") == ["pause"]
    assert texts("ocipy help val") == ["validate"]
    assert texts("ocipy nosuch ") == []


def test_options_of_the_right_place_are_offered() -> None:
    visible = [f"--{option.name}" for option in GLOBAL_OPTIONS if not option.hidden]
    assert texts("ocipy -") == visible
    assert "--cwd" in texts("ocipy exec --")
    assert texts("ocipy exec demo --") == []  # the command's own
    assert texts("ocipy run --bundle --") == []  # where the value of an option stands
    assert texts("ocipy update --memory-") == ["--memory-reservation", "--memory-swap"]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("ocipy run --bundle ", DIRECTORIES),
        ("ocipy run -b x", DIRECTORIES),
        ("ocipy --log ", FILES),
        ("ocipy run --pid-file=", FILES),
        ("ocipy run ", WORDS),
    ],
)
def test_files_and_directories_are_the_shells_to_find(line: str, kind: str) -> None:
    assert complete(line.split(" ")[1:], lambda root: []).kind == kind


def test_values_are_those_that_the_table_lists() -> None:
    assert texts("ocipy --cgroup-manager ") == ["cgroupfs", "systemd", "disabled"]
    assert texts("ocipy --log-level ") == ["error", "warning", "info", "debug"]
    assert texts("ocipy --rootless f") == ["false"]
    assert texts("ocipy plan --format = js") == ["--format=json"]  # as bash gives it
    assert texts("ocipy update --cpu-idle ") == ["0", "1"]
    free = {"id", "hostname", "env", "user", "cap", "interval", "memory", "cpu-share"}
    for command in all_commands():
        for option in command.options:
            assert not (option.name in free and choices(option)), option.name


def test_ids_are_those_of_the_root_that_was_given() -> None:
    asked = []

    def list_ids(root: str) -> list[str]:
        asked.append(root)
        return ["one", "other"]

    for options in (["--root", "/r"], ["--root=/r"], ["--root", "=", "/r"]):
        assert complete([*options, "kill", "on"], list_ids).words == [("one", "")]
    assert asked == ["/r"] * 3
    assert texts("ocipy kill demo T", ("Tim",)) == ["TERM"]
    assert texts("ocipy kill demo TERM ", ("x",)) == []


def test_a_shell_that_is_not_known_is_an_error() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", START, "completion", "tcsh"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "bash, zsh or fish" in done.stderr


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a shell that finds an `ocipy`, and a container in STATE."""
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "ocipy"
    script.write_text(
        f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", "-S", "-c", START])} "$@"\n'
    )
    script.chmod(0o755)
    container = tmp_path / "STATE" / "demo-1"
    container.mkdir(parents=True)
    (container / "state.json").write_text("{}")
    (tmp_path / "bundle-directory").mkdir()
    (tmp_path / "bundle-file").write_text("")
    return {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


def run_shell(program: str, script: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [program, "-c", script],
        env=environ,
        cwd=environ["HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert not done.stderr, done.stderr
    return done.stdout


BASH = """
eval "$(ocipy completion bash)"
compopt() { :; }  # needs a real completion around it
COMP_WORDS=(%s)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ocipy ocipy
printf '%%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.requires("program:bash")
@pytest.mark.parametrize(("line", "expected"), CASES)
def test_bash(line: str, expected: list[str], environ: dict[str, str]) -> None:
    words = re.sub("=", " = ", line)
    # bash replaces only what is behind "=".
    replies = [word.partition("=")[2] or word for word in expected]
    assert run_shell("bash", BASH % words, environ).split() == replies


@pytest.mark.requires("program:bash")
def test_bash_finds_directories(environ: dict[str, str]) -> None:
    out = run_shell("bash", BASH % "ocipy run --bundle bundle", environ)
    assert out.split() == ["bundle-directory"]


@pytest.mark.requires("program:fish")
@pytest.mark.parametrize(("line", "expected"), CASES)
def test_fish(line: str, expected: list[str], environ: dict[str, str]) -> None:
    out = run_shell("fish", f"ocipy completion fish | source; complete -C '{line}'", environ)
    assert [word.split("\t")[0] for word in out.splitlines()] == expected


@pytest.mark.requires("program:fish")
def test_fish_finds_directories(environ: dict[str, str]) -> None:
    script = "ocipy completion fish | source; complete -C 'ocipy run --bundle bundle'"
    out = run_shell("fish", script, environ)
    assert [word.split("\t")[0] for word in out.splitlines()] == ["bundle-directory/"]


class Zsh:
    """An interactive zsh on a pty: completion exists nowhere else."""

    def __init__(self, environ: dict[str, str]) -> None:
        pid, self.fd = pty.fork()
        if pid == 0:  # pragma: no cover - another program
            os.chdir(environ["HOME"])
            os.execve("/usr/bin/zsh", ["zsh", "-f", "-i"], environ)
        self.pid, self.output = pid, ""

    def type(self, text: str) -> None:
        self.output = ""
        os.write(self.fd, text.encode())

    def wait_for(self, pattern: str) -> str:
        """Read until the output since type() matches; return the first group."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := re.search(pattern, self.output)):
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} in {self.output!r}"
            if select.select([self.fd], [], [], left)[0]:
                self.output += os.read(self.fd, 4096).decode(errors="replace")
        return found[1]

    def close(self) -> None:
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.mark.requires("program:zsh")
def test_zsh(environ: dict[str, str]) -> None:
    zsh = Zsh(environ)
    try:
        # What the line has become is printed when it is accepted, and not carried out.
        setup = [
            "unsetopt prompt_sp zle_bracketed_paste; PS1= RPS1=",
            "autoload -Uz compinit; compinit -u -D",
            'eval "$(ocipy completion zsh)"',
            'show() { print -r -- "<$BUFFER>"; BUFFER=; zle accept-line }',
            "zle -N show; bindkey '^G' show; echo $((20 + 3))ready",
        ]
        zsh.type("\n".join(setup) + "\n")
        zsh.wait_for(r"(23ready)")
        for line, expected in [*CASES, ("ocipy run --bundle bundle", ["bundle-directory/"])]:
            zsh.type(f"{line}\t\x07")
            become = zsh.wait_for(r"<(ocipy [^>]*)>").split()
            assert become[-1].rstrip("/") == expected[0].rstrip("/"), line
    finally:
        zsh.close()
