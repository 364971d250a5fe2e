"""Options, and the commands that clients call: what the parser and `--help` both read.

The other commands stand in other_commands.py: `state` and `kill` need not make them, too.

Names, short names and defaults are runc's (1.1 to 1.5): callers pass them by heart. What only ocipy
or crun has says so.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import OptionValue

FLAG, TEXT, TEXTS, NUMBER = "flag", "text", "texts", "number"
_EMPTY: dict[str, OptionValue] = {FLAG: False, TEXT: "", NUMBER: 0}


class Option:
    """`kind` is what the value is; TEXTS may be repeated. `metavar` names the value in the help.

    `hidden` options are accepted because callers pass them, but there is no reason to learn them.
    """

    __slots__ = ("default", "hidden", "kind", "metavar", "name", "short", "text")

    def __init__(
        self,
        name: str,
        kind: str,
        metavar: str,
        text: str,
        *,
        short: str = "",
        default: OptionValue | None = None,
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.kind = kind
        self.metavar = metavar
        self.text = text
        self.short = short
        self.default = default
        self.hidden = hidden

    def default_value(self) -> OptionValue:
        if self.default is not None:
            return self.default
        return [] if self.kind == TEXTS else _EMPTY[self.kind]


class Command:
    """`arguments` is how the usage line names them; fewer than `least` or more than `most` is a
    usage error (`most` -1: no limit).

    `options_first`: what follows the first argument belongs to somebody else (the program that
    exec starts, the ps that ps calls), so no option of ours is looked for there.
    """

    __slots__ = ("arguments", "least", "most", "name", "options", "options_first", "summary")

    def __init__(
        self,
        name: str,
        summary: str,
        arguments: str,
        least: int,
        most: int,
        options: tuple[Option, ...] = (),
        *,
        options_first: bool = False,
    ) -> None:
        self.name = name
        self.summary = summary
        self.arguments = arguments
        self.least = least
        self.most = most
        self.options = options
        self.options_first = options_first


GLOBAL_OPTIONS = (
    Option("debug", FLAG, "", "log every step, and a traceback where ocipy itself is at fault"),
    Option("log", TEXT, "FILE", "append log records to FILE (default: the standard error output)"),
    Option("log-format", TEXT, "FORMAT", "text or json", default="text"),
    Option("log-level", TEXT, "LEVEL", "error, warning, info or debug", default="info"),
    Option("root", TEXT, "DIR", "keep the state of containers in DIR (default: /run/ocipy; without "
           "root $XDG_RUNTIME_DIR/ocipy)"),
    Option("systemd-cgroup", FLAG, "", "let systemd make the cgroups"),
    Option("cgroup-manager", TEXT, "NAME", "cgroupfs, systemd or disabled"),
    Option("rootless", TEXT, "WHEN", "ignore cgroup permission errors: true, false or auto",
           default="auto"),
    Option("metrics", FLAG, "", "count this command in the state root, for 'ocipy metrics'; as "
           "does OCIPY_METRICS=1 in the environment"),
    Option("criu", TEXT, "FILE", "path of criu", default="criu", hidden=True),
    Option("help", FLAG, "", "show help", short="h"),
    Option("version", FLAG, "", "print the version", short="v"),
)  # fmt: skip

HELP = Option("help", FLAG, "", "show help", short="h")

BUNDLE = Option("bundle", TEXT, "DIR", "the bundle (default: the current directory)", short="b")
CONFIG = Option("config", TEXT, "FILE", "read FILE ('-': standard input) in place of the bundle's "
                "config.json", short="f")  # fmt: skip
STRICT = Option("strict", FLAG, "", "refuse a config with unknown fields instead of warning")
CONSOLE_SOCKET = Option("console-socket", TEXT, "SOCKET", "send the terminal's master there")
_PIDFD_SOCKET = Option("pidfd-socket", TEXT, "SOCKET", "send a pidfd of the process there")
PID_FILE = Option("pid-file", TEXT, "FILE", "write the process id to FILE")
NO_PIVOT = Option("no-pivot", FLAG, "", "do not use pivot_root: only for a rootfs on a ramdisk, "
                  "as it isolates less")  # fmt: skip
NO_KEYRING = Option("no-new-keyring", FLAG, "", "inherit the caller's session keyring")
_PRESERVE_FDS = Option("preserve-fds", NUMBER, "N", "pass N more file descriptors, after standard "
                       "input, output, error and $LISTEN_FDS")  # fmt: skip
_TRACE = Option("trace", TEXT, "FILE", "write when each step began and ended ('ocipy trace FILE' "
                "shows it)")  # fmt: skip
_RECORD_SECCOMP = Option("record-seccomp", TEXT, "FILE", "write the smallest seccomp profile "
                         "that allows what it does; what FILE has already is kept")  # fmt: skip
NO_SUBREAPER = Option("no-subreaper", FLAG, "", "do not become a subreaper")
DETACH = Option("detach", FLAG, "", "return once the process runs", short="d")
_CREATE = (
    BUNDLE, CONFIG, STRICT, CONSOLE_SOCKET, _PIDFD_SOCKET, PID_FILE, NO_PIVOT, NO_KEYRING,
    _PRESERVE_FDS,
)  # fmt: skip
ID = "<container-id>"

CLIENT_COMMANDS = (
    Command("create", "create a container", ID, 1, 1,
            (*_CREATE, _TRACE, Option("no-subreaper", FLAG, "", "", hidden=True))),
    Command("start", "start the process of a created container", ID, 1, 1),
    Command("run", "create and start a container", ID, 1, 1, (
        *_CREATE, DETACH,
        Option("keep", FLAG, "", "do not delete the container after its process has ended"),
        NO_SUBREAPER, _TRACE,
        _RECORD_SECCOMP)),
    Command("state", "print the state of a container", ID, 1, 1),
    Command("kill", "send a signal to the process of a container", f"{ID} [signal]", 1, 2, (
        Option("all", FLAG, "", "to all processes in the container", short="a"),)),
    Command("delete", "delete a container and all that was made for it", ID, 1, 1, (
        Option("force", FLAG, "", "kill it first if it runs; no error if it does not exist",
               short="f"),)),
    Command("exec", "run another process in a container",
            f"{ID} <command> [argument...] | --process FILE {ID}", 1, -1, (
        CONSOLE_SOCKET, _PIDFD_SOCKET,
        Option("cwd", TEXT, "DIR", "working directory, in the container"),
        Option("env", TEXTS, "NAME=VALUE", "set an environment variable", short="e"),
        Option("tty", FLAG, "", "give it a terminal", short="t"),
        Option("user", TEXT, "USER[:GROUP]", "run as this user", short="u"),
        Option("additional-gids", TEXTS, "GID", "add a supplementary group", short="g"),
        Option("process", TEXT, "FILE", "a JSON file that describes the process", short="p"),
        DETACH, PID_FILE,
        Option("process-label", TEXT, "LABEL", "SELinux label of the process"),
        Option("apparmor", TEXT, "PROFILE", "AppArmor profile of the process"),
        Option("no-new-privs", FLAG, "", "set no_new_privs"),
        Option("cap", TEXTS, "CAPABILITY", "add a capability", short="c"),
        _PRESERVE_FDS,
        Option("cgroup", TEXTS, "[CONTROLLER:]PATH", "run in this cgroup below the container's"),
        _TRACE, _RECORD_SECCOMP,
        Option("ignore-paused", FLAG, "", "do not refuse a paused container"),
        Option("no-subreaper", FLAG, "", "", hidden=True)), options_first=True),
)  # fmt: skip


def find_command(name: str) -> Command | None:
    """Return the command of that name; abbreviations are not accepted, a script would break."""
    found = [command for command in CLIENT_COMMANDS if command.name == name]
    found = found or [command for command in all_commands() if command.name == name]
    return found[0] if found else None


def all_commands() -> tuple[Command, ...]:
    """Return all commands, in the order in which the help shows them."""
    from ocipy.other_commands import OTHER_COMMANDS

    return (*CLIENT_COMMANDS, *OTHER_COMMANDS)
