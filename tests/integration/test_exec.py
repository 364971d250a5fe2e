"""`exec`: another process in a running container, with all of runc's options."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.bundles import CAPABILITIES, PATH, with_namespace
from tests.integration.consoles import ConsoleSocket, OwnTerminal, become_controlling_terminal
from tests.integration.containers import Container, Runtime, wait_for_orphan, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts", "user")
FAILURE = 255


@pytest.fixture
def running(container: Container) -> Container:
    """Return a running container with users of its own."""
    container.process["env"].append("FROM_CONFIG=1")
    container.up()
    return container


def sh(container: Container, script: str, *options: str, **popen: Any) -> str:
    return container.exec("/bin/sh", "-c", script, options=options, **popen).out.strip()


def process_file(container: Container, directory: str, **members: Any) -> str:
    """Write a process.json with these members and return its path."""
    process = {"args": ["/bin/true"], "cwd": "/", "env": [PATH], "user": {"uid": 0, "gid": 0}}
    path = f"{directory}/process.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(process | members, file)
    return path


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


def test_streams(running: Container) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"input\n")
    os.close(write_end)
    call = running.exec("/bin/sh", "-c", "cat; echo error >&2", stdin=read_end)
    os.close(read_end)
    assert (call.out, call.err) == ("input\n", "error\n")


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


@pytest.mark.parametrize("cwd", ["relative", "/proc/self/fd/7", "/proc/self/fd/8"])
def test_wrong_cwd(running: Container, cwd: str) -> None:
    call = running.exec("/bin/pwd", options=["--cwd", cwd], check=False)
    assert call.status == FAILURE or (call.out == "" and call.status), call


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
        running,
        directory,
        args=["/bin/sh", "-c", "id -u; id -g; pwd; echo $X; ulimit -n; cat"],
        cwd="/etc",
        env=[PATH, "X=from-file"],
        user={"uid": 1000, "gid": 2000},
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
    )
    call = running.verb("exec", option, path)
    assert call.out.split() == ["1000", "2000", "/etc", "from-file", "100"]


@runc_deviates("1.1 ignores it in exec")
def test_umask_of_a_process_file(running: Container, directory: str) -> None:
    user = {"uid": 1000, "gid": 2000, "umask": 0o77}
    path = process_file(running, directory, args=["/bin/sh", "-c", "umask"], user=user)
    assert running.verb("exec", "--process", path).out == "0077\n"


def test_process_file_with_options_of_docker(running: Container, directory: str) -> None:
    """process.json of exec omits terminal, and is used detached with a pid file."""
    path = process_file(running, directory, args=["/bin/sh", "-c", "echo done"])
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
    path = process_file(running, directory, **change)
    call = running.verb("exec", "--process", path, check=False)
    call.failed(status=FAILURE)
    if running.runtime.is_ocipy:
        assert f"/{next(iter(change))}" in call.err


def test_tty_in_the_foreground(running: Container) -> None:
    with OwnTerminal(25, 90) as tty:
        call = running.runtime.begin(
            "exec", "-t", running.id, "/bin/sh", "-c", "tty; stty size; read x; exit $x",
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
    path = process_file(
        running, directory, args=["/bin/sh", "-c", "stty size; read x"], terminal=True,
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
