"""What could be typed next: the answers behind the completion of all shells.

The scripts of `ocipy completion` ask for each word anew, so they are as new as the option tables,
and know the containers that there are.
"""

from __future__ import annotations

import re

from ocipy.help import is_available, option_text
from ocipy.options import FLAG, GLOBAL_OPTIONS, HELP, NUMBER, all_commands, find_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocipy.options import Command, Option

WORDS, FILES, DIRECTORIES = "words", "files", "directories"
_FILE_METAVARS, _DIRECTORY_METAVARS = frozenset({"FILE", "SOCKET"}), frozenset({"DIR"})
_SIGNALS = "TERM KILL HUP INT QUIT USR1 USR2 STOP CONT WINCH".split()


class Answer:
    """What may stand at the cursor: `kind`, and where that is WORDS, pairs of word and meaning."""

    __slots__ = ("kind", "words")

    def __init__(self, words: list[tuple[str, str]], kind: str = WORDS) -> None:
        self.words = words
        self.kind = kind


def complete(words: list[str], list_ids: Callable[[str], list[str]]) -> Answer:
    """Return what the last of these words, which may be "", could become.

    `words` follow the program's name. bash gives `--format=json` as three words; both forms are
    understood. `list_ids` returns the containers of a state root.
    """
    words = _rejoined(words)
    *before, current = words or [""]
    values, rest, waiting = _walk(before, GLOBAL_OPTIONS, options_first=True)
    if waiting is not None:
        return _value_of(waiting, current, "")
    if not rest:
        if current.startswith("-"):
            return _option(current, GLOBAL_OPTIONS)
        names = [(c.name, c.summary) for c in all_commands() if is_available(c.name)]
        return _starting(current, names)
    command = find_command(rest[0])
    if command is None:
        return Answer([])
    options = (*command.options, HELP)
    _, args, waiting = _walk(rest[1:], options, options_first=command.options_first)
    if waiting is not None:
        return _value_of(waiting, current, "")
    if command.options_first and args:
        return Answer([])  # somebody else's words
    if current.startswith("-"):
        return _option(current, options)
    return _argument(command, args, current, lambda: list_ids(values.get("root", "")))


def _rejoined(words: list[str]) -> list[str]:
    joined: list[str] = []
    for i, word in enumerate(words):
        if word == "=" and joined and joined[-1].startswith("-"):
            joined[-1] += "="
        elif i and words[i - 1] == "=" and joined and joined[-1].endswith("="):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _walk(
    words: list[str], options: tuple[Option, ...], *, options_first: bool
) -> tuple[dict[str, str], list[str], Option | None]:
    """Return given values, arguments, and the option whose value comes next, if one does.

    With `options_first` the arguments are all from the first on.
    """
    known = {option.name: option for option in options}
    known |= {option.short: option for option in options if option.short}
    values: dict[str, str] = {}
    args: list[str] = []
    waiting: Option | None = None
    for i, word in enumerate(words):
        if waiting is not None:
            values[waiting.name] = word
            waiting = None
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = word.lstrip("-").partition("=")
            option = known.get(name)
            if equals:
                values[name] = value
            elif option is not None and option.kind != FLAG:
                waiting = option
        elif options_first:
            return values, words[i:], None
        else:
            args.append(word)
    return values, args, waiting


def _option(current: str, options: tuple[Option, ...]) -> Answer:
    name, equals, value = current.partition("=")
    if equals:
        for option in options:
            if f"--{option.name}" == name and option.kind != FLAG:
                return _value_of(option, value, f"{name}=")
        return Answer([])
    shown = [option for option in options if not option.hidden]
    return _starting(current, [(f"--{option.name}", option_text(option)) for option in shown])


def _value_of(option: Option, current: str, before: str) -> Answer:
    if option.metavar in _FILE_METAVARS:
        return Answer([], FILES)
    if option.metavar in _DIRECTORY_METAVARS:
        return Answer([], DIRECTORIES)
    return _starting(before + current, [(before + choice, "") for choice in choices(option)])


def choices(option: Option) -> list[str]:
    """Return the values that an option's text or metavar lists: "text or json", "0|1"."""
    if "|" in option.metavar:
        return option.metavar.split("|")
    listed = option.text.rpartition(": ")[2].partition(";")[0]
    words = re.split(r",? or |, ", listed)
    simple = all(re.fullmatch(r"[a-z0-9]+", word) for word in words)
    return words if len(words) > 1 and simple and option.kind != NUMBER else []


def _argument(
    command: Command, args: list[str], current: str, list_ids: Callable[[], list[str]]
) -> Answer:
    if command.name == "help":
        return _starting(
            current, [(c.name, c.summary) for c in all_commands() if is_available(c.name)]
        )
    if command.name == "kill" and len(args) == 1:
        return _starting(current, [(name, "") for name in _SIGNALS])
    if args or not command.arguments:
        return Answer([])
    if "container-id" in command.arguments:
        return _starting(current, [(container_id, "") for container_id in list_ids()])
    if "<file>" in command.arguments:
        return Answer([], FILES)
    return _starting(current, [(word, "") for word in command.arguments.split("|")])


def _starting(start: str, words: list[tuple[str, str]]) -> Answer:
    return Answer([pair for pair in words if pair[0].startswith(start)])
