"""The command lines that callers really pass, and those that nobody should."""

from __future__ import annotations

import pytest

from ocipy.arguments import parse_command, parse_globals
from ocipy.errors import UsageError
from ocipy.options import GLOBAL_OPTIONS, NUMBER, all_commands
from ocipy.request import Request


def parse(line: str | list[str]) -> Request:
    values, rest = parse_globals(line.split() if isinstance(line, str) else line)
    return parse_command(values, rest)


@pytest.mark.parametrize(
    ("line", "command", "options", "args"),
    [
        # containerd's shim (go-runc), dockerd
        (
            ("--root /run/containerd/runc/default --log /b/log.json --log-format json create "
            "--bundle /b --pid-file /b/init.pid --console-socket /s c1"),
            "create",
            {"bundle": "/b", "pid-file": "/b/init.pid", "console-socket": "/s"},
            ["c1"],
        ),
        ("--root R kill c1 9", "kill", {}, ["c1", "9"]),
        ("--root R kill --all c1 9", "kill", {"all": True}, ["c1", "9"]),
        ("--root R ps --format json c1", "ps", {"format": "json"}, ["c1"]),
        ("--root R update --resources - c1", "update", {"resources": "-"}, ["c1"]),
        ("--root R update --resources=- c1", "update", {"resources": "-"}, ["c1"]),
        ("--root R delete --force c1", "delete", {"force": True}, ["c1"]),
        ("restore -no-subreaper c1", "restore", {"no-subreaper": True}, ["c1"]),
        (
            "exec --process /p --detach --pid-file /f c1",
            "exec",
            {"process": "/p", "detach": True, "pid-file": "/f"},
            ["c1"],
        ),
        ("list --format=json", "list", {"format": "json"}, []),
        # conmon, podman
        (
            ("--cgroup-manager disabled --log-format=json --log F create --bundle B "
            "--preserve-fds 3 c1"),
            "create",
            {"bundle": "B", "preserve-fds": 3},
            ["c1"],
        ),
        ("exec --pid-file F --process P -d --tty c1", "exec",
         {"pid-file": "F", "process": "P", "detach": True, "tty": True}, ["c1"]),
        # people
        ("delete c1 --force", "delete", {"force": True}, ["c1"]),
        ("kill c1 9 --all", "kill", {"all": True}, ["c1", "9"]),
        ("run -bundle B -d=false c1", "run", {"bundle": "B", "detach": False}, ["c1"]),
        ("run -f - c1", "run", {"config": "-"}, ["c1"]),
        ("delete -- -f", "delete", {}, ["-f"]),
        ("exec -e A=1 -e B=2 -c CAP_KILL c1 ls -l --all", "exec",
         {"env": ["A=1", "B=2"], "cap": ["CAP_KILL"]}, ["c1", "ls", "-l", "--all"]),
        ("exec c1 sh -c true -- --", "exec", {}, ["c1", "sh", "-c", "true", "--", "--"]),
        ("ps c1 -o pid,cmd", "ps", {}, ["c1", "-o", "pid,cmd"]),
        ("update --cpu-burst 1000 --cpu-idle=1 --pids-limit -1 c1", "update",
         {"cpu-burst": "1000", "cpu-idle": "1", "pids-limit": -1}, ["c1"]),
        ("checkpoint --empty-ns network --empty-ns uts c1", "checkpoint",
         {"empty-ns": ["network", "uts"]}, ["c1"]),
    ],
)  # fmt: skip
def test_command_lines_of_callers(
    line: str, command: str, options: dict[str, object], args: list[str]
) -> None:
    request = parse(line)
    assert request.command == command
    assert request.options == options
    assert request.args == args


def test_global_options_reach_the_request() -> None:
    request = parse("--root=R --log L --log-format=json --debug --systemd-cgroup "
                    "--rootless true state c1")  # fmt: skip
    assert (request.root, request.log, request.log_format) == ("R", "L", "json")
    assert (request.debug, request.systemd_cgroup, request.rootless) == (True, True, "true")


def test_an_option_value_may_start_with_a_dash_or_be_empty() -> None:
    assert parse(["exec", "--cwd", "--env", "c1"]).options == {"cwd": "--env"}
    assert parse(["create", "--bundle=", "c1"]).options == {"bundle": ""}
    assert parse(["exec", "--env", "A==", "c1"]).options == {"env": ["A=="]}


def test_defaults() -> None:
    request = parse("create c1")
    assert request.text("bundle") == ""
    assert request.number("preserve-fds") == 0
    assert request.flag("no-pivot") is False
    assert not request.given("bundle")
    assert parse("exec c1 true").texts("env") == []
    assert parse("list").text("format") == "table"
    assert parse("events c1").text("interval") == "5s"


