"""`--trace FILE` and `ocipy trace`; the trace context that hooks are given."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.containers import Container, Runtime

pytestmark = pytest.mark.runc_deviates("has no traces", run=False)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def file(directory: str) -> str:
    return f"{directory}/trace.json"


def read(file: str) -> dict[str, Any]:
    with open(file, encoding="utf-8") as opened:
        value: dict[str, Any] = json.load(opened)
    return value


def spans(file: str) -> list[dict[str, Any]]:
    return [event for event in read(file)["traceEvents"] if event["ph"] == "X"]


def operations(file: str) -> dict[str, dict[str, Any]]:
    return {span["args"].get("operation", span["name"]): span for span in spans(file)}


def check_times(file: str) -> None:
    """One thing after the other in each row, and nothing before the beginning."""
    for row in (1, 2, 3):
        at = 0.0
        for span in spans(file):
            if span["pid"] != row:
                continue
            assert span["ts"] >= at - 0.01, span
            assert span["dur"] >= 0
            at = span["ts"] + span["dur"]


def test_run(container: Container, file: str) -> None:
    container.args("/bin/true").run("--trace", file)
    check_times(file)
    found = operations(file)
    assert {"spawn_init", "record_created", "pivot_root", "exec", "plan"} <= set(found)
    assert found["pivot_root"]["cat"] == "init"
    assert found["exec"]["cat"] == "start"
    assert found["spawn_init"]["ts"] < found["pivot_root"]["ts"] < found["record_created"]["ts"]
    assert found["exec"]["args"]["source"] == "/process/args"
    assert found["exec"]["args"]["calls"] == ["execve"]
    about = read(file)["otherData"]
    assert (about["command"], about["container"]) == ("run", container.id)
    assert about["failure"] == about["traceparent"] == ""
    # Each step of the plan is there once.
    numbers = [span["args"]["step"] for span in spans(file) if "step" in span["args"]]
    assert sorted(numbers) == list(range(len(numbers)))


def test_create_and_exec(container: Container, file: str) -> None:
    container.script("exec sleep 1000").create("--trace", file)
    check_times(file)
    assert "record_created" in operations(file)
    assert "exec" not in operations(file)
    container.start()
    container.exec("true", options=("--trace", file))
    check_times(file)
    assert {"join_namespace", "exec"} & set(operations(file))
    assert read(file)["otherData"]["command"] == "exec"


def test_a_profile_that_forbids_to_send(container: Container, file: str) -> None:
    """Init is silent behind the filter, and what the filter would kill is not done."""
    container.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["sendmsg"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    container.args("/bin/true").run("--trace", file)
    check_times(file)
    assert "load_seccomp" in operations(file)


def test_a_failure_is_in_the_trace(container: Container, file: str) -> None:
    container.args("/no/such/program").run("--trace", file, check=False).failed("no such file")
    assert "no such file" in read(file)["otherData"]["failure"]
    assert "find_executable" in operations(file)


def test_views(container: Container, runtime: Runtime, file: str) -> None:
    container.config["hostname"] = "host-<evil>&"
    container.args("/bin/true").run("--trace", file)
    text = runtime.call("trace", file).succeeded().out
    assert "pivot_root" in text or "make the root" in text or "root" in text
    assert "#" in text
    assert "[/process/args]" in text
    assert text.splitlines()[-1].startswith("in all: ")
    picture = runtime.call("trace", "--format", "svg", file).succeeded().out
    root = ElementTree.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall(".//{http://www.w3.org/2000/svg}title")) == len(spans(file))
    assert "host-<evil>&" in "".join(root.itertext())


def test_hostile_names(container: Container, runtime: Runtime, file: str) -> None:
    container.args("/bin/echo", "\x1b[2J\u202e").run("--trace", file)
    out = runtime.call("trace", file).succeeded().out
    assert "\\x1b[2J\\u202e" in out
    assert "\x1b" not in out
    ElementTree.fromstring(runtime.call("trace", "--format=svg", file).succeeded().out)


def test_what_is_no_trace(runtime: Runtime, directory: str) -> None:
    runtime.call("trace", "/etc/passwd").failed("/etc/passwd is no trace", "ocipy run --trace")
    runtime.call("trace", f"{directory}/no").failed("no such file", "ocipy run --trace")
    runtime.call("trace", directory).failed("is no file", "ocipy run --trace")
    runtime.call("trace", "/dev/zero").failed("is no file")
    span = '{"ph": "X", "name": "x", "cat": "init", "ts": %s, "dur": 1, "args": {}}'
    start = '{"otherData": {"format": "ocipy trace 1"}, "traceEvents": ['
    far = [f"{start}{span % ts}]}}" for ts in ("1e308", "-1", "1e400", "null", '"x"', "[]")]
    for number, text in enumerate(
        (*far, "{}", "[]", '{"otherData": {"format": "ocipy trace 1"}}', "")
    ):
        path = f"{directory}/bad{number}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        runtime.call("trace", path).failed("ocipy run --trace")
    runtime.call("trace", "--format", "png", "/etc/passwd").failed("text or svg")


def test_where_it_cannot_be_written(container: Container, directory: str) -> None:
    call = container.run("--trace", f"{directory}/no/trace", check=False)
    call.failed("cannot write the trace")
    assert not container.runtime.holds(container.id)


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer", "startContainer"])
@pytest.mark.parametrize("env", [None, ["A=1"]])
def test_hooks_get_the_trace_context(
    container: Container, directory: str, kind: str, env: list[str] | None
) -> None:
    hook: dict[str, Any] = {
        "path": "/bin/busybox" if kind != "startContainer" else "/bin/sh",
        "args": ["sh", "-c", f'echo "$TRACEPARENT $TRACESTATE" > {directory}/seen'],
    }
    if kind == "startContainer":
        hook["args"][2] = 'echo "$TRACEPARENT $TRACESTATE" > /seen'
    if env is not None:
        hook["env"] = env
    container.config["hooks"] = {kind: [hook]}
    environment = {**os.environ, "TRACEPARENT": PARENT, "TRACESTATE": "a=b"}
    container.args("/bin/true").run(env=environment)
    seen = f"{container.bundle.rootfs}/seen" if kind == "startContainer" else f"{directory}/seen"
    with open(seen, encoding="utf-8") as file:
        assert file.read() == f"{PARENT} a=b\n"


def test_the_trace_knows_whose_it_is(container: Container, file: str) -> None:
    environment = {**os.environ, "TRACEPARENT": PARENT}
    container.args("/bin/true").run("--trace", file, env=environment)
    assert read(file)["otherData"]["traceparent"] == PARENT
    assert PARENT.split("-")[1] in container.runtime.call("trace", file).succeeded().out
