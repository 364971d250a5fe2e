"""`exec`: another process in a running container, with all of runc's options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.bundles import CAPABILITIES
from tests.integration.containers import Container
from tests.integration.exec_processes import sh

if TYPE_CHECKING:
    pass

runc_deviates = pytest.mark.runc_deviates

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts", "user")


def test_same_namespaces_and_cgroup(running: Container) -> None:
    pid = running.pid
    out = sh(running, f"cd /proc/self/ns; for n in {' '.join(NAMESPACES)}; do readlink $n; done")
    assert out.split() == [os.readlink(f"/proc/{pid}/ns/{name}") for name in NAMESPACES]
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        assert sh(running, "cat /proc/self/cgroup") == file.read().strip()


def test_same_root_and_defaults_of_the_config(running: Container) -> None:
    out = sh(running, "hostname; pwd; id -u; echo $FROM_CONFIG; ls /bin/busybox")
    assert out.split() == ["host0", "/", "0", "1", "/bin/busybox"]


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_exit_status(running: Container, status: int) -> None:
    assert running.exec("/bin/sh", "-c", f"exit {status}", check=False).status == status


def test_death_by_signal(running: Container) -> None:
    assert running.exec("/bin/sh", "-c", "kill -TERM $$", check=False).status == 143


def test_options_end_at_the_id(running: Container) -> None:
    """What follows the id belongs to the command, dashes or not."""
    assert running.exec("/bin/echo", "--cwd", "-t", "--", "x").out == "--cwd -t -- x\n"


@pytest.mark.parametrize("option", ["--env", "-e", "-env"])
def test_env(running: Container, option: str) -> None:
    assert sh(running, "echo $A-$B", option, "A=1", option, "B=x=y z") == "1-x=y z"


def test_env_replaces(running: Container) -> None:
    assert sh(running, "echo $FROM_CONFIG", "--env", "FROM_CONFIG=2") == "2"


def test_cwd(running: Container) -> None:
    assert sh(running, "pwd", "--cwd", "/etc") == "/etc"


@pytest.mark.parametrize(
    ("user", "expected"),
    [("1000", "1000 0"), ("1000:2000", "1000 2000"), ("0:0", "0 0"), ("5:6", "5 6")],
)
def test_user(running: Container, user: str, expected: str) -> None:
    out = sh(running, "echo $(id -u) $(id -g)", "--user", user)
    uid, gid = out.split()
    assert uid == expected.split()[0]
    assert gid == expected.split()[1] or (":" not in user and gid == "1000")


@runc_deviates("takes numbers only")
@pytest.mark.parametrize(
    ("user", "expected"), [("app", "1000 1000"), ("app:data", "1000 2000"), ("root:app", "0 1000")]
)
def test_user_by_name(running: Container, user: str, expected: str) -> None:
    """Looked up in the container's own passwd and group."""
    assert sh(running, "echo $(id -u) $(id -g)", "-u", user) == expected


@pytest.mark.parametrize("option", ["--additional-gids", "-g"])
def test_additional_gids(running: Container, option: str) -> None:
    groups = sh(running, "id -G", "-u", "1000:1000", option, "5", option, "2000").split()
    assert sorted(groups) == ["1000", "2000", "5"]


def capability_sets(text: str) -> dict[str, int]:
    return {line[3:6]: int(line.split()[1], 16) for line in text.splitlines() if "Cap" in line}


def test_capabilities_are_the_containers(running: Container) -> None:
    container = capability_sets(running.exec("cat", "/proc/1/status").out)
    process = capability_sets(running.exec("cat", "/proc/self/status").out)
    assert process == container


@pytest.mark.parametrize("option", ["--cap", "-c"])
def test_cap_adds(running: Container, option: str) -> None:
    assert "CAP_SYS_PTRACE" not in CAPABILITIES
    out = running.exec("cat", "/proc/self/status", options=[option, "CAP_SYS_PTRACE"]).out
    sets = capability_sets(out)
    assert sets["Eff"] >> 19 & sets["Prm"] >> 19 & sets["Bnd"] >> 19 & 1
    assert sets["Inh"] == 0, "CVE-2022-29162: never inheritable"


def test_a_user_without_capabilities(running: Container) -> None:
    sets = capability_sets(running.exec("cat", "/proc/self/status", options=["-u", "1000"]).out)
    assert (sets["Prm"], sets["Eff"], sets["Amb"]) == (0, 0, 0)


def test_no_new_privs(container: Container) -> None:
    container.process["noNewPrivileges"] = False
    container.up()
    script = "grep NoNewPrivs /proc/self/status"
    assert sh(container, script).split()[1] == "0"
    assert sh(container, script, "--no-new-privs").split()[1] == "1"


@pytest.mark.requires("cgroup-v2")
def test_cgroup_below_the_containers(running: Container) -> None:
    with_sub = f"/sys/fs/cgroup/{running.id}/sub"
    os.mkdir(with_sub)
    try:
        out = sh(running, "cat /proc/self/cgroup", "--cgroup", "sub")
        assert out.endswith("/sub")
    finally:
        running.kill_and_wait()
        os.rmdir(with_sub)


@pytest.mark.requires("cgroup-v1")
@pytest.mark.parametrize("option", ["pids:sub", "sub"])
def test_cgroup_of_one_controller(running: Container, option: str) -> None:
    roots = ["pids"] if ":" in option else [
        name for name in os.listdir("/sys/fs/cgroup")
        if os.path.isdir(f"/sys/fs/cgroup/{name}/{running.id}")
    ]  # fmt: skip
    for name in roots:
        os.mkdir(f"/sys/fs/cgroup/{name}/{running.id}/sub")
    if "cpuset" in roots:
        for name in ("cpus", "mems"):
            with open(f"/sys/fs/cgroup/cpuset/cpuset.{name}", encoding="utf-8") as file:
                value = file.read()
            with open(
                f"/sys/fs/cgroup/cpuset/{running.id}/sub/cpuset.{name}", "w", encoding="utf-8"
            ) as file:
                file.write(value)
    lines = sh(running, "cat /proc/self/cgroup", "--cgroup", option).splitlines()
    places = {line.split(":")[1]: line.split(":")[2] for line in lines}
    assert places["pids"] == f"/{running.id}/sub"
    assert places["memory"].endswith("/sub") == (":" not in option)
    running.kill_and_wait()
    running.delete()