def test_asking_for_an_option_that_the_command_lacks_is_a_bug() -> None:
    with pytest.raises(KeyError):
        parse("start c1").flag("detach")


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        ("--bogus state", "flag provided but not defined: -bogus", "see 'ocipy --help'"),
        ("--rot R state", "flag provided but not defined: -rot", "did you mean '--root'?"),
        ("create --bundel B c", "flag provided but not defined: -bundel",
         "did you mean '--bundle'?"),
        ("delete --forc c", "flag provided but not defined: -forc", "did you mean '--force'?"),
        ("delete -fx c", "flag provided but not defined: -fx", "see 'ocipy delete --help'"),
        # Options of ocipy itself stand before the command.
        ("state --root R c", "flag provided but not defined: -root", ""),
        # podman asks this way whether the option exists.
        ("restore --lsm-mount-context", "flag needs an argument: -lsm-mount-context", ""),
        ("--root", "flag needs an argument: -root", ""),
        ("kill --all=maybe c", 'invalid boolean value "maybe" for -all', ""),
        ("create --preserve-fds x c", 'invalid value "x" for flag -preserve-fds', ""),
        ("create --preserve-fds 1_0 c", 'invalid value "1_0" for flag', ""),
        ("create --preserve-fds= c", 'invalid value "" for flag', ""),
        ("--log-format xml state c", "invalid log-format: xml", "text or json"),
        ("--rootless maybe state c", "invalid rootless: maybe", ""),
        ("state", '"state" requires exactly 1 argument(s)', "ocipy state <container-id>"),
        ("kill", '"kill" requires a minimum of 1 argument(s)', ""),
        ("state a b", '"state" has too many arguments: \'b\'', ""),
        ("list x", '"list" takes no arguments', ""),
    ],
)  # fmt: skip
def test_usage_errors(line: str, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line)
    assert problem in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("name", "hint"),
    [("stat", "did you mean 'state'?"), ("xyzzy", "see 'ocipy --help'"), ("", "see")],
)
def test_unknown_commands_end_like_runc_with_3(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([name])
    assert hint in caught.value.hint
    assert caught.value.exit_code == 3


def test_help_is_understood_even_where_arguments_are_missing() -> None:
    assert parse("checkpoint --help").options == {"help": True}
    assert parse("exec -h").options == {"help": True}


@pytest.mark.parametrize("command", [c.name for c in all_commands()])
def test_the_table_is_consistent(command: str) -> None:
    (found,) = (c for c in all_commands() if c.name == command)
    names = [o.name for o in found.options] + [o.short for o in found.options if o.short]
    assert len(names) == len(set(names))
    for option in (*found.options, *GLOBAL_OPTIONS):
        assert option.hidden or option.text
        assert (option.metavar == "") == (option.kind == "flag")
        if option.kind == NUMBER:
            assert isinstance(option.default_value(), int)


# What runc 1.1 to 1.5 accept; hidden ones included.
RUNC_OPTIONS = {
    "create": "bundle b console-socket pid-file no-pivot no-new-keyring preserve-fds pidfd-socket",
    "run": "bundle b console-socket detach d keep pid-file no-subreaper no-pivot no-new-keyring "
    "preserve-fds pidfd-socket",
    "exec": "console-socket pidfd-socket cwd env e tty t user u additional-gids g process p detach "
    "d pid-file process-label apparmor no-new-privs cap c preserve-fds cgroup ignore-paused "
    "no-subreaper",
    "kill": "all a",
    "delete": "force f",
    "list": "format f quiet q",
    "ps": "format f",
    "spec": "bundle b rootless",
    "events": "interval stats",
    "update": "resources r blkio-weight cpu-period cpu-quota cpu-burst cpu-share cpu-rt-period "
    "cpu-rt-runtime cpuset-cpus cpuset-mems kernel-memory kernel-memory-tcp memory "
    "memory-reservation memory-swap pids-limit l3-cache-schema mem-bw-schema cpu-idle",
    "checkpoint": "image-path work-path parent-path leave-running tcp-established "
    "tcp-skip-in-flight link-remap ext-unix-sk shell-job lazy-pages status-fd page-server "
    "file-locks pre-dump manage-cgroups-mode empty-ns auto-dedup",
    "restore": "console-socket image-path work-path tcp-established ext-unix-sk shell-job "
    "file-locks manage-cgroups-mode bundle b detach d pid-file no-subreaper no-pivot empty-ns "
    "auto-dedup lazy-pages lsm-profile lsm-mount-context",
    "features": "",
}


@pytest.mark.parametrize("command", RUNC_OPTIONS)
def test_every_option_of_runc_is_there(command: str) -> None:
    (found,) = (c for c in all_commands() if c.name == command)
    names = {o.name for o in found.options} | {o.short for o in found.options}
    assert set(RUNC_OPTIONS[command].split()) <= names
