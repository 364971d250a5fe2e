"""Records in files, fifos and on stderr; sentences on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import threading
from typing import TYPE_CHECKING

import pytest

from ocipy.errors import UsageError
from ocipy.log import Log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "log")


def opened(path: str, log_format: str = "json", level: str = "info") -> Log:
    log = Log()
    log.open(path, log_format, level)
    return log


def fail(log: Log, message: str = "no", **kwargs: str) -> None:
    log.failure(message, **{"pointer": "", "location": "", "hint": "", **kwargs})


def records(path: str) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_a_failure_folds_its_warnings_into_one_record(path: str) -> None:
    log = opened(path)
    log.warning("first")
    log.warning("second")
    log.warning("first")
    fail(log)
    (record,) = records(path)
    assert record["level"] == "error"
    assert record["msg"] == "no"
    assert record["warnings"] == "first; second"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["time"])


def test_success_makes_a_record_of_each_warning(path: str) -> None:
    log = opened(path)
    log.warning("first")
    log.warning("second")
    log.flush_warnings()
    log.flush_warnings()
    assert [(r["level"], r["msg"]) for r in records(path)] == [
        ("warning", "first"),
        ("warning", "second"),
    ]


def test_what_is_there_is_kept(path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"msg":"of an earlier call"}\n')
    fail(opened(path))
    assert [record["msg"] for record in records(path)] == ["of an earlier call", "no"]


def test_levels(path: str) -> None:
    log = opened(path)
    log.debug("x")
    assert records(path) == []
    log = opened(path, level="debug")
    log.debug("x")
    log = opened(path, level="error")
    log.warning("y")
    log.flush_warnings()
    fail(log)
    assert [record["level"] for record in records(path)] == ["debug", "error"]


def test_text_records_stay_on_their_line(path: str) -> None:
    fail(opened(path, "text"), 'a "quoted"\nname\x1b[31m', hint="try b")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert re.fullmatch(
        r'time="[^"]+" level=error msg="a \\"quoted\\"\\nname\\u001b\[31m; try b"\n', text
    )


def test_bytes_that_are_no_text_do_not_stop_the_record(path: str) -> None:
    """Arguments come with surrogates where they are not UTF-8."""
    fail(opened(path), "no such file: " + os.fsdecode(b"\xff"))
    with open(path, "rb") as file:
        assert b"no such file: " in file.read()


def test_the_file_is_close_on_exec_and_for_its_owner_to_write(path: str) -> None:
    log = opened(path)
    assert not os.get_inheritable(log.fd)
    assert os.stat(path).st_mode & 0o022 == 0


def test_a_fifo(path: str) -> None:
    os.mkfifo(path)
    got: list[str] = []

    def read() -> None:
        with open(path, encoding="utf-8") as file:
            got.append(file.read())

    reader = threading.Thread(target=read)
    reader.start()
    log = opened(path)
    fail(log)
    os.close(log.fd)
    reader.join(10)
    assert json.loads(got[0])["msg"] == "no"


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot open the log .*/no/log: no such file"):
        opened(str(tmp_path / "no" / "log"))


def test_a_full_disk_does_not_raise() -> None:
    fail(opened("/dev/full"))


@pytest.mark.parametrize("path_of_stderr", ["", "/dev/stderr"])
def test_stderr_is_not_opened_again(capfd: pytest.CaptureFixture[str], path_of_stderr: str) -> None:
    """It may be a socket, which open(2) refuses."""
    fail(opened(path_of_stderr, "text"))
    assert 'level=error msg="no"' in capfd.readouterr().err


def test_stderr_after_a_file(capfd: pytest.CaptureFixture[str], path: str) -> None:
    """Of one process, as of our tests, the next command has a log of its own."""
    log = opened(path)
    log.open("", "json", "info")
    fail(log)
    assert json.loads(capfd.readouterr().err)["msg"] == "no"
    assert records(path) == []


def test_on_a_terminal_people_get_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    saved = os.dup(2)
    try:
        os.dup2(slave, 2)
        log = opened("", "text")
        log.warning("unknown field")
        fail(log, "cannot mount", pointer="/mounts/0", location="config.json:3:4", hint="try x")
        text = os.read(master, 4096).decode()
    finally:
        os.dup2(saved, 2)
        for fd in (saved, master, slave):
            os.close(fd)
    assert text.replace("\r\n", "\n") == (
        "ocipy: warning: unknown field\n"
        "ocipy: cannot mount\n"
        "    at config.json:3:4, /mounts/0\n"
        "    hint: try x\n"
    )
