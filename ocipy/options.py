"""The commands and their options: the one table that the parser and `--help` both read.

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

_BUNDLE = Option("bundle", TEXT, "DIR", "the bundle (default: the current directory)", short="b")
_CONFIG = Option("config", TEXT, "FILE", "read FILE ('-': standard input) in place of the bundle's "
                 "config.json", short="f")  # fmt: skip
_STRICT = Option("strict", FLAG, "", "refuse a config with unknown fields instead of warning")
_CONSOLE_SOCKET = Option("console-socket", TEXT, "SOCKET", "send the terminal's master there")
_PIDFD_SOCKET = Option("pidfd-socket", TEXT, "SOCKET", "send a pidfd of the process there")
_PID_FILE = Option("pid-file", TEXT, "FILE", "write the process id to FILE")
_NO_PIVOT = Option("no-pivot", FLAG, "", "do not use pivot_root: only for a rootfs on a ramdisk, "
                   "as it isolates less")  # fmt: skip
_NO_KEYRING = Option("no-new-keyring", FLAG, "", "inherit the caller's session keyring")
_PRESERVE_FDS = Option("preserve-fds", NUMBER, "N", "pass N more file descriptors, after standard "
                       "input, output, error and $LISTEN_FDS")  # fmt: skip
_TRACE = Option("trace", TEXT, "FILE", "write when each step began and ended ('ocipy trace FILE' "
                "shows it)")  # fmt: skip
_RECORD_SECCOMP = Option("record-seccomp", TEXT, "FILE", "write the smallest seccomp profile "
                         "that allows what it does; what FILE has already is kept")  # fmt: skip
_NO_SUBREAPER = Option("no-subreaper", FLAG, "", "do not become a subreaper")
_DETACH = Option("detach", FLAG, "", "return once the process runs", short="d")
_FORMAT = Option("format", TEXT, "FORMAT", "table or json", short="f", default="table")
_CREATE = (
    _BUNDLE, _CONFIG, _STRICT, _CONSOLE_SOCKET, _PIDFD_SOCKET, _PID_FILE, _NO_PIVOT, _NO_KEYRING,
    _PRESERVE_FDS,
)  # fmt: skip
_CHECKPOINT_BOTH = (
    Option("image-path", TEXT, "DIR", "directory of the image files"),
    Option("work-path", TEXT, "DIR", "directory of work files and logs"),
    Option("tcp-established", FLAG, "", "allow open TCP connections"),
    Option("ext-unix-sk", FLAG, "", "allow external unix sockets"),
    Option("shell-job", FLAG, "", "allow shell jobs"),
    Option("file-locks", FLAG, "", "allow file locks"),
    Option("lazy-pages", FLAG, "", "restore memory pages lazily, with userfaultfd"),
    Option("link-remap", FLAG, "", "allow remapping of unlinked files"),
    Option("manage-cgroups-mode", TEXT, "MODE", "soft, full, strict or ignore"),
    Option("empty-ns", TEXTS, "NAMESPACE", "make a namespace, but do not restore its properties"),
    Option("auto-dedup", FLAG, "", "deduplicate memory images"),
)
_ID = "<container-id>"

COMMANDS = (
    Command("create", "create a container", _ID, 1, 1,
            (*_CREATE, _TRACE, Option("no-subreaper", FLAG, "", "", hidden=True))),
    Command("start", "start the process of a created container", _ID, 1, 1),
    Command("run", "create and start a container", _ID, 1, 1, (
        *_CREATE, _DETACH,
        Option("keep", FLAG, "", "do not delete the container after its process has ended"),
        _NO_SUBREAPER, _TRACE,
        _RECORD_SECCOMP)),
    Command("state", "print the state of a container", _ID, 1, 1),
    Command("kill", "send a signal to the process of a container", f"{_ID} [signal]", 1, 2, (
        Option("all", FLAG, "", "to all processes in the container", short="a"),)),
    Command("delete", "delete a container and all that was made for it", _ID, 1, 1, (
        Option("force", FLAG, "", "kill it first if it runs; no error if it does not exist",
               short="f"),)),
    Command("exec", "run another process in a container",
            f"{_ID} <command> [argument...] | --process FILE {_ID}", 1, -1, (
        _CONSOLE_SOCKET, _PIDFD_SOCKET,
        Option("cwd", TEXT, "DIR", "working directory, in the container"),
        Option("env", TEXTS, "NAME=VALUE", "set an environment variable", short="e"),
        Option("tty", FLAG, "", "give it a terminal", short="t"),
        Option("user", TEXT, "USER[:GROUP]", "run as this user", short="u"),
        Option("additional-gids", TEXTS, "GID", "add a supplementary group", short="g"),
        Option("process", TEXT, "FILE", "a JSON file that describes the process", short="p"),
        _DETACH, _PID_FILE,
        Option("process-label", TEXT, "LABEL", "SELinux label of the process"),
        Option("apparmor", TEXT, "PROFILE", "AppArmor profile of the process"),
        Option("no-new-privs", FLAG, "", "set no_new_privs"),
        Option("cap", TEXTS, "CAPABILITY", "add a capability", short="c"),
        _PRESERVE_FDS,
        Option("cgroup", TEXTS, "[CONTROLLER:]PATH", "run in this cgroup below the container's"),
        _TRACE, _RECORD_SECCOMP,
        Option("ignore-paused", FLAG, "", "do not refuse a paused container"),
        Option("no-subreaper", FLAG, "", "", hidden=True)), options_first=True),
    Command("list", "list the containers of a root directory", "", 0, 0, (
        _FORMAT, Option("quiet", FLAG, "", "print ids only", short="q"))),
    Command("ps", "list the processes in a container", f"{_ID} [ps options]", 1, -1, (_FORMAT,),
            options_first=True),
    Command("pause", "suspend all processes in a container", _ID, 1, 1),
    Command("resume", "resume all processes in a paused container", _ID, 1, 1),
    Command("update", "change the resource limits of a container", _ID, 1, 1, (
        Option("resources", TEXT, "FILE", "read linux.resources from FILE ('-': standard input); "
               "the other options are then ignored", short="r"),
        Option("blkio-weight", NUMBER, "N", "relative weight of block I/O, 10 to 1000"),
        Option("cpu-period", TEXT, "USEC", "length of the period that --cpu-quota counts in"),
        Option("cpu-quota", TEXT, "USEC", "CPU time in each period"),
        Option("cpu-burst", TEXT, "USEC", "unused CPU time that may be saved up"),
        Option("cpu-share", TEXT, "N", "relative weight of CPU time"),
        Option("cpu-rt-period", TEXT, "USEC", "length of the realtime period"),
        Option("cpu-rt-runtime", TEXT, "USEC", "realtime CPU time in each realtime period"),
        Option("cpuset-cpus", TEXT, "LIST", "CPUs to run on, such as 0-2,7"),
        Option("cpuset-mems", TEXT, "LIST", "memory nodes to use"),
        Option("memory", TEXT, "BYTES", "memory limit; suffixes K, M, G are understood"),
        Option("memory-reservation", TEXT, "BYTES", "memory that reclaim leaves alone"),
        Option("memory-swap", TEXT, "BYTES", "limit of memory and swap together; -1: none"),
        Option("kernel-memory", TEXT, "BYTES", "ignored: no supported kernel has it", hidden=True),
        Option("kernel-memory-tcp", TEXT, "BYTES", "ignored, as --kernel-memory", hidden=True),
        Option("pids-limit", NUMBER, "N", "highest number of processes"),
        Option("l3-cache-schema", TEXT, "SCHEMA", "Intel RDT: L3 cache allocation"),
        Option("mem-bw-schema", TEXT, "SCHEMA", "Intel RDT: memory bandwidth"),
        Option("cpu-idle", TEXT, "0|1", "1: give CPU time only when nobody else wants it"))),
    Command("wait", "wait until a container has ended, and print its exit code", _ID, 1, 1, (
        Option("format", TEXT, "FORMAT", "text or json", default="text"),
        Option("timeout", TEXT, "DURATION", "give up after this time, such as 30s"))),
    Command("events", "print resource usage and out-of-memory events",
            f"{_ID} | --lifecycle [{_ID}]", 0, 1, (
        Option("lifecycle", FLAG, "", "print what happens to the container instead: created, "
               "started, paused, resumed, oom, exit, deleted; without an id, to all containers"),
        Option("interval", TEXT, "DURATION", "time between two reports", default="5s"),
        Option("stats", FLAG, "", "print one report and end"))),
    Command("spec", "write a config.json to start from", "", 0, 0, (
        Option("bundle", TEXT, "DIR", "write into DIR (default: the current directory)", short="b"),
        Option("rootless", FLAG, "", "for a user without privileges"))),
    Command("plan", "print what create would do, step by step, and do nothing", "", 0, 0, (
        _BUNDLE, _CONFIG, _STRICT, _NO_PIVOT, _NO_KEYRING,
        Option("id", TEXT, "ID", "plan for a container of this name", default="container"),
        Option("format", TEXT, "FORMAT", "text or json", default="text"),
        Option("diff", TEXT, "DIR", "print how the plan of the bundle DIR differs"))),
    Command("doctor", "say what this host can do for containers, and what it lacks", "", 0, 0, (
        Option("bundle", TEXT, "DIR", "say also which fields of this bundle it cannot honour",
               short="b"),
        _CONFIG,
        Option("format", TEXT, "FORMAT", "text or json", default="text"))),
    Command("audit", "say what a bundle or a container gives away, worst first", "[container-id]",
            0, 1, (
        Option("bundle", TEXT, "DIR", "the bundle (default: the current directory)", short="b"),
        _CONFIG,
        Option("format", TEXT, "FORMAT", "text, json or sarif", default="text"))),
    Command("inspect", "say what is really in force for a container, read from the kernel", _ID,
            1, 1, (
        Option("verify", FLAG, "", "compare it with the config, and list the drift"),
        Option("host", FLAG, "", "show it beside the host's own"),
        Option("format", TEXT, "FORMAT", "text or json (default: text on a terminal)"))),
    Command("trace", "show what run, create and exec have written with --trace", "<file>", 1, 1, (
        Option("format", TEXT, "FORMAT", "text or svg; FILE itself is for Perfetto and "
               "chrome://tracing", default="text"),)),
    Command("validate", "say what is wrong with a config.json", "", 0, 0, (
        _BUNDLE, _CONFIG, _STRICT)),
    Command("features", "print what this runtime supports, as JSON", "", 0, 0),
    Command("metrics", "print what was counted with --metrics, as Prometheus reads it", "", 0, 0),
    Command("checkpoint", "checkpoint a running container", _ID, 1, 1, (
        *_CHECKPOINT_BOTH,
        Option("parent-path", TEXT, "DIR", "image files of the previous --pre-dump"),
        Option("leave-running", FLAG, "", "let the process run on"),
        Option("tcp-skip-in-flight", FLAG, "", "skip TCP connections that are being made"),
        Option("status-fd", NUMBER, "FD", "write a zero byte there when lazy pages are ready",
               default=-1),
        Option("page-server", TEXT, "ADDRESS:PORT", "send pages to this server"),
        Option("pre-dump", FLAG, "", "dump memory only, and let the process run on"))),
    Command("restore", "restore a container from a checkpoint", _ID, 1, 1, (
        *_CHECKPOINT_BOTH, _BUNDLE, _CONSOLE_SOCKET, _DETACH, _PID_FILE, _NO_SUBREAPER, _NO_PIVOT,
        Option("tcp-close", FLAG, "", "close restored TCP connections"),
        Option("lsm-profile", TEXT, "TYPE:NAME", "restore with this LSM profile"),
        Option("lsm-mount-context", TEXT, "CONTEXT", "restore with this LSM mount context"))),
    Command("completion", "print the completion script of a shell", "bash|zsh|fish", 1, -1,
            options_first=True),
    Command("help", "show help for ocipy, for a command, or for an error code",
            "[command | code | errors]", 0, 1),
)  # fmt: skip


def find_command(name: str) -> Command | None:
    """Return the command of that name; abbreviations are not accepted, a script would break."""
    for command in COMMANDS:
        if command.name == name:
            return command
    return None
