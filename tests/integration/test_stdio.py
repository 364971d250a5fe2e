"""What the container's process inherits: standard streams, passed descriptors, signals, keys."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.containers import Call, Container, environment, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

runc_deviates = pytest.mark.runc_deviates

SHOW_FDS = "for f in /proc/self/fd/*; do echo ${f##*/}; done"


@pytest.fixture
def passed_files(directory: str) -> Iterator[list[int]]:
    """Open files with the contents file3, file4, file5 as the descriptors 3, 4 and 5."""
    saved = [(fd, os.dup(fd)) for fd in (3, 4, 5) if os.path.exists(f"/proc/self/fd/{fd}")]
    for fd in (3, 4, 5):
        with open(f"{directory}/file{fd}", "w+", encoding="utf-8") as file:
            file.write(f"file{fd}\n")
            file.flush()
            os.dup2(file.fileno(), fd)
        os.lseek(fd, 0, os.SEEK_SET)
    yield [3, 4, 5]
    for fd in (3, 4, 5):
        os.close(fd)
    for fd, copy in saved:
        os.dup2(copy, fd)
        os.close(copy)


def run_with_fds(container: Container, *options: str, **popen: Any) -> str:
    return container.run(*options, **popen).out


def test_streams_of_run(container: Container) -> None:
    container.script("cat; echo to-stdout; echo to-stderr >&2")
    container.bundle.write()
    call = container.runtime.begin(
        "run", "--bundle", container.bundle.path, container.id, stdin=subprocess.PIPE
    )
    assert call.process.stdin is not None
    call.process.stdin.write(b"from the caller\n")
    call.process.stdin.close()
    call.wait().succeeded()
    assert call.out == "from the caller\nto-stdout\n"
    assert call.err == "to-stderr\n"


def test_streams_after_create_and_start(container: Container) -> None:
    """No relay in between: what the process has are the very pipes of the caller."""
    container.args("/bin/cat")
    read_end, write_end = os.pipe()
    container.create(stdin=read_end)
    pid = container.pid
    container.start()
    assert os.readlink(f"/proc/{pid}/fd/0") == os.readlink(f"/proc/self/fd/{read_end}")
    os.close(read_end)
    os.write(write_end, b"late\n")
    wait_until(lambda: container.created.out == "late\n", "the echo")
    os.close(write_end)
    assert container.wait(pid) == 0


@runc_deviates("gives the container its own descriptor of /sys/fs/cgroup as stdin")
def test_a_closed_stdin(container: Container) -> None:
    """A caller without descriptor 0 must not give the container something else in its place."""
    container.script("readlink /proc/self/fd/0 || echo none; echo ok")
    container.create(preexec_fn=lambda: os.close(0))
    pid = container.pid
    container.start()
    assert container.wait(pid) == 0
    first, second = container.created.out.splitlines()
    assert first in ("none", "/dev/null")
    assert second == "ok"


def test_no_descriptor_of_the_caller_is_inherited(
    container: Container, passed_files: list[int]
) -> None:
    container.script(SHOW_FDS)
    out = run_with_fds(container, pass_fds=passed_files)
    # ash itself has the directory open as a fourth.
    assert set(out.split()) <= {"0", "1", "2", "3"}
    container.script("cat <&3 2>/dev/null || echo closed")
    assert run_with_fds(container, pass_fds=passed_files) == "closed\n"


def run_activated(container: Container, fds: list[int], *options: str) -> str:
    """`run` as systemd starts a service with sockets: LISTEN_PID is the runtime's own."""
    container.bundle.write()
    runtime = container.runtime
    command = [runtime.program, *runtime.global_options, "run", "--bundle", container.bundle.path]
    script = 'LISTEN_FDS=1 LISTEN_FDNAMES=web LISTEN_PID=$$ exec "$@"'
    call = Call(
        ["/bin/sh", "-c", script, "sh", *command, *options, container.id], runtime.directory
    )
    call.begin(pass_fds=fds)
    return call.wait().succeeded().out


@pytest.mark.parametrize("verb", ["run", "create"])
def test_preserve_fds(container: Container, passed_files: list[int], verb: str) -> None:
    container.script("cat <&3; cat <&4; cat <&5 || echo no-fd-5")
    if verb == "run":
        out = run_with_fds(container, "--preserve-fds", "2", pass_fds=passed_files)
    else:
        container.create("--preserve-fds", "2", pass_fds=passed_files)
        pid = container.pid
        container.start()
        container.wait(pid)
        out = container.created.out
    assert out == "file3\nfile4\nno-fd-5\n"


def test_preserve_fds_that_are_not_open(container: Container) -> None:
    call = container.run("--preserve-fds", "20", check=False)
    assert call.status == 1, call
    assert not container.runtime.holds(container.id)


def test_what_ocipy_has_opened_is_not_passed_on(container: Container) -> None:
    """3 is its pack, which a container could open again through /proc/self/fd, for writing."""
    if container.runtime.is_runc:
        pytest.skip("runc passes on what it has opened itself")
    call = container.run("--preserve-fds", "1", check=False)
    call.failed("please check that preserved-fd 3 is present")


def test_listen_fds(container: Container, passed_files: list[int]) -> None:
    """Socket activation: the descriptors and variables go through; the pid is the container's."""
    container.script("echo $LISTEN_FDS $LISTEN_PID; cat <&3; cat <&4 || echo no-4")
    assert run_activated(container, passed_files) == "1 1\nfile3\nno-4\n"


