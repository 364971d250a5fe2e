"""Pid and start ticks, pidfds, zombies: with real processes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from ocipy.state.process import is_alive, open_process, start_ticks


def test_a_process_is_known_by_pid_and_start_ticks(process: subprocess.Popen[bytes]) -> None:
    ticks = start_ticks(process.pid)
    assert ticks is not None
    assert is_alive(process.pid, ticks)
    assert not is_alive(process.pid, ticks + 1), "the pid was given to somebody else"
    assert open_process(process.pid, ticks + 1) is None


def test_start_ticks_are_field_22_whatever_the_process_is_called() -> None:
    name = ") S 1 2 3 ("
    code = f"open('/proc/self/comm', 'w').write({name!r}); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with open(f"/proc/{child.pid}/comm", encoding="utf-8") as file:
            assert file.read().strip() == name
        ticks = start_ticks(child.pid)
        child.kill()
    uptime_ticks = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
    assert ticks is not None
    assert uptime_ticks - 60 * os.sysconf("SC_CLK_TCK") < ticks <= uptime_ticks + 1


def test_no_process() -> None:
    assert not is_alive(0, 0)
    assert open_process(0, 0) is None
    child = subprocess.Popen(["true"])
    child.wait()
    assert start_ticks(child.pid) is None
    assert not is_alive(child.pid, 1)
    assert open_process(child.pid, 1) is None


def test_a_zombie_is_not_alive_but_can_be_waited_for(process: subprocess.Popen[bytes]) -> None:
    ticks = start_ticks(process.pid)
    assert ticks is not None
    opened = open_process(process.pid, ticks)
    assert opened is not None
    with opened:
        assert not opened.wait(0)
        opened.send_signal(signal.SIGKILL)
        assert opened.wait(10)
        # Not reaped: our Popen has not waited yet.
        assert not is_alive(process.pid, ticks)
        assert start_ticks(process.pid) == ticks
        opened.send_signal(0)
        process.wait()
        with pytest.raises(ProcessLookupError):
            opened.send_signal(0)


def test_a_process_lives_while_any_thread_of_it_does() -> None:
    code = (
        "import ctypes, os, threading, time\n"
        "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "print(flush=True)\n"
        "ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        ticks = start_ticks(child.pid)
        assert ticks is not None
        deadline = time.monotonic() + 10
        while _state(child.pid) != "Z" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _state(child.pid) == "Z"
        assert is_alive(child.pid, ticks)
        child.kill()
        child.wait()


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_waiting_gives_up_in_time(process: subprocess.Popen[bytes]) -> None:
    ticks = start_ticks(process.pid)
    assert ticks is not None
    opened = open_process(process.pid, ticks)
    assert opened is not None
    with opened:
        start = time.monotonic()
        assert not opened.wait(0.05)
        assert 0.04 < time.monotonic() - start < 5


def test_the_pidfd_is_close_on_exec(process: subprocess.Popen[bytes]) -> None:
    opened = open_process(process.pid, start_ticks(process.pid) or 0)
    assert opened is not None
    with opened:
        assert not os.get_inheritable(opened.pidfd)


def test_a_signal_that_does_not_exist(process: subprocess.Popen[bytes]) -> None:
    opened = open_process(process.pid, start_ticks(process.pid) or 0)
    assert opened is not None
    with opened, pytest.raises(OSError, match="Invalid argument"):
        opened.send_signal(999)


def test_what_is_gone_need_not_be_opened(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of `run` where the kernel has no descriptor left: the container is deleted."""
    ticks = start_ticks(process.pid) or 0

    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        open_process(process.pid, ticks)
    process.kill()
    process.wait()
    assert open_process(process.pid, ticks) is None
