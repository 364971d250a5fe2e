"""What callers read when a command fails: stderr, and one record in `--log`."""

from __future__ import annotations

import datetime
import json
import os
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.containers import Call, Container, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def log(runtime: Runtime, directory: str) -> Callable[[], list[dict[str, Any]]]:
    """Log as JSON; return a function that reads the records."""
    path = f"{directory}/log.json"
    runtime.global_options += ["--log", path, "--log-format", "json"]

    def read() -> list[dict[str, Any]]:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    return read


def test_one_json_record(
    container: Container, log: Callable[[], list[dict[str, Any]]], runtime: Runtime
) -> None:
    """podman reads the whole log as one value; containerd takes msg of the last error record."""
    container.args("/nosuch")
    call = runtime.call("run", "--bundle", container.bundle.path, "no/id")
    assert call.status == 1
    (record,) = log()
    assert record["level"] == "error"
    assert record["msg"]
    assert not record["msg"].endswith((".", "\n"))
    time = datetime.datetime.fromisoformat(record["time"])
    assert time.tzinfo is not None, "RFC 3339 has an offset"
    assert set(record) >= {"level", "msg", "time"}
    assert record["msg"] in call.err or not runtime.is_ocipy


@pytest.mark.parametrize("fault", ["not-found", "bad-mount", "bad-json", "invalid", "bad-hook"])
def test_exactly_one_record_for_every_kind_of_failure(
    container: Container, log: Callable[[], list[dict[str, Any]]], fault: str
) -> None:
    if fault == "not-found":
        container.args("/nosuch")
    elif fault == "bad-mount":
        container.bundle.add_mount("/mnt", "bind", "/nonexistent/source", "bind")
    elif fault == "invalid":
        container.process["cwd"] = "relative"
        container.process["unknownField"] = 1
    elif fault == "bad-hook":
        container.config["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}
    if fault == "bad-json":
        container.bundle.write()
        with open(f"{container.bundle.path}/config.json", "r+", encoding="utf-8") as file:
            file.truncate(100)
        call = container.runtime.call("create", "--bundle", container.bundle.path, container.id)
    else:
        call = container.create(check=False)
    if fault == "not-found" and call.status == 0:
        # The program is looked up by create in runc, which is what docker's exit status relies on.
        pytest.fail("create must find out that there is no such program")
    assert call.status == 1
    errors = [record for record in log() if record["level"] == "error"]
    assert len(errors) == 1, errors
    if container.runtime.is_ocipy:
        assert len(log()) == 1, log()


def test_the_log_is_appended_to(
    runtime: Runtime, log: Callable[[], list[dict[str, Any]]], tag: str
) -> None:
    runtime.call("state", tag).failed("does not exist")
    runtime.call("start", tag).failed("does not exist")
    assert len(log()) == 2


def test_success_logs_no_error(container: Container, runtime: Runtime, directory: str) -> None:
    path = f"{directory}/log.json"
    runtime.global_options += ["--log", path, "--log-format=json"]
    container.run()
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            assert "error" not in file.read()


def test_text_log(runtime: Runtime, tag: str, directory: str) -> None:
    path = f"{directory}/log"
    runtime.global_options += ["--log", path]
    runtime.call("state", tag).failed("does not exist")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert text.count("\n") == 1
    assert text.startswith('time="')
    assert "level=error" in text
    assert 'msg="' in text
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o022 == 0


def test_stderr_as_podman_parses_it(runtime: Runtime, tag: str) -> None:
    """Without --log the error goes to stderr; podman greps for level=error and msg."""
    call = runtime.call("state", tag)
    assert "does not exist" in call.err
    assert call.out == ""


def test_debug_reports_more(container: Container, runtime: Runtime, directory: str) -> None:
    path = f"{directory}/log.json"
    runtime.global_options += ["--debug", "--log", path, "--log-format", "json"]
    container.run()
    with open(path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    assert {record["level"] for record in records} == {"debug"}
    if runtime.is_ocipy:
        steps = [record["msg"] for record in records]
        assert any("start ocipy-init in new namespaces" in step for step in steps)
        assert any("[/mounts/0]" in step for step in steps)


def test_a_wrong_log_format(runtime: Runtime, tag: str) -> None:
    runtime.global_options += ["--log-format", "xml"]
    call = runtime.call("state", tag)
    assert call.status == 1
    assert "xml" in call.err + call.out


def test_a_log_that_cannot_be_opened(container: Container, runtime: Runtime) -> None:
    runtime.global_options += ["--log", "/nonexistent/log"]
    call = container.create(check=False)
    assert call.status == 1
    assert "/nonexistent/log" in call.err


@pytest.mark.parametrize(
    ("args", "texts"),
    [
        # moby makes exit status 127 of the first two and 126 of the others.
        (["nosuch"], ['exec: "nosuch": executable file not found in $PATH']),
        (["/nosuch/file"], ['"/nosuch/file"', "no such file or directory"]),
        (["/etc/noexec"], ['"/etc/noexec"', "permission denied"]),
        (["/etc"], ['"/etc"']),
        (["noexec-in-path"], ['"noexec-in-path"']),
    ],
    ids=["not-in-path", "absent", "no-permission", "directory", "in-path-but-no-permission"],
)
@pytest.mark.parametrize("verb", ["create", "run"])
def test_programs_that_cannot_run(
    container: Container, args: list[str], texts: list[str], verb: str
) -> None:
    container.bundle.add_file("etc/noexec", "#!/bin/sh\n", 0o644)
    container.bundle.add_file("usr/local/bin/noexec-in-path", "#!/bin/sh\n", 0o644)
    container.args(*args)
    call = container.create(check=False) if verb == "create" else container.run(check=False)
    call.failed(*texts)
    assert not container.runtime.holds(container.id)


@pytest.mark.parametrize("content", ["\x00\x01garbage", "#!/nosuch/interpreter\n"])
def test_programs_that_the_kernel_refuses(container: Container, content: str) -> None:
    container.bundle.add_file("bin/bad", content, 0o755)
    container.args("/bin/bad")
    call = container.run(check=False)
    assert call.status not in (0, None)
    text = "exec format error" if "garbage" in content else "no such file or directory"
    assert text in call.err.lower()
    if container.runtime.is_ocipy:
        hint = "architecture" if "garbage" in content else "interpreter"
        assert re.search(rf"config\.json:\d+:\d+, /process/args.*{hint}", call.err)
    assert not container.runtime.holds(container.id)


def bad_bundle(container: Container, how: str) -> Call:
    container.bundle.write()
    path = container.bundle.path
    if how == "no-config":
        os.unlink(f"{path}/config.json")
    elif how == "no-rootfs":
        os.rename(f"{path}/rootfs", f"{path}/elsewhere")
    elif how == "no-bundle":
        path += "/nonexistent"
    elif how == "empty":
        os.truncate(f"{path}/config.json", 0)
    return container.runtime.call("create", "--bundle", path, container.id)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("no-config", "config.json"),
        ("no-rootfs", "rootfs"),
        ("no-bundle", "nonexistent"),
        ("empty", "config.json"),
    ],
)
def test_broken_bundles(container: Container, how: str, text: str) -> None:
    call = bad_bundle(container, how)
    assert call.status == 1
    if container.runtime.is_runc and how == "empty":
        text = "EOF"
    assert text in call.err
    assert not container.runtime.holds(container.id)
