"""The process of `exec`: from a file, on a terminal, detached, with streams and signals."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.bundles import PATH
from tests.integration.consoles import ConsoleSocket, OwnTerminal, become_controlling_terminal
from tests.integration.containers import Container, wait_for_orphan, wait_until
from tests.integration.exec_processes import process_file

if TYPE_CHECKING:
    pass

runc_deviates = pytest.mark.runc_deviates

FAILURE = 255

# runc sets the size when the program runs already.
SIZE_AND_END = "tty; until stty size | grep 90; do sleep 0.02; done; read x; exit $x"


def test_streams(running: Container) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"input\n")
    os.close(write_end)
    call = running.exec("/bin/sh", "-c", "cat; echo error >&2", stdin=read_end)
    os.close(read_end)
    assert (call.out, call.err) == ("input\n", "error\n")


def test_detach(running: Container, directory: str) -> None:
    pid_file = f"{directory}/exec.pid"
    call = running.exec(
        "/bin/sh", "-c", "echo up; exec sleep 1000", options=["--detach", "--pid-file", pid_file]
    )
    with open(pid_file, encoding="utf-8") as file:
        pid = int(file.read())
    wait_until(lambda: call.out == "up\n", "output")
    assert os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{running.pid}/ns/pid")
    os.kill(pid, signal.SIGKILL)
    assert wait_for_orphan(pid) == 137
    assert running.status == "running"


def test_exec_processes_die_with_the_container(running: Container, directory: str) -> None:
    pid_file = f"{directory}/exec.pid"
    running.exec("/bin/sleep", "1000", options=["-d", "--pid-file", pid_file])
    with open(pid_file, encoding="utf-8") as file:
        pid = int(file.read())
    running.kill("KILL")
    assert wait_for_orphan(pid) == 137


@pytest.mark.parametrize("option", ["--process", "-p"])
def test_process_file(running: Container, directory: str, option: str) -> None:
    path = process_file(
        directory,
        args=["/bin/sh", "-c", "id -u; id -g; pwd; echo $X; ulimit -s; cat"],
        cwd="/etc",
        env=[PATH, "X=from-file"],
        user={"uid": 1000, "gid": 2000},
        rlimits=[{"type": "RLIMIT_STACK", "soft": 1048576, "hard": 8388608}],
    )
    call = running.verb("exec", option, path)
    assert call.out.split() == ["1000", "2000", "/etc", "from-file", "1024"]


@runc_deviates("1.1 ignores it in exec")
def test_umask_of_a_process_file(running: Container, directory: str) -> None:
    user = {"uid": 1000, "gid": 2000, "umask": 0o77}
    path = process_file(directory, args=["/bin/sh", "-c", "umask"], user=user)
    assert running.verb("exec", "--process", path).out == "0077\n"


def test_process_file_with_options_of_docker(running: Container, directory: str) -> None:
    """process.json of exec omits terminal, and is used detached with a pid file."""
    path = process_file(directory, args=["/bin/sh", "-c", "echo done"])
    pid_file = f"{directory}/exec.pid"
    call = running.verb("exec", "--process", path, "--detach", "--pid-file", pid_file)
    with open(pid_file, encoding="utf-8") as file:
        wait_for_orphan(int(file.read()))
    assert call.out == "done\n"


@pytest.mark.parametrize(
    "change",
    [{"args": []}, {"cwd": "relative"}, {"args": "string"}, {"rlimits": [{"type": "NOSUCH"}]}],
)
def test_wrong_process_files(running: Container, directory: str, change: dict[str, Any]) -> None:
    path = process_file(directory, **change)
    call = running.verb("exec", "--process", path, check=False)
    call.failed(status=FAILURE)
    if running.runtime.is_ocipy:
        assert f"/{next(iter(change))}" in call.err


def test_a_file_without_an_end(running: Container) -> None:
    """It is given up before it takes all memory."""
    why = "invalid character" if running.runtime.is_runc else "/dev/zero is larger than"
    call = running.runtime.call("exec", "--process", "/dev/zero", running.id)
    call.failed(why, status=255)
    call = running.runtime.call("update", "--resources", "/dev/zero", running.id)
    call.failed(why)


def test_tty_in_the_foreground(running: Container) -> None:
    with OwnTerminal(25, 90) as tty:
        call = running.runtime.begin(
            "exec", "-t", running.id, "/bin/sh", "-c", SIZE_AND_END,
            stdin=tty.slave, stdout=tty.slave, stderr=tty.slave,
            preexec_fn=become_controlling_terminal,
        )  # fmt: skip
        tty.read_until("25 90")
        tty.write("6\r")
        assert call.wait().status == 6
        assert tty.modes() == (True, True, True)


def test_tty_through_a_console_socket(running: Container, directory: str) -> None:
    console = ConsoleSocket(f"{directory}/console.sock")
    pid_file = f"{directory}/exec.pid"
    path = process_file(directory, args=["/bin/sh", "-c", "stty size; read x"], terminal=True,
        consoleSize={"height": 20, "width": 70},
    )  # fmt: skip
    running.verb(
        "exec", "-d", "--process", path, "--console-socket", console.path, "--pid-file", pid_file
    )
    with console.receive() as terminal:
        terminal.read_until("20 70")
        terminal.write("x\n")
        with open(pid_file, encoding="utf-8") as file:
            assert wait_for_orphan(int(file.read())) == 0
    console.close()


def test_preserve_fds(running: Container) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"through\n")
    os.close(write_end)

    def as_three() -> None:
        os.dup2(read_end, 3)

    call = running.exec(
        "/bin/sh", "-c", "cat <&3", options=["--preserve-fds", "1"],
        preexec_fn=as_three, close_fds=False,
    )  # fmt: skip
    os.close(read_end)
    assert call.out == "through\n"


def test_no_descriptor_leaks(running: Container) -> None:
    out = running.exec("/bin/ls", "/proc/self/fd").out
    assert set(out.split()) <= {"0", "1", "2", "3"}


def test_signals_are_forwarded(running: Container) -> None:
    script = "trap 'echo caught; exit 40' USR1; echo up; while :; do sleep 0.01; done"
    call = running.runtime.begin("exec", running.id, "/bin/sh", "-c", script)
    wait_until(lambda: "up" in call.out, "output")
    os.kill(call.process.pid, signal.SIGUSR1)
    assert call.wait().status == 40
    assert call.out == "up\ncaught\n"
