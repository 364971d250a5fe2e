"""Help texts, laid out from the option tables."""

from __future__ import annotations

import importlib.util

from ocipy.command_examples import EXAMPLES
from ocipy.errors import OcipyError, UsageError
from ocipy.options import FLAG, GLOBAL_OPTIONS, HELP, TEXTS, all_commands, find_command
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocipy.options import Command, Option
    from ocipy.request import Request

ABOUT = """\
ocipy - an OCI container runtime that explains itself

Runs a bundle: a directory with a config.json, as the Open Container Initiative specifies it, and a
root file system. Docker, podman and containerd can use it in runc's place.

  mkdir -p bundle/rootfs     # and fill it
  cd bundle && ocipy spec    # writes config.json
  ocipy run <container-id>
"""

# What there is to know of a command beside its options.
MORE = {
    "kill": "The signal is a name or a number; without one it is SIGTERM.",
    "delete": "A container that was created and never started is deleted without --force as well.",
    "create": "The container waits for 'ocipy start'.",
    "exec": "What follows the container's id belongs to the command. Exit status: that of the "
    "command;\n255 if ocipy itself failed.",
    "run": "Exit status: that of the process, 128 and the signal's number if a signal ended it.",
    "wait": "Prints the exit code: 128 and the signal's number if a signal ended it. It must begin "
    "before\nthe container ends, unless 'ocipy run --keep' has created it.",
    "doctor": "Exit status: 10 if something fails, 0 with warnings alone.",
    "audit": "Exit status: 30, 20 or 10 if the worst finding is critical, high or medium, else 0.",
    "inspect": "Exit status: 10 if --verify finds a difference.",
    "ps": "ps options are those of ps(1); without any, -ef.",
}


def print_help(request: Request) -> int:
    """Print help for ocipy, or for a command; return the exit status.

    0, and 1 for a command that does not exist yet: podman asks `checkpoint --help` whether it can
    checkpoint containers, and must be told the truth.
    """
    name = request.args[0] if request.command == "help" and request.args else request.command
    if name == "help" and not request.options.get("help"):
        print_text(_overview())
        return 0
    if name == "errors" or (name[:1] in "Ee" and name[1:].isdigit()):
        from ocipy.error_codes import describe_code, list_codes

        print_text(list_codes() if name == "errors" else describe_code(name.upper()))
        return 0
    command = find_command(name)
    if command is None:
        raise UsageError(f"No help topic for {name!r}", hint="see 'ocipy --help'", exit_code=3)
    print_text(_command_help(command))
    if not is_available(command.name):
        raise OcipyError(f"{command.name!r} is not supported by this version of ocipy")
    return 0


def is_available(name: str) -> bool:
    """Is the command more than a row in the table yet?"""
    return name == "help" or importlib.util.find_spec(f"ocipy.commands.{name}") is not None


def _overview() -> str:
    lines = [
        ABOUT,
        "Usage: ocipy [global options] <command> [options] [arguments]",
        "",
        "Commands:",
    ]
    lines += _columns((c.name, c.summary) for c in all_commands() if is_available(c.name))
    lines += ["", "Global options:"]
    lines += _option_lines(GLOBAL_OPTIONS)
    lines += [
        "",
        "'ocipy <command> --help' describes a command, 'ocipy help errors' the error codes.",
    ]
    return "\n".join(lines) + "\n"


def _command_help(command: Command) -> str:
    options = " [options]" if command.options else ""
    lines = [f"ocipy {command.name} - {command.summary}", ""]
    lines += [f"Usage: ocipy [global options] {command.name}{options} {command.arguments}".rstrip()]
    more = MORE.get(command.name)
    lines += ["", more] if more else []
    lines += ["", "Options:"]
    lines += _option_lines((*command.options, HELP))
    examples = EXAMPLES.get(command.name, ())
    lines += ["", "Examples:"] if examples else []
    lines += [line for what, typed in examples for line in (f"  # {what}", f"  {typed}")]
    return "\n".join(lines) + "\n"


def _option_lines(options: Iterable[Option]) -> list[str]:
    return _columns(
        (option_forms(option), option_text(option)) for option in options if not option.hidden
    )


def option_forms(option: Option) -> str:
    """Return how an option is written: "--bundle DIR, -b DIR"."""
    value = "" if option.kind == FLAG else f" {option.metavar}"
    short = f", -{option.short}{value}" if option.short else ""
    return f"--{option.name}{value}{short}"


def option_text(option: Option) -> str:
    """Return what an option does, with its default."""
    text = option.text
    if option.default is not None:
        text += f" (default: {option.default})"
    if option.kind == TEXTS:
        text += " (may be repeated)"
    return text


def _columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    table = list(rows)
    width = max(len(left) for left, _ in table) + 2
    return [f"  {left:<{width}}{right}".rstrip() for left, right in table]
