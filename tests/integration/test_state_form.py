"""The state, on standard output and as hooks get it, has the form of the state schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.schema.schemas import OFFICIAL, SPEC, validator

if TYPE_CHECKING:
    from pathlib import Path

    from jsonschema.protocols import Validator

    from tests.integration.containers import Container

HOST_HOOKS = ["prestart", "createRuntime", "poststart", "poststop"]


@pytest.fixture(
    params=[(SPEC, "state.json#"), (OFFICIAL, "state-schema.json#")], ids=["ours", "official"]
)
def schema(request: pytest.FixtureRequest) -> Validator:
    directory, name = request.param
    if not directory.is_dir():
        pytest.skip("the official schemas are not here")
    return validator(directory, name)


def test_what_state_prints(container: Container, schema: Validator) -> None:
    container.config["annotations"] = {"org.example.key": "a value"}
    container.script("exec sleep 1000").create()
    pid = container.pid
    statuses = []
    for go_on in (container.start, lambda: container.kill("KILL"), lambda: None):
        state = container.state()
        schema.validate(state)
        statuses.append(state["status"])
        go_on()
        if len(statuses) == 2:
            container.wait(pid)
    assert statuses == ["created", "running", "stopped"]


def test_what_hooks_are_given(container: Container, schema: Validator, tmp_path: Path) -> None:
    container.config["hooks"] = {
        kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {tmp_path}/{kind}"]}]
        for kind in HOST_HOOKS
    }
    container.up()
    container.delete("--force")
    for kind in HOST_HOOKS:
        state: dict[str, Any] = json.loads((tmp_path / kind).read_text())
        schema.validate(state)
        assert state["id"] == container.id, kind


@pytest.mark.runc_deviates("has no state before it is created")
def test_what_state_prints_while_a_container_is_created(
    container: Container, schema: Validator, tmp_path: Path
) -> None:
    """createRuntime: the process is there, and waits; readers do not wait for create."""
    command = [container.runtime.program, *container.runtime.global_options, "state", container.id]
    script = " ".join(f"'{word}'" for word in command)
    container.config["hooks"] = {
        "createRuntime": [
            {"path": "/bin/sh", "args": ["sh", "-c", f"{script} > {tmp_path}/state"], "timeout": 9}
        ]
    }
    container.create()
    state = json.loads((tmp_path / "state").read_text())
    schema.validate(state)
    assert state["status"] == "creating"
    assert state["pid"] == container.pid
