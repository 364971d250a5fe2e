"""Man pages, laid out from the option tables.

python manual/man_pages.py DIRECTORY    write ocipy.8 and ocipy-COMMAND.8
python manual/man_pages.py --list       print their names
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # meson runs it by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ocipy import __version__
from ocipy.command_examples import EXAMPLES
from ocipy.help import MORE, is_available, option_forms, option_text
from ocipy.options import GLOBAL_OPTIONS, HELP, Command, Option, all_commands

_DESCRIPTION = """\
ocipy runs a bundle: a directory with a config.json, as the Open Container Initiative specifies it,
and a root file system. Docker, podman, containerd and Kubernetes can use it in the place of runc;
commands, options, exit statuses and messages are those of runc."""

_EXIT_STATUS = [
    ("0", "Success."),
    ("1", "ocipy failed; the error on standard error says what was tried, and what to do."),
    ("3", "There is no such command."),
    ("255", "ocipy failed in exec, where 1 may be the status of the process itself."),
    ("any", "run and exec, in the foreground, return that of the process; 128+N for signal N."),
]
_FILES = [
    ("/run/ocipy", "The state root: a directory with a record for each container."),
    ("$XDG_RUNTIME_DIR/ocipy", "The state root of a user without privileges."),
]
_ENVIRONMENT = [
    ("NOTIFY_SOCKET", "Where a container may say that it is ready, sd_notify(3)."),
    ("LISTEN_FDS", "How many sockets are passed on to the container, sd_listen_fds(3)."),
    ("XDG_RUNTIME_DIR", "See FILES."),
    ("NO_COLOR", "If it is set to anything, output on a terminal has no colours."),
]


def pages() -> dict[str, str]:
    """Return the text of each page by its file name."""
    commands = [command for command in all_commands() if is_available(command.name)]
    found = {"ocipy.8": _main_page(commands)}
    for command in commands:
        found[f"ocipy-{command.name}.8"] = _command_page(command)
    return found


def _main_page(commands: list[Command]) -> str:
    lines = [
        *_head("ocipy", "an OCI container runtime that explains itself"),
        *_synopsis("ocipy", "[global options] <command> [options] [arguments]"),
        ".SH DESCRIPTION",
        _text(_DESCRIPTION),
        ".SH COMMANDS",
    ]
    for command in commands:
        lines += [".TP", rf"\fBocipy\-{_text(command.name)}\fR(8)", _text(command.summary)]
    lines += [".SH GLOBAL OPTIONS", *_options(GLOBAL_OPTIONS)]
    lines += [".SH EXIT STATUS", *_definitions(_EXIT_STATUS)]
    lines += [".SH ENVIRONMENT", *_definitions(_ENVIRONMENT)]
    lines += [".SH FILES", *_definitions(_FILES)]
    lines += [".SH SEE ALSO", r"\fBrunc\fR(8), \fBnamespaces\fR(7), \fBcgroups\fR(7)"]
    return "\n".join(lines) + "\n"


def _command_page(command: Command) -> str:
    name = f"ocipy-{command.name}"
    options = "[options] " if command.options else ""
    lines = [
        *_head(name, command.summary),
        *_synopsis(f"ocipy {command.name}", f"{options}{command.arguments}".strip()),
        ".SH DESCRIPTION",
        _text(_sentence(command.summary)),
    ]
    if command.name in MORE:
        lines += [".PP", _text(MORE[command.name])]
    lines += [".SH OPTIONS", *_options((*command.options, HELP))]
    if command.name in EXAMPLES:
        lines += [".SH EXAMPLES"]
        for what, typed in EXAMPLES[command.name]:
            lines += [".TP", _text(_sentence(what)), rf"\fB{_text(typed)}\fR"]
    lines += [".SH SEE ALSO", r"\fBocipy\fR(8), for global options and the exit status"]
    return "\n".join(lines) + "\n"


def _head(name: str, summary: str) -> list[str]:
    title = name.upper().replace("-", r"\-")
    return [
        f'.TH "{title}" 8 "" "ocipy {__version__}" "ocipy"',
        ".SH NAME",
        rf"{_text(name)} \- {_text(summary)}",
    ]


def _synopsis(program: str, rest: str) -> list[str]:
    return [".SH SYNOPSIS", rf"\fB{_text(program)}\fR {_text(rest)}".rstrip()]


def _options(options: tuple[Option, ...]) -> list[str]:
    rows = [(option_forms(o), _sentence(option_text(o))) for o in options if not o.hidden]
    return _definitions(rows)


def _definitions(rows: list[tuple[str, str]]) -> list[str]:
    return [line for term, text in rows for line in (".TP", rf"\fB{_text(term)}\fR", _text(text))]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")


def _text(text: str) -> str:
    r"""Escape for troff: `\`, the minus of options, and a control character in front of a line."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    # What a UTF-8 terminal would show as typographic: it is to be copied.
    escaped = escaped.replace("'", r"\(aq").replace("`", r"\(ga").replace("^", r"\(ha")
    escaped = escaped.replace("~", r"\(ti")
    return "\n".join(rf"\&{line}" if line.startswith(".") else line for line in escaped.split("\n"))


def main(argv: list[str]) -> None:
    if argv == ["--list"]:
        print(*pages(), sep="\n")
        return
    directory = Path(argv[0])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
