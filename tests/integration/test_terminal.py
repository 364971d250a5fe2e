"""`process.terminal`: through a console socket, and with `run` on a terminal of its own."""

from __future__ import annotations

import functools
import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.consoles import ConsoleSocket, OwnTerminal, become_controlling_terminal
from tests.integration.containers import Call, Container, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def console(directory: str) -> Iterator[ConsoleSocket]:
    console = ConsoleSocket(f"{directory}/console.sock")
    yield console
    console.close()


@pytest.fixture
def tty() -> Iterator[OwnTerminal]:
    with OwnTerminal(30, 100) as terminal:
        yield terminal


def begin_on(tty: OwnTerminal, container: Container, *options: str) -> Call:
    """Begin `run` with the test's pty as its controlling terminal."""
    container.process["terminal"] = True
    container.bundle.write()
    return container.runtime.begin(
        "run", "--bundle", container.bundle.path, *options, container.id,
        stdin=tty.slave, stdout=tty.slave, stderr=tty.slave,
        preexec_fn=become_controlling_terminal,
    )  # fmt: skip


def test_console_socket(container: Container, console: ConsoleSocket) -> None:
    container.process["terminal"] = True
    container.script("tty; test -t 0 && test -t 1 && test -t 2 && echo all; cat /dev/console")
    container.create("--console-socket", console.path)
    with console.receive() as terminal:
        pid = container.pid
        container.start()
        text = terminal.read_until("all\r\n")
        assert "/dev/pts/0" in text or "/dev/console" in text
        # runc sends the path of its side of the pty; conmon reads it and takes it for a name.
        assert console.name
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rpartition(")")[2].split()
        assert fields[4] != "0", "the pty is the controlling terminal"
        container.kill("KILL")
        container.wait(pid)
        container.delete()


def test_interactive_shell(container: Container, console: ConsoleSocket) -> None:
    container.process["terminal"] = True
    container.args("/bin/sh").process["env"].append("PS1=ready> ")
    container.create("--console-socket", console.path)
    with console.receive() as terminal:
        pid = container.pid
        container.start()
        terminal.read_until("ready> ")
        terminal.write("echo $((6 * 7)); stty size\n")
        terminal.read_until("42\r\n")
        terminal.write("echo in''sleep; sleep 1000\n")
        terminal.read_until("insleep")
        time.sleep(0.2)  # The shell must have made it the foreground process group.
        terminal.write("\x03")
        terminal.write("echo back-$?\n")
        terminal.read_until("back-130")
        terminal.write("exit 3\n")
        assert container.wait(pid) == 3


def test_console_size(container: Container, console: ConsoleSocket) -> None:
    container.process.update(terminal=True, consoleSize={"height": 33, "width": 111})
    container.script("stty size").create("--console-socket", console.path)
    with console.receive() as terminal:
        assert terminal.size == (33, 111)
        container.start()
        assert "33 111" in terminal.read_until("111")


def test_console_size_is_ignored_without_a_terminal(container: Container) -> None:
    container.process["consoleSize"] = {"height": 33, "width": 111}
    assert container.sh("test -t 0 || echo none") == "none"


def test_dev_console_is_the_terminal(container: Container, console: ConsoleSocket) -> None:
    container.process["terminal"] = True
    container.script("stat -c '%t %F' /dev/console; echo to-console > /dev/console; echo done")
    container.create("--console-socket", console.path)
    with console.receive() as terminal:
        container.start()
        text = terminal.read_until("done")
    assert "88 character special file" in text
    assert "to-console" in text


@pytest.mark.parametrize("uid", [0, 1000])
def test_the_terminal_belongs_to_the_user(
    container: Container, console: ConsoleSocket, uid: int
) -> None:
    container.process.update(terminal=True, user={"uid": uid, "gid": uid})
    container.script("stat -c 'owner=%u' $(tty); echo hello > $(tty); echo end")
    container.create("--console-socket", console.path)
    with console.receive() as terminal:
        container.start()
        text = terminal.read_until("end")
    assert f"owner={uid}" in text
    assert "hello" in text


def test_terminal_needs_a_console_socket_when_detached(container: Container) -> None:
    container.process["terminal"] = True
    call = container.create(check=False)
    call.failed("console")
    assert not container.runtime.holds(container.id)


def test_console_socket_without_a_terminal(container: Container, console: ConsoleSocket) -> None:
    container.create("--console-socket", console.path, check=False).failed("console")
    assert not container.runtime.holds(container.id)


def test_a_console_socket_where_nobody_listens(container: Container, directory: str) -> None:
    container.process["terminal"] = True
    call = container.create("--console-socket", f"{directory}/nosuch.sock", check=False)
    call.failed("nosuch.sock")
    assert not container.runtime.holds(container.id)


def test_a_console_socket_that_nobody_accepts_from(container: Container, directory: str) -> None:
    """connect(2) waits while the backlog is full; the container's lock would be held as long."""
    path = f"{directory}/busy"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        container.process["terminal"] = True
        call = container.create("--console-socket", path, check=False)
    assert call.status == 1
    assert "resource temporarily unavailable" in call.err
    assert not container.runtime.holds(container.id)


def test_run_detached_with_a_console_socket(container: Container, console: ConsoleSocket) -> None:
    container.process["terminal"] = True
    container.script("echo up; exec sleep 1000")
    container.run("--detach", "--console-socket", console.path)
    with console.receive() as terminal:
        terminal.read_until("up\r\n")
        assert container.status == "running"
        container.kill_and_wait()


def test_foreground_run(container: Container, tty: OwnTerminal) -> None:
    container.script("tty; stty size; read line; echo got-$line; exit 5")
    call = begin_on(tty, container)
    tty.read_until("30 100")
    tty.write("input\r")
    tty.read_until("got-input")
    assert call.wait().status == 5
    assert tty.modes() == (True, True, True), "the caller's terminal is as it was before"


