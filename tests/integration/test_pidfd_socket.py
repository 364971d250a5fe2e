"""`--pidfd-socket`: the caller gets a descriptor of the process, which no reused pid can fool."""

from __future__ import annotations

import array
import os
import select
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.integration.containers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.containers import Container

pytestmark = pytest.mark.runc_deviates("1.1 does not know --pidfd-socket")


class PidfdSocket:
    """Listens for one connection that brings one descriptor."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(1)
        self.listener.settimeout(20)

    def receive(self) -> int:
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(20)
            _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(16))
        fds = array.array("i")
        for _, _, data in ancillary:
            fds.frombytes(data[: len(data) // fds.itemsize * fds.itemsize])
        assert len(fds) == 1
        return fds[0]


@pytest.fixture
def pidfd_socket(directory: str) -> Iterator[PidfdSocket]:
    made = PidfdSocket(f"{directory}/pidfd.sock")
    yield made
    made.listener.close()


def pid_of(pidfd: int) -> int:
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pid:"))


@pytest.mark.parametrize("verb", ["create", "run"])
def test_of_the_container(container: Container, pidfd_socket: PidfdSocket, verb: str) -> None:
    container.script("exec sleep 1000")
    if verb == "create":
        container.create("--pidfd-socket", pidfd_socket.path)
    else:
        container.run("--detach", "--pidfd-socket", pidfd_socket.path)
    pidfd = pidfd_socket.receive()
    pid = container.pid
    assert pid_of(pidfd) == pid
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)
    assert container.wait(pid) == 137


def test_of_an_execd_process(running: Container, pidfd_socket: PidfdSocket) -> None:
    call = running.runtime.begin(
        "exec", "--pidfd-socket", pidfd_socket.path, running.id, "/bin/sh", "-c",
        "echo up; exec sleep 1000",
    )  # fmt: skip
    pidfd = pidfd_socket.receive()
    assert pid_of(pidfd) not in (running.pid, call.process.pid)
    wait_until(lambda: "up" in call.out, "output")
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    assert call.wait().status == 137


def test_nobody_listens(container: Container, directory: str) -> None:
    call = container.create("--pidfd-socket", f"{directory}/nosuch.sock", check=False)
    call.failed("nosuch.sock")
    assert not container.runtime.holds(container.id)