def test_listen_fds_come_before_preserved_ones(
    container: Container, passed_files: list[int]
) -> None:
    container.script("echo $LISTEN_FDS; cat <&3; cat <&4; cat <&5 || echo no-5")
    out = run_activated(container, passed_files, "--preserve-fds", "1")
    assert out == "1\nfile3\nfile4\nno-5\n"


def test_listen_fds_that_are_meant_for_another_process(
    container: Container, passed_files: list[int]
) -> None:
    """sd_listen_fds(3): only the process whose pid is in LISTEN_PID may take them."""
    container.script("echo ${LISTEN_FDS-unset}; cat <&3 || echo no-3")
    env = environment({"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert run_with_fds(container, env=env, pass_fds=passed_files) == "unset\nno-3\n"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGCONT"])
def test_foreground_run_forwards_signals(container: Container, name: str) -> None:
    number = int(signal.Signals[name])
    container.script(
        f"trap 'echo caught; exit 40' {number}; echo up; while :; do sleep 0.01; done"
    ).bundle.write()
    call = container.runtime.begin("run", "--bundle", container.bundle.path, container.id)
    wait_until(lambda: "up" in call.out, "output")
    os.kill(call.process.pid, number)
    assert call.wait().status == 40
    assert call.out == "up\ncaught\n"


def said(call: Call, text: str) -> bool:
    return text in call.out


@runc_deviates("dies of real-time signals")
def test_foreground_run_forwards_every_signal_that_can_be_caught(container: Container) -> None:
    numbers = sorted(
        signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33}
    )
    words = " ".join(str(int(number)) for number in numbers)
    container.script(
        f'for n in {words}; do trap "echo got $n." $n; done; echo up; while :; do sleep 0.01; done'
    ).bundle.write()
    call = container.runtime.begin("run", "--bundle", container.bundle.path, container.id)
    wait_until(lambda: "up" in call.out, "output")
    for number in numbers:
        os.kill(call.process.pid, number)
        text = f"got {int(number)}."
        wait_until(functools.partial(said, call, text), text)
    container.kill("KILL")
    assert call.wait().status == 128 + signal.SIGKILL


@pytest.mark.parametrize("delay", [0.002, 0.005, 0.01, 0.02])
def test_a_signal_sent_while_run_begins(container: Container, delay: float) -> None:
    """Whenever SIGTERM arrives, once is enough, or twice; `run` ends, and can be cleaned up."""
    container.script("trap 'exit 1' TERM; while :; do sleep 0.01; done").bundle.write()
    call = container.runtime.begin("run", "--bundle", container.bundle.path, container.id)
    with contextlib.suppress(subprocess.TimeoutExpired):
        call.process.wait(delay)
    wait_until(lambda: ended_or_terminated(call.process), "the end")
    call.wait()
    if container.runtime.holds(container.id):
        container.delete("--force")


def ended_or_terminated(process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        return True
    process.terminate()
    return False


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 1", 1), ("exit 255", 255), ("kill -KILL $$", 137), ("exit 130", 130)],
)
def test_exit_status(container: Container, script: str, status: int) -> None:
    # A signal to pid 1 from inside is ignored, so pid 1 is the runtime's pid namespace's here.
    if "KILL" in script:
        script = f"sh -c '{script}'; exit $?"
    assert container.script(script).run(check=False).status == status


@pytest.mark.parametrize("number", [6, 9, 15])
def test_death_by_signal_is_128_and_its_number(container: Container, number: int) -> None:
    container.script(f"trap - {number}; echo up; exec sleep 1000").bundle.write()
    # Without a pid namespace the default action of a signal is not blocked for the process.
    container.linux["namespaces"] = [
        ns for ns in container.linux["namespaces"] if ns["type"] != "pid"
    ]
    container.bundle.write()
    call = container.runtime.begin("run", "--bundle", container.bundle.path, container.id)
    wait_until(lambda: "up" in call.out, "output")
    container.kill(str(number))
    assert call.wait().status == 128 + number


@pytest.mark.parametrize(("options", "expected"), [((), True), (("--no-new-keyring",), False)])
def test_session_keyring(container: Container, options: tuple[str, ...], expected: bool) -> None:
    """A container has a session keyring of its own, named after it, unless that is not wanted."""
    if not os.path.exists("/proc/keys"):
        pytest.skip("this kernel does not show keys in /proc")
    out = container.sh("cat /proc/keys", *options)
    assert (f"_ses.{container.id}" in out) == expected, out


def test_run_waits_only_for_the_containers_process(container: Container) -> None:
    """Children of another pid namespace's init die with it; the streams are not waited for."""
    container.script("sleep 1000 & echo started")
    assert container.run().out == "started\n"


def test_foreground_run_as_pid_1_of_nothing_leaves_no_zombie(container: Container) -> None:
    container.script("(sleep 0.05; echo late) & echo early; wait")
    assert container.run().out == "early\nlate\n"


@pytest.mark.runc_deviates("runc takes it for none")
def test_a_negative_number_of_descriptors(container: Container) -> None:
    container.run("--preserve-fds", "-1", check=False).failed("bad --preserve-fds -1")
