"""What everyone does with Docker, podman and containerd, with the runtime under test in each."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.clients.dialogue import COLUMNS, ROWS
from tests.clients.room import wait_until

if TYPE_CHECKING:
    from tests.clients.engines import Engine

# Says that it has begun, and what ends it.
SERVICE = "echo started; trap 'echo bye; exit 5' TERM; while :; do sleep 0.1; done"


def test_interactive_shell_is_process_1_and_alone(engine: Engine, name: str) -> None:
    shell = engine.interactive(name, "/bin/sh")
    shell.expect(r"/ # $")
    shell.type("ps\r")
    processes = shell.expect(r"PID[\s\S]*/ # $")
    shell.type("exit 42\r")
    assert shell.finish() == 42, shell.transcript
    # busybox's shell runs its own ps, which so may call itself "{ps} /bin/sh".
    first, *others = re.findall(r"^ *(\d+) root(?: +[\d:]+)? +(.+)$", processes, re.MULTILINE)
    assert first == ("1", "/bin/sh"), processes
    assert [command for _, command in others] in (["ps"], ["{ps} /bin/sh"]), processes


def test_terminal_has_the_window_size_and_passes_interrupts(engine: Engine, name: str) -> None:
    # ctr sets the size after the start, so ask until it is there.
    script = "trap 'exit 9' INT; while :; do stty size; sleep 0.1; done"
    terminal = engine.interactive(name, "/bin/sh", "-c", script)
    terminal.expect(rf"(?m)^{ROWS} {COLUMNS}$")
    terminal.type("\x03")
    assert terminal.finish() == 9, terminal.transcript


def test_detached_container_with_exec_logs_and_stop(engine: Engine, name: str) -> None:
    engine.start_detached(name, "/bin/sh", "-c", SERVICE)
    wait_until(lambda: engine.logs(name) == "started", "the log has the first line")
    assert engine.exec(name, "/bin/sh", "-c", "echo $$ > /tmp/x; cat /proc/1/comm") == (0, "sh")
    assert engine.exec(name, "/bin/sh", "-c", "test -s /tmp/x && exit 3")[0] == 3
    assert engine.stop(name) == 5
    assert engine.logs(name) == "started\nbye"
    engine.remove(name)


def test_exit_statuses_and_output_come_back(engine: Engine, name: str) -> None:
    assert engine.run(name, "/bin/sh", "-c", "echo out; exit 7") == (7, "out")
    assert engine.run(name, "/bin/hostname")[0] == 0


def test_missing_command_is_named(engine: Engine, name: str) -> None:
    status, output = engine.run(name, "no-such-command")
    assert status == 127, output
    assert "no-such-command" in output


def test_command_that_cannot_be_executed_is_named(engine: Engine, name: str) -> None:
    status, output = engine.run(name, "/etc/noexec")
    assert status == 126, output
    assert "noexec" in output


def test_removal_of_a_running_container_kills_all_its_processes(engine: Engine, name: str) -> None:
    engine.start_detached(name, "/bin/sh", "-c", "sleep 1001 & sleep 1002")
    wait_until(lambda: "sleep 1002" in engine.exec(name, "/bin/ps")[1], "the container runs")
    engine.remove(name)


def test_ten_containers_at_once(engine: Engine, name: str) -> None:
    def run(number: int) -> tuple[int, str]:
        return engine.run(f"{name}-{number}", "/bin/sh", "-c", f"echo {number}; exit {number}")

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(run, range(10)))
    assert results == [(number, str(number)) for number in range(10)]


def test_many_containers_one_after_another_leave_nothing(engine: Engine, name: str) -> None:
    for number in range(50):
        one = f"{name}-{number}"
        engine.start_detached(one, "/bin/sleep", "1000")
        assert engine.exec(one, "/bin/true") == (0, "")
        engine.remove(one)
