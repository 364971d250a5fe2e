"""`exec` where it cannot work, where it is odd, and where the container is hostile."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bundles import with_namespace
from tests.integration.containers import Container, Runtime
from tests.integration.exec_processes import sh

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates

FAILURE = 255


@pytest.mark.parametrize("cwd", ["relative", "/proc/self/fd/7", "/proc/self/fd/8"])
def test_wrong_cwd(running: Container, cwd: str) -> None:
    call = running.exec("/bin/pwd", options=["--cwd", cwd], check=False)
    assert call.status == FAILURE or (call.out == "" and call.status), call


@pytest.mark.parametrize(
    "user",
    ["nosuch", "-1", "4294967295", "4294967296", "1:nosuch", "0x1", "1:2:3", "1 ", "\u0661", "+1"],
)
def test_wrong_users(running: Container, user: str) -> None:
    """CVE-2026-30892: strictly parsed; nothing of these may become root."""
    call = running.exec("/bin/id", options=[f"--user={user}"], check=False)
    if running.runtime.is_runc and call.status == 0:
        pytest.xfail(f"runc takes it: {call.out}")
    assert call.status == FAILURE, call
    assert call.out == ""


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["nosuch"], 'exec: "nosuch": executable file not found in $PATH'),
        (["/nosuch"], "no such file or directory"),
        (["/etc/passwd"], "permission denied"),
    ],
)
@pytest.mark.parametrize("detach", [False, True])
def test_programs_that_cannot_run(
    running: Container, args: list[str], text: str, detach: bool
) -> None:
    call = running.exec(*args, options=["--detach"] if detach else [], check=False)
    call.failed(text, status=FAILURE)
    assert running.status == "running"


def test_no_command(running: Container) -> None:
    call = running.exec(check=False)
    assert call.status not in (0, None), call


def test_unknown_container(runtime: Runtime, tag: str) -> None:
    runtime.call("exec", tag, "/bin/true").failed("does not exist", status=FAILURE)


@pytest.mark.parametrize("status", ["stopped", "paused"])
def test_exec_needs_a_running_container(container: Container, status: str) -> None:
    pid = container.up("echo up; exec sleep 1000" if status != "stopped" else "echo up")
    if status == "stopped":
        container.wait(pid)
    else:
        container.verb("pause")
    call = container.exec("/bin/true", check=False)
    call.failed(status if status == "paused" else "", status=FAILURE)
    if status == "paused":
        container.verb("resume")


def test_exec_in_a_created_container(container: Container) -> None:
    """runc allows it: the namespaces are there."""
    container.create()
    call = container.exec("/bin/echo", "hello", check=False)
    assert call.out == "hello\n" if call.status == 0 else call.status == FAILURE


def test_ignore_paused(running: Container) -> None:
    """The process waits in the frozen cgroup, and runs when the container goes on."""
    running.verb("pause")
    call = running.runtime.begin("exec", "--ignore-paused", running.id, "/bin/echo", "thawed")
    try:
        call.process.wait(0.3)
    except subprocess.TimeoutExpired:
        pass
    assert call.out == ""
    running.verb("resume")
    call.wait().succeeded()
    assert call.out == "thawed\n"


def test_user_namespace(container: Container) -> None:
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    container.linux["uidMappings"] = container.linux["gidMappings"] = mapping
    container.up()
    assert sh(container, "id -u; cat /proc/self/uid_map").split() == ["0", "0", "100000", "65536"]
    assert sh(container, "id -u; id -g", "-u", "5:6").split() == ["5", "6"]


def test_joined_namespaces(
    container: Container, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    owner = sleeper("--net", "--ipc")
    for kind, name in (("network", "net"), ("ipc", "ipc")):
        with_namespace(container.config, kind, f"/proc/{owner.pid}/ns/{name}")
    container.up()
    assert sh(container, "readlink /proc/self/ns/net") == os.readlink(f"/proc/{owner.pid}/ns/net")


def test_the_bundle_may_be_gone(running: Container) -> None:
    os.unlink(f"{running.bundle.path}/config.json")
    if running.runtime.is_runc:
        pytest.xfail("runc reads config.json of the bundle again")
    assert sh(running, "echo ok") == "ok"


@pytest.mark.parametrize("option", ["../evil", "/../../evil", "nosuch"])
def test_wrong_cgroups(running: Container, option: str) -> None:
    call = running.exec("/bin/true", options=["--cgroup", option], check=False)
    call.failed(status=FAILURE)


def test_many_at_once(running: Container) -> None:
    calls = [
        running.runtime.begin("exec", running.id, "/bin/sh", "-c", f"echo {n}; exit {n}")
        for n in range(8)
    ]
    for number, call in enumerate(calls):
        assert call.wait().status == number, call
        assert call.out == f"{number}\n"


def test_the_runtimes_program_is_not_reachable(running: Container) -> None:
    """CVE-2019-5736: /proc/self/exe of an exec'd process is the container's own."""
    out = running.exec("/bin/readlink", "/proc/self/exe").out
    assert out == "/bin/busybox\n"


def test_a_hostile_program_that_is_proc_self_exe(running: Container) -> None:
    """The container makes its shell a link to /proc/self/exe, to run the runtime again."""
    os.symlink("/proc/self/exe", f"{running.bundle.rootfs}/bin/evil")
    before = os.stat(running.runtime.program)
    call = running.exec("/bin/evil", "--version", check=False)
    assert not re.search(r"version \d+\.\d+", call.out), call
    assert os.stat(running.runtime.program).st_mtime == before.st_mtime
