"""Commands about more than the container process: kill --all, ps, list."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.integration.containers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.containers import Container, Runtime

# Three processes; the children say so when they are told to end.
FAMILY = (
    "for i in 1 2; do sh -c 'trap \"echo got; exit\" USR1; while :; do sleep 0.01; done' & done;"
    " trap 'echo init got; wait; exit 44' USR1; sleep 0.1; echo up; while :; do sleep 0.01; done"
)


def pids(container: Container) -> list[int]:
    found: list[int] = json.loads(container.verb("ps", "--format", "json").out)
    return found


def share_pid_namespace(container: Container) -> None:
    kept = [ns for ns in container.linux["namespaces"] if ns["type"] != "pid"]
    container.linux["namespaces"] = kept


def test_kill_all_reaches_every_process(container: Container) -> None:
    pid = container.up(FAMILY)
    container.kill("USR1", "--all")
    assert container.wait(pid) == 44
    assert container.created.out.count("got") == 3


def test_kill_reaches_the_container_process_only(container: Container) -> None:
    container.up(FAMILY)
    container.kill("USR1")
    wait_until(lambda: "init got" in container.created.out, "the signal")
    assert container.created.out.count("got") == 1


@pytest.mark.parametrize("option", ["", "--all"])
def test_sigkill_leaves_nobody_behind_in_a_shared_pid_namespace(
    container: Container, option: str
) -> None:
    if container.runtime.is_runc and not option:
        pytest.skip("runc 1.1 kills init only; 1.2 and later do as ocipy does")
    share_pid_namespace(container)
    pid = container.up("sleep 1000 & sleep 1000 & echo up; wait")
    everyone = pids(container)
    assert len(everyone) == 3
    container.kill("KILL", *([option] if option else []))
    container.wait(pid)
    # Orphans of the host's namespace: ours, as subreaper, to reap.
    for other in set(everyone) - {pid}:
        assert container.wait(other) == 137
    assert container.status == "stopped"


def test_kill_all_reaches_orphans_of_a_stopped_container(container: Container) -> None:
    share_pid_namespace(container)
    pid = container.up("sleep 1000 & echo up")
    container.wait(pid)
    assert container.status == "stopped"
    (orphan,) = pids(container)
    container.kill("TERM", "--all")
    assert container.wait(orphan) == 143
    container.delete()


def test_delete_kills_orphans(container: Container) -> None:
    share_pid_namespace(container)
    pid = container.up("sleep 1000 & echo up")
    container.wait(pid)
    (orphan,) = pids(container)
    container.delete()
    assert container.wait(orphan) == 137


def test_ps_as_json_has_the_pids_of_the_host(container: Container) -> None:
    pid = container.up("sleep 1000 & echo up; wait")
    found = pids(container)
    assert pid in found
    assert len(found) == 2
    for each in found:
        with open(f"/proc/{each}/cgroup", encoding="utf-8") as file:
            assert container.id in file.read()


@pytest.mark.requires("ps")
def test_ps_as_a_table(container: Container) -> None:
    pid = container.up("sleep 1000 & echo up; wait")
    heading, *lines = container.verb("ps").out.splitlines()
    assert "PID" in heading.split()
    column = heading.split().index("PID")
    assert {int(line.split()[column]) for line in lines} == set(pids(container))
    assert str(pid) in container.verb("ps").out


@pytest.mark.skipif(not os.path.exists("/bin/ps"), reason="ps is not installed")
def test_ps_passes_options_on(container: Container, runtime: Runtime) -> None:
    pid = container.up()
    table = runtime.call("ps", container.id, "-o", "pid,comm", "-e").succeeded().out
    assert [line.split() for line in table.splitlines()] == [
        ["PID", "COMMAND"],
        [str(pid), "sleep"],
    ]
    runtime.call("ps", container.id, "-o", "comm").failed("PID")
    runtime.call("ps", container.id, "--nosuch").failed()


@pytest.mark.requires("ps")
def test_ps_of_a_stopped_container_is_empty(container: Container) -> None:
    pid = container.up("echo up")
    container.wait(pid)
    assert len(container.verb("ps").out.splitlines()) == 1
    assert pids(container) in ([], None)


def test_list(
    container: Container, make_container: Callable[[], Container], runtime: Runtime
) -> None:
    heading = runtime.call("list").succeeded().out
    assert heading.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert runtime.call("list", "--format", "json").out == "null\n"
    container.up()
    other = make_container()
    other.create()
    assert runtime.call("list", "-q").out.split() == sorted([container.id, other.id])
    assert runtime.call("list", "--quiet", "-f=json").out.split() == [container.id, other.id]
    listed = json.loads(runtime.call("list", "-f", "json").out)
    assert [(each["id"], each["status"]) for each in listed] == [
        (container.id, "running"),
        (other.id, "created"),
    ]
    assert listed[0] == container.state() | {"owner": "root"}
    rows = runtime.call("list").out.splitlines()
    assert len({row.index("/") for row in rows[1:]} | {rows[0].index("BUNDLE")}) == 1
    runtime.call("list", "--format", "xml").failed("invalid format option")