def test_the_callers_terminal_is_raw_meanwhile(container: Container, tty: OwnTerminal) -> None:
    container.script("echo up; read line")
    call = begin_on(tty, container)
    tty.read_until("up")
    assert tty.modes() == (False, False, False)
    tty.write("\r")
    call.wait().succeeded()
    assert tty.modes() == (True, True, True)


def test_control_c_goes_to_the_container(container: Container, tty: OwnTerminal) -> None:
    container.script("trap 'echo interrupted; exit 9' INT; echo up; while :; do sleep 0.01; done")
    call = begin_on(tty, container)
    tty.read_until("up")
    tty.write("\x03")
    tty.read_until("interrupted")
    assert call.wait().status == 9


def test_resize_is_forwarded(container: Container, tty: OwnTerminal) -> None:
    container.script(
        "trap 'stty size' WINCH; echo up; for i in $(seq 1000); do sleep 0.02; done & wait; "
        "while kill -0 $!; do wait; done"
    )
    call = begin_on(tty, container)
    tty.read_until("up")
    tty.resize(44, 132)
    # The kernel tells the foreground group of the resized terminal, which is the runtime.
    tty.read_until("44 132")
    call.process.kill()
    call.wait()
    container.delete("--force")


def test_console_size_with_run(container: Container, tty: OwnTerminal) -> None:
    """The size of the config is the start; a real terminal's size wins."""
    container.process["consoleSize"] = {"height": 11, "width": 22}
    container.script("sleep 0.1; stty size; echo done")
    call = begin_on(tty, container)
    text = tty.read_until("done")
    assert "30 100" in text or "11 22" in text
    call.wait().succeeded()


def test_much_output_arrives_completely(container: Container, tty: OwnTerminal) -> None:
    container.script("seq 1 20000; echo end-of-output")
    call = begin_on(tty, container)
    text = tty.read_until("end-of-output")
    assert text.split()[:20000] == [str(n) for n in range(1, 20001)]
    assert call.wait().status == 0


def test_the_last_output_before_the_end_is_not_lost(container: Container, tty: OwnTerminal) -> None:
    container.script("exec seq 1 3000")
    call = begin_on(tty, container)
    tty.read_until("\r\n3000\r\n")
    assert call.wait().status == 0


def test_a_terminal_that_hangs_up(container: Container) -> None:
    """The caller's terminal window is closed: the container gets SIGHUP, and goes."""
    tty = OwnTerminal()
    container.script("trap 'exit 4' HUP; echo up; while :; do sleep 0.01; done")
    call = begin_on(tty, container)
    tty.read_until("up")
    tty.close()
    assert call.wait().status == 4
    assert not container.runtime.holds(container.id)


def test_a_terminal_that_nobody_reads_does_not_hold_up_signals(
    container: Container, tty: OwnTerminal
) -> None:
    container.script("trap 'exit 5' TERM; yes & while :; do sleep 0.01; done")
    call = begin_on(tty, container)
    write = {"x86_64": "1 ", "aarch64": "64 "}[os.uname().machine]

    def is_stuck() -> bool:
        with open(f"/proc/{call.process.pid}/syscall", encoding="ascii") as file:
            return file.read().startswith(write)

    if not container.runtime.is_runc:  # whose threads write
        wait_until(lambda: is_stuck() and is_stuck(), "nobody reads")
    wait_until(lambda: container.status == "running", "it runs")
    call.process.terminate()

    def has_ended() -> bool:  # runc deletes it at once, we when all is written
        return '"running"' not in container.verb("state", check=False).out

    wait_until(has_ended, "the signal's effect")
    while call.process.poll() is None:
        if select.select([tty.fd], [], [], 0.1)[0]:
            os.read(tty.fd, 65536)
    assert call.wait().status == 5


@pytest.mark.runc_deviates("makes a terminal raw that it does not read from")
def test_only_output_is_a_terminal(container: Container, tty: OwnTerminal) -> None:
    """Lines end as the container's terminal has ended them, and Ctrl-C still works."""
    container.process["terminal"] = True
    container.script("trap 'echo caught; exit 5' INT; stty size; while :; do sleep 0.01; done")
    container.bundle.write()
    read_end, write_end = os.pipe()
    call = container.runtime.begin(
        "run", "--bundle", container.bundle.path, container.id,
        stdin=read_end, stdout=tty.slave, stderr=tty.slave,
        preexec_fn=functools.partial(become_controlling_terminal, 1),
    )  # fmt: skip
    tty.read_until("30 100\r\n")
    tty.write("\x03")
    tty.read_until("caught\r\n")
    assert call.wait().status == 5
    assert tty.modes() == (True, True, True)
    os.close(read_end)
    os.close(write_end)


def test_foreground_run_needs_a_terminal(container: Container) -> None:
    """There is no terminal to connect the container's to: an error, and neither hang nor rest."""
    container.process["terminal"] = True
    call = container.args("/bin/sh").run(check=False, start_new_session=True)
    assert call.status == 1, call
    assert any(word in call.err for word in ("tty", "terminal", "console")), call
    assert not container.runtime.holds(container.id)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGHUP", "SIGQUIT", "SIGUSR2"])
def test_signals_are_forwarded_to_the_container(
    container: Container, tty: OwnTerminal, name: str
) -> None:
    number = int(signal.Signals[name])
    container.script(
        f"trap 'echo caught-{number}; exit 3' {number}; echo up; while :; do sleep 0.01; done"
    )
    call = begin_on(tty, container)
    tty.read_until("up")
    os.kill(call.process.pid, number)
    tty.read_until(f"caught-{number}")
    assert call.wait().status == 3
