"""argv to a Request, in the grammar of Go's `flag` package with urfave/cli on top, as runc has it.

    ocipy [global options] COMMAND [options] [arguments]

One dash or two mean the same, and there are no bundles of short options: `-bundle B`, `--bundle B`,
`--bundle=B` and `-b B` all work, `-fq` does not. A flag takes a value only after `=`. `--` ends the
options. Options may follow arguments (`kill ID 9 --all`), except after the first argument of the
commands that say `options_first`. containerd, dockerd, conmon and CRI-O use all of these forms.
"""

from __future__ import annotations

from ocipy.errors import UsageError
from ocipy.options import FLAG, GLOBAL_OPTIONS, HELP, NUMBER, TEXTS, all_commands, find_command
from ocipy.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.options import Command, Option
    from ocipy.request import OptionValue

# As strconv.ParseBool reads them.
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


def parse_globals(argv: list[str]) -> tuple[dict[str, OptionValue], list[str]]:
    """Split a command line: the global options, and the rest from the command's name on."""
    values, rest = _parse(argv, GLOBAL_OPTIONS, "ocipy --help", options_first=True)
    _one_of(values, "log-format", ("text", "json"))
    _one_of(values, "cgroup-manager", ("cgroupfs", "systemd", "disabled"))
    # crun's list; runc has no such option.
    _one_of(values, "log-level", ("error", "warning", "warn", "info", "debug"))
    _one_of(values, "rootless", ("auto", *_BOOLEANS))
    return values, rest


def parse_command(global_values: dict[str, OptionValue], rest: list[str]) -> Request:
    """Understand the command and what follows it.

    Raises:
        UsageError: unknown command (exit status 3, as runc's) or option, a value that is missing
            or no number, or the wrong number of arguments.
    """
    name, rest = rest[0], rest[1:]
    command = find_command("help" if name == "h" else name)
    if command is None:
        raise UsageError(
            f"no such command: {name!r}",
            hint=_did_you_mean(name, [c.name for c in all_commands()], "") or "see 'ocipy --help'",
            exit_code=3,
        )
    see = f"ocipy {command.name} --help"
    options, args = _parse(rest, (*command.options, HELP), see, options_first=command.options_first)
    request = _request(global_values, command, options, args)
    if not options.get("help"):
        _check_count(command, args, see)
    return request


def _request(
    values: dict[str, OptionValue],
    command: Command,
    options: dict[str, OptionValue],
    args: list[str],
) -> Request:
    manager = str(values.get("cgroup-manager", ""))
    return Request(
        command.name,
        root=str(values.get("root", "")),
        log=str(values.get("log", "")),
        log_format=str(values.get("log-format", "text")),
        debug=bool(values.get("debug")) or values.get("log-level") == "debug",
        systemd_cgroup=bool(values.get("systemd-cgroup")) or manager == "systemd",
        cgroup_manager=manager,
        rootless=str(values.get("rootless", "auto")),
        options=options,
        defaults={option.name: option.default_value() for option in command.options},
        args=args,
    )


def _parse(
    words: list[str], options: tuple[Option, ...], see: str, *, options_first: bool
) -> tuple[dict[str, OptionValue], list[str]]:
    known = {option.name: option for option in options}
    known.update({option.short: option for option in options if option.short})
    values: dict[str, OptionValue] = {}
    args: list[str] = []
    i = 0
    while i < len(words):
        word = words[i]
        i += 1
        if word == "--":
            return values, args + words[i:]
        if len(word) < 2 or word[0] != "-":  # "-" alone is an argument: standard input
            args.append(word)
            if options_first:
                return values, args + words[i:]
            continue
        name, equals, value = word[2 if word[1] == "-" else 1 :].partition("=")
        option = known.get(name)
        if option is None:
            # The text is Go's: podman and others search for it to find out what a runtime can do.
            raise UsageError(
                f"flag provided but not defined: -{name}",
                hint=_did_you_mean(name, list(known), "--") or f"see '{see}'",
            )
        if option.kind == FLAG:
            values[option.name] = _boolean(name, value) if equals else True
            continue
        if not equals:
            if i == len(words):
                # podman finds out with this text whether `restore --lsm-mount-context` exists.
                raise UsageError(f"flag needs an argument: -{name}", hint=f"see '{see}'")
            value = words[i]
            i += 1
        if option.kind == TEXTS:
            collected = values.setdefault(option.name, [])
            assert isinstance(collected, list)
            collected.append(value)
        else:
            values[option.name] = _number(name, value) if option.kind == NUMBER else value
    return values, args


def _boolean(name: str, value: str) -> bool:
    if value not in _BOOLEANS:
        raise UsageError(f'invalid boolean value "{value}" for -{name}: use true or false')
    return _BOOLEANS[value]


def _number(name: str, value: str) -> int:
    try:
        # int() alone would take "1_000", " 1 " and Arabic digits.
        if not value.isascii() or not value.lstrip("+-").isdigit():
            raise ValueError
        return int(value)
    except ValueError:
        raise UsageError(f'invalid value "{value}" for flag -{name}: not a number') from None


def _one_of(values: dict[str, OptionValue], name: str, allowed: tuple[str, ...]) -> None:
    value = values.get(name)
    if value is not None and value not in allowed:
        names = ", ".join(allowed[:-1]) + " or " + allowed[-1]
        raise UsageError(f"invalid {name}: {value}", hint=f"--{name} is {names}")


def _check_count(command: Command, args: list[str], see: str) -> None:
    if command.least <= len(args) and (command.most < 0 or len(args) <= command.most):
        return
    if command.most == 0:
        raise UsageError(f'"{command.name}" takes no arguments: {args[0]!r}', hint=f"see '{see}'")
    if len(args) < command.least:
        wants = "exactly" if command.least == command.most else "a minimum of"
        problem = f'"{command.name}" requires {wants} {command.least} argument(s)'
    else:
        problem = f'"{command.name}" has too many arguments: {args[command.most]!r}'
    raise UsageError(problem, hint=f"usage: ocipy {command.name} {command.arguments}")


def _did_you_mean(word: str, names: list[str], dashes: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, [name for name in names if len(name) > 1], n=1)
    return f"did you mean '{dashes}{near[0]}'?" if near else ""
