"""Pages of the site that are laid out from tables in the code."""

from __future__ import annotations

import ocipy
from ocipy.command_examples import EXAMPLES
from ocipy.error_codes import list_codes
from ocipy.help import MORE, is_available, option_forms, option_text
from ocipy.options import GLOBAL_OPTIONS, Command, Option, all_commands

_COMMANDS = """\
# Commands

`ocipy [global options] <command> [options] [arguments]`. Names, short names and defaults are those
of runc; one dash or two mean the same, and options may follow arguments. `ocipy COMMAND --help`
prints the same on a terminal, as do the man pages.

## Global options

"""

_LIBRARY = """\
# Library

`import ocipy` gives a program what the command line has, without the command line: both call the
same functions. It is typed (`py.typed`), loads what it needs when that is first asked for, installs
no signal handler and prints nothing; warnings go to the logger `ocipy`. [Examples](examples.md)
that run show it at work.

```python
import ocipy

config = ocipy.Config.for_program(["/bin/sh", "-c", "cat"], rootfs="/srv/busybox")
print(ocipy.run(config, input="hello", timeout=10).stdout)
```

The process that creates a container is its parent: `wait()` knows the exit status, and the
container goes on if the program ends without having deleted it. `async` code waits with
`wait_async()`, and calls the rest in a thread: `await asyncio.to_thread(ocipy.run, config)`. Two
things are the whole program's, not a thread's: a hook of the config makes the program a *subreaper*
(`prctl(2)`), and a hook that runs past its timeout is killed together with whatever children other
threads have started meanwhile. So do not use hooks with timeouts from several threads.

Names that are listed here stay as they are within a major version.

"""


def command_reference() -> str:
    """Return the page of all commands."""
    parts = [_COMMANDS, _options(GLOBAL_OPTIONS)]
    parts += [_command(command) for command in all_commands() if is_available(command.name)]
    return "\n".join(parts)


def _command(command: Command) -> str:
    options = " [options]" if command.options else ""
    lines = [f"## {command.name}", "", _sentence(command.summary), ""]
    lines += [f"    ocipy {command.name}{options} {command.arguments}".rstrip(), ""]
    if command.name in MORE:
        lines += [_escape(MORE[command.name]), ""]
    lines += [_options(command.options)] if command.options else []
    for what, typed in EXAMPLES.get(command.name, ()):
        lines += [f"    # {what}", f"    {typed}"]
    return "\n".join(lines) + "\n"


def _options(options: tuple[Option, ...]) -> str:
    lines = ["| option | meaning |", "| --- | --- |"]
    for option in options:
        if not option.hidden:
            forms = option_forms(option).replace("|", r"\|")
            lines.append(f"| `{forms}` | {_escape(_sentence(option_text(option)))} |")
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _escape(text: str) -> str:
    for character in "<>|*_[]`":
        text = text.replace(character, f"\\{character}" if character not in "<>" else "")
    return text


def error_reference() -> str:
    """Return the page of the error codes."""
    return "# Error codes\n\n`ocipy help E123` explains one of them.\n\n```text\n" + (
        list_codes().rstrip("\n") + "\n```\n"
    )


def library_reference() -> str:
    """Return the page of the library: the tool that reads docstrings fills it in."""
    shown = [name for name in ocipy.__all__ if name != "__version__"]
    classes = ["run", "Container", "Config", "Bundle", "Plan", "Process", "Completed", "Exit"]
    errors = sorted(name for name in shown if name.endswith(("Error", "Faults")))
    assert {*classes, *errors} == set(shown), "a name of the library has no place on its page"
    parts = [_LIBRARY]
    for name in classes:
        parts.append(f"::: {_home(name)}.{name}\n")
    parts.append("## Errors\n")
    for name in errors:
        parts.append(f"::: {_home(name)}.{name}\n")
    return "\n".join(parts)


def _home(name: str) -> str:
    return f"ocipy.{ocipy._HOMES[name]}"


# Pages by their names in docs/, where they are not.
GENERATED = {
    "commands.md": command_reference,
    "errors.md": error_reference,
    "library.md": library_reference,
}
