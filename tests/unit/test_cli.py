"""The command line as a whole: output, exit status, and nothing but sentences on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from ocipy import cli, log
from ocipy.errors import ConfigError, OcipyError
from ocipy.request import Request

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
Fail = Callable[[BaseException], None]

START = f"import sys; sys.path.insert(0, {REPOSITORY!r}); from ocipy.cli import main; main()"


def ocipy(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", START, *args],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def root(tmp_path: object) -> str:
    return f"{tmp_path}/root"


@pytest.fixture
def state_that_fails(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Return a function that sets what `ocipy state` raises, in this process."""

    def fail_with(error: BaseException) -> None:
        import ocipy.commands.state

        def run(request: Request) -> int:
            log.warning("something odd")
            raise error

        monkeypatch.setattr(ocipy.commands.state, "run", run)
        # Records go to what pytest captures.
        monkeypatch.setattr(log._log, "fd", 2)
        monkeypatch.setattr(log._log, "warnings", [])

    return fail_with


def test_version_as_dockerd_takes_it_apart() -> None:
    out = ocipy("--version").stdout
    # daemon.parseRuntimeVersion: the last line with "version" wins, a "commit:" line must be there.
    with_version = [line for line in out.splitlines() if "version" in line]
    assert with_version == [f"ocipy version {__import__('ocipy').__version__}"]
    assert any(line.startswith("commit: ") for line in out.splitlines())
    assert "spec: 1.3.0" in out.splitlines()
    assert ocipy("-v", "list").stdout == out


def test_errors_without_a_log_are_one_logrus_line_on_stderr(root: str) -> None:
    done = ocipy("--root", root, "state", "nope")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith('time="20')
    assert ' level=error msg="container does not exist: nope"' in done.stderr


def test_with_a_log_the_record_is_there_and_a_plain_line_on_stderr(root: str) -> None:
    path = root + ".log"
    for _ in range(2):
        done = ocipy("--root", root, "--log", path, "--log-format", "json", "state", "nope")
        assert done.stderr == "container does not exist: nope\n"
    with open(path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    assert [sorted(record) for record in records] == [["code", "level", "msg", "time"]] * 2
    assert records[0]["code"] == "E301"
    assert records[0]["level"] == "error"


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (["state", "nope"], 1),
        (["state"], 1),
        (["nosuch"], 3),
        (["help", "nosuch"], 3),
        (["delete", "--force", "nope"], 0),
        (["delete", "nope"], 1),
        (["kill", "nope", "9"], 1),
        (["list"], 0),
        (["--log", "/nonexistent/log", "list"], 1),
        ([], 0),
        (["help"], 0),
        (["help", "kill"], 0),
        (["kill", "--help"], 0),
        (["--help"], 0),
        (["restore", "--lsm-mount-context"], 1),
    ],
)
def test_exit_status(root: str, args: list[str], status: int) -> None:
    done = ocipy("--root", root, *args)
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == (status != 0)


def test_readers_do_not_make_the_root(root: str) -> None:
    ocipy("--root", root, "list")
    ocipy("--root", root, "delete", "--force", "nope")
    assert not os.path.exists(root)


def test_a_bug_is_called_one_and_shows_no_traceback(
    capfd: pytest.CaptureFixture[str], state_that_fails: Fail
) -> None:
    state_that_fails(ZeroDivisionError("division by zero"))
    assert cli.run_command_line(["state", "c1"]) == 1
    error = capfd.readouterr().err
    assert "ZeroDivisionError: division by zero" in error
    assert "bug in ocipy" in error
    assert "Traceback" not in error
    assert 'warnings="something odd"' in error


def test_a_full_disk_is_not_called_a_bug(
    capfd: pytest.CaptureFixture[str], state_that_fails: Fail
) -> None:
    state_that_fails(OSError(28, "No space left on device", "/run/x"))
    assert cli.run_command_line(["state", "c1"]) == 1
    error = capfd.readouterr().err
    assert "'/run/x': no space left on device (ENOSPC)" in error
    assert "is a bug" not in error


def test_no_memory_is_not_called_a_bug(
    capfd: pytest.CaptureFixture[str], state_that_fails: Fail
) -> None:
    state_that_fails(MemoryError())
    assert cli.run_command_line(["state", "c1"]) == 1
    error = capfd.readouterr().err
    assert "cannot allocate memory (ENOMEM)" in error
    assert "is a bug" not in error


def test_debug_shows_the_traceback(
    capfd: pytest.CaptureFixture[str], state_that_fails: Fail
) -> None:
    state_that_fails(ZeroDivisionError())
    assert cli.run_command_line(["--debug", "state", "c1"]) == 1
    error = capfd.readouterr().err
    assert "level=debug" in error
    assert "Traceback" in error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (OcipyError("no"), 1),
        (RuntimeError("no"), 1),
    ],
)
def test_status_of_exceptions(state_that_fails: Fail, error: BaseException, status: int) -> None:
    state_that_fails(error)
    assert cli.run_command_line(["state", "c1"]) == status


def test_failures_of_exec_are_255(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(request: Request) -> int:
        raise OcipyError("no")

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.run_command_line(["exec", "c1", "true"]) == 255
    assert cli.run_command_line(["exec"]) == 1, "a usage error is one of ocipy, as in runc"


def test_pointer_and_location_follow_the_message(
    capfd: pytest.CaptureFixture[str], state_that_fails: Fail
) -> None:
    error = ConfigError("/mounts/3", "no such type", hint="use tmpfs")
    error.location = "config.json:12:7"
    state_that_fails(error)
    assert cli.run_command_line(["--log-format", "json", "state", "c1"]) == 1
    record = json.loads(capfd.readouterr().err)
    assert record["msg"] == "no such type (config.json:12:7, /mounts/3); use tmpfs"
    assert record["pointer"] == "/mounts/3"
    assert record["location"] == "config.json:12:7"
    assert record["warnings"] == "something odd"


def test_closed_standard_descriptors_are_not_written_into(root: str) -> None:
    """With 2 closed, the log would get number 2, and so the error line for people too."""
    path = root + ".log"
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -I -S -c "$1" --log "$2" --log-format json state nope <&- >&- 2>&-',
         sys.executable, START, path],
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    with open(path, encoding="utf-8") as file:
        assert json.load(file)["msg"] == "container does not exist: nope"


def test_nobody_reads_the_output() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", START, "help"], stdout=write_end, check=False,
            capture_output=False, stderr=subprocess.PIPE,
        )  # fmt: skip
    finally:
        os.close(write_end)
    assert done.returncode == 141
    assert done.stderr == b""


def test_commands_that_do_not_exist_yet_say_so() -> None:
    """podman takes `checkpoint --help` with status 0 for support of checkpoints."""
    for args in (["checkpoint", "c1"], ["checkpoint", "--help"], ["restore", "-h"]):
        done = ocipy(*args)
        assert done.returncode == 1, args
        assert "is not supported" in done.stderr
