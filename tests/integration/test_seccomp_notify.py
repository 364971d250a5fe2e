"""SCMP_ACT_NOTIFY: an agent outside answers for the kernel. Spec (config-linux.md#seccomp)."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.containers import wait_until
from tests.integration.seccomp_agent import Agent
from tests.integration.system_calls import call_program, caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.containers import Container

__all__ = ["call_program", "caller"]
pytestmark = pytest.mark.requires("seccomp")


def notify(names: str, path: str, **more: Any) -> dict[str, Any]:
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "syscalls": [{"names": names.split(), "action": "SCMP_ACT_NOTIFY"}],
        **more,
    }


@pytest.fixture
def agent(directory: str) -> Iterator[Agent]:
    with Agent(f"{directory}/agent", error=errno.ENOMEDIUM) as agent:
        yield agent


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
def test_the_agent_answers(
    container: Container,
    caller: Callable[..., str],
    agent: Agent,
    no_new_privileges: bool,
    uid: int,
) -> None:
    container.linux["seccomp"] = notify("personality", agent.path)
    container.process["noNewPrivileges"] = no_new_privileges
    container.process["user"] = {"uid": uid, "gid": uid}
    assert caller("call personality 0x1234", "call getuid").split() == [
        str(-errno.ENOMEDIUM),
        str(uid),
    ]
    assert [argument for _, argument in agent.calls] == [0x1234]


def test_what_the_agent_is_sent(container: Container, agent: Agent) -> None:
    container.config["annotations"] = {"org.example.key": "value"}
    container.linux["seccomp"] = notify("personality", agent.path, listenerMetadata="MKNOD=/dev/x")
    container.args("/bin/sleep", "1000").create()
    wait_until(lambda: bool(agent.states), "the container process state")
    (state,) = agent.states
    assert state["ociVersion"]
    assert state["fds"] == ["seccompFd"]
    assert agent.descriptors == [1]
    assert state["metadata"] == "MKNOD=/dev/x"
    assert state["pid"] == state["state"]["pid"] == container.pid
    assert state["state"]["status"] == "creating"
    assert state["state"]["id"] == container.id
    assert state["state"]["bundle"] == container.bundle.path
    assert state["state"]["annotations"] == {"org.example.key": "value"}
    container.start()
    assert len(agent.states) == 1


@pytest.mark.runc_deviates("1.1 leaves it to the end of the process")
def test_the_connection_is_closed_after_the_state(container: Container, agent: Agent) -> None:
    """Spec: it MUST be closed after sending a state. This `run` goes on for a while."""
    container.linux["seccomp"] = notify("personality", agent.path)
    container.script("sleep 1000").bundle.write()
    run = container.runtime.begin("run", "--bundle", container.bundle.path, container.id)
    try:
        wait_until(lambda: bool(agent.states), "the container process state")
        wait_until(lambda: agent.open_connections == 0, "the end of the connection", seconds=3)
    finally:
        container.kill(check=False)
        run.wait()


def test_without_metadata_there_is_none(
    container: Container, caller: Callable[..., str], agent: Agent
) -> None:
    container.linux["seccomp"] = notify("personality", agent.path)
    caller("call getuid")
    assert not agent.states[0].get("metadata")


def test_calls_that_init_makes_itself(
    container: Container, caller: Callable[..., str], directory: str
) -> None:
    """The agent has the descriptor before init goes on, so it can answer for these, too."""
    with Agent(f"{directory}/agent2", error=0, value=0) as agent:
        container.linux["seccomp"] = notify("sync personality", agent.path)
        assert caller("call sync", "call personality 1") == "0 0"
        assert len(agent.calls) == 2


@pytest.mark.parametrize(
    "flag", ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC"]
)
@pytest.mark.runc_deviates("1.1 has no flags")
def test_flags_beside_a_listener(
    container: Container, caller: Callable[..., str], agent: Agent, flag: str
) -> None:
    container.linux["seccomp"] = notify("personality", agent.path, flags=[flag])
    assert caller("call personality 0") == str(-errno.ENOMEDIUM)


@pytest.mark.usefixtures("caller")
def test_exec_has_a_listener_of_its_own(container: Container, agent: Agent) -> None:
    container.linux["seccomp"] = notify("personality", agent.path)
    container.up()
    assert container.exec("call", "personality", "7").out.strip() == str(-errno.ENOMEDIUM)
    assert len(agent.states) == 2
    first, second = agent.states
    assert second["fds"] == ["seccompFd"]
    assert second["pid"] != first["pid"]
    assert second["state"]["status"] == "running"
    assert second["state"]["pid"] == container.pid


def test_a_long_path(container: Container, caller: Callable[..., str], directory: str) -> None:
    """sun_path has room for 108 bytes; a directory may be deeper than that."""
    deep = f"{directory}/{'d' * 120}"
    os.mkdir(deep)
    with Agent(f"{directory}/a", error=errno.ENOMEDIUM) as agent:
        os.rename(agent.path, f"{deep}/agent")
        container.linux["seccomp"] = notify("personality", f"{deep}/agent")
        answer = caller("call personality 0")
    expected = str(-errno.ENOMEDIUM)
    assert answer == expected or not container.runtime.is_ocipy


def test_nobody_listens(container: Container, directory: str) -> None:
    container.linux["seccomp"] = notify("personality", f"{directory}/nobody")
    container.is_rejected("/linux/seccomp/listenerPath", "no such file or directory")


def test_a_socket_that_nobody_listens_on(container: Container, directory: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(f"{directory}/dead")
    container.linux["seccomp"] = notify("personality", f"{directory}/dead")
    container.is_rejected("/linux/seccomp/listenerPath", "connection refused")


def test_a_datagram_socket(container: Container, directory: str) -> None:
    """Spec: this socket MUST use AF_UNIX domain and SOCK_STREAM type."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(f"{directory}/datagrams")
        container.linux["seccomp"] = notify("personality", f"{directory}/datagrams")
        container.is_rejected("/linux/seccomp/listenerPath")


def test_an_unused_listener_path_is_ignored(
    container: Container, caller: Callable[..., str], directory: str
) -> None:
    seccomp = notify("personality", f"{directory}/nobody")
    seccomp["syscalls"][0]["action"] = "SCMP_ACT_ERRNO"
    container.linux["seccomp"] = seccomp
    assert caller("call personality 0") == str(-errno.EPERM)


@pytest.mark.runc_deviates("it is write there")
def test_sendmsg_cannot_be_asked_about(container: Container, directory: str) -> None:
    container.linux["seccomp"] = notify("sendmsg", f"{directory}/agent")
    container.is_rejected("/linux/seccomp/syscalls/0/names/0", "sendmsg")
