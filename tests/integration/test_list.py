"""`list` beside broken records, and signals to every process of a container."""

from __future__ import annotations

import json
import os

from tests.bundles import without_namespace
from tests.integration import leftovers
from tests.integration.containers import Container, Runtime, wait_until


def test_list_of_nothing(runtime: Runtime) -> None:
    assert runtime.call("list", "-q").succeeded().out == ""
    assert runtime.call("list").succeeded().out.split()[:2] == ["ID", "PID"]
    assert json.loads(runtime.call("list", "--format", "json").succeeded().out) in (None, [])


def test_list_with_a_broken_record_beside(container: Container, runtime: Runtime) -> None:
    """One record that cannot be read must not hide the others."""
    container.up()
    os.mkdir(f"{runtime.root}/{container.id}-broken")
    with open(f"{runtime.root}/{container.id}-broken/state.json", "w", encoding="utf-8") as file:
        file.write("{")
    call = runtime.call("list", "-q")
    assert container.id in call.out.split()
    os.unlink(f"{runtime.root}/{container.id}-broken/state.json")
    os.rmdir(f"{runtime.root}/{container.id}-broken")


def test_kill_all_with_another_signal(container: Container) -> None:
    without_namespace(container.config, "pid")
    forever = "while :; do sleep 0.01; done"
    script = f"trap 'echo one' USR1; echo up; sh -c \"trap 'echo two' USR1; {forever}\" & {forever}"
    container.up(script)
    wait_until(lambda: len(leftovers.processes(f"/{container.id}")) >= 3, "the second shell")

    def both() -> bool:
        container.kill("USR1", "--all", check=False)
        return {"one", "two"} <= set(container.created.out.split())

    wait_until(both, "both shells' answers")
    container.kill("KILL", "--all")
