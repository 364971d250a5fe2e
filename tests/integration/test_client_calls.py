"""The calls of containerd's shim and of conmon, word for word, in their order.

What they pass is from their logs; the process.json files and the resources are captured ones, in
tests/unit/golden. What the clients make of the answers, tests/clients sees.
"""

from __future__ import annotations

import array
import json
import os
import re
import select
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.integration.containers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.containers import Call, Container, Runtime

GOLDEN = f"{REPOSITORY}/tests/unit/golden"
SLEEP = ("/bin/sleep", "1000")


def golden(path: str) -> str:
    with open(f"{GOLDEN}/{path}", encoding="utf-8") as file:
        return file.read()


class Shim:
    """containerd-shim-runc-v2: every call has the log, and signals are numbers after the id."""

    def __init__(self, container: Container, runtime: Runtime) -> None:
        self.container, self.runtime = container, runtime
        self.log = f"{container.bundle.path}/log.json"
        runtime.global_options += ["--log", self.log, "--log-format", "json"]

    def create(self) -> Call:
        self.container.bundle.write()
        path = self.container.bundle.path
        options = ("--bundle", path, "--pid-file", f"{path}/init.pid")
        return self.runtime.call("create", *options, self.container.id)

    def call(self, *words: str, **popen: Any) -> Call:
        return self.runtime.call(*words, **popen).succeeded()

    def errors(self) -> list[str]:
        """Return the messages with level "error" of the log, which is a stream of objects."""
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        return [record["msg"] for record in records if record["level"] == "error"]


@pytest.fixture
def shim(container: Container, runtime: Runtime) -> Shim:
    container.args(*SLEEP)
    return Shim(container, runtime)


def exec_process(shim: Shim, *args: str) -> list[str]:
    """Write a process.json with the captured one's members; return exec's options."""
    process = json.loads(golden("processes/docker-exec.json"))
    process["args"] = list(args)
    process["env"] = ["PATH=/bin"]
    path = f"{shim.container.bundle.path}/process.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(process, file)
    pid_file = f"{shim.container.bundle.path}/exec.pid"
    return ["--process", path, "--detach", "--pid-file", pid_file]


@pytest.mark.requires("controller:memory", "controller:pids", "controller:freezer")
def test_life_of_a_container_as_containerd_lives_it(shim: Shim) -> None:
    name, path = shim.container.id, shim.container.bundle.path
    shim.create().succeeded()
    with open(f"{path}/init.pid", encoding="utf-8") as file:
        pid = int(file.read())
    shim.call("start", name)
    marker = f"{shim.container.bundle.rootfs}/marker"
    options = exec_process(shim, "/bin/sh", "-c", "echo $$ > /marker; exec sleep 1000")
    shim.call("exec", *options, name)
    with open(f"{path}/exec.pid", encoding="utf-8") as file:
        exec_pid = int(file.read())
    wait_until(lambda: os.path.exists(marker) and os.path.getsize(marker) > 0, "exec has run")
    pids = json.loads(shim.call("ps", "--format", "json", name).out)
    assert sorted(pids) == sorted((pid, exec_pid))
    shim.call("pause", name)
    assert shim.container.status == "paused"
    shim.call("resume", name)
    resources = f"{path}/resources.json"
    with open(resources, "w", encoding="utf-8") as file:
        file.write(golden("resources/docker-update.json"))
    with open(resources, encoding="utf-8") as stdin:
        shim.call("update", "--resources", "-", name, stdin=stdin)
    shim.call("kill", name, "10")
    shim.call("kill", "--all", name, "9")
    # A PID namespace ends after all that is in it, and the exec'd process is our child now.
    shim.container.wait(exec_pid)
    shim.container.wait(pid)
    shim.call("kill", "--all", name, "9")
    assert not shim.errors()
    shim.runtime.call("kill", name, "9").failed("container not running")
    assert shim.errors() == ["container not running"]
    shim.call("delete", name)
    shim.call("delete", "--force", name)


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("no-such", 'exec: "no-such": executable file not found in $PATH'),
        ("/no/such", 'exec: "/no/such": stat /no/such: no such file or directory'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
        ("/etc", 'exec: "/etc": permission denied'),
    ],
)
def test_texts_that_docker_turns_into_126_and_127(shim: Shim, program: str, text: str) -> None:
    shim.container.args(program)
    shim.create().failed(text)
    shim.container.args(*SLEEP)
    shim.create().succeeded()
    shim.call("start", shim.container.id)
    options = exec_process(shim, program)
    shim.runtime.call("exec", *options, shim.container.id).failed(text, status=255)
    create, exec_ = shim.errors()
    assert text in create
    assert text in exec_


def test_exec_in_the_wrong_status(shim: Shim) -> None:
    name = shim.container.id
    shim.create().succeeded()
    pid = shim.container.pid
    shim.call("start", name)
    options = exec_process(shim, "/bin/true")
    shim.call("pause", name)
    shim.runtime.call("exec", *options, name).failed("paused", status=255)
    shim.call("resume", name)
    shim.call("kill", name, "9")
    shim.container.wait(pid)
    shim.runtime.call("exec", *options, name).failed("stopped", status=255)
    shim.runtime.call("start", name).failed("stopped")


def test_life_of_a_container_as_conmon_and_podman_live_it(
    container: Container, runtime: Runtime, directory: str
) -> None:
    """With nothing but XDG_RUNTIME_DIR in the environment: no PATH, no HOME."""
    environment = {"XDG_RUNTIME_DIR": f"{directory}/xdg"}
    os.mkdir(f"{directory}/xdg", 0o700)
    path, name = container.bundle.path, container.id
    container.args(*SLEEP)
    container.bundle.write()

    def call(*words: str) -> Call:
        return runtime.call(*words, env=environment, cwd=path).succeeded()

    log = ("--log-format=json", "--log", f"{path}/oci-log")
    call(*log, "create", "--bundle", path, "--pid-file", f"{path}/pidfile", name)
    pid = container.pid
    call("start", name)
    with open(f"{path}/resources", "w", encoding="utf-8") as file:
        file.write(golden("resources/podman-update.json"))
    call("update", f"--resources={path}/resources", name)
    assert runtime.call("exec", name, "/bin/sh", "-c", ": > /dev/null").status == 0, "its devices"
    call("pause", name)
    call("resume", name)
    call("kill", name, "15")
    call("kill", name, "9")
    container.wait(pid)
    call("delete", "--force", name)


def test_podman_reads_one_json_value_when_a_command_fails(
    container: Container, runtime: Runtime
) -> None:
    container.args("no-such")
    container.config["unknownMember"] = 1  # a warning, if anything
    container.bundle.write()
    log = f"{container.bundle.path}/oci-log"
    options = ("--log-format=json", "--log", log)
    runtime.call(*options, "create", "--bundle", container.bundle.path, container.id).failed()
    with open(log, encoding="utf-8") as file:
        record = json.load(file)
    assert record["level"] == "error"
    assert 'exec: "no-such": executable file not found in $PATH' in record["msg"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", record["time"])


def test_probes_of_podman(runtime: Runtime) -> None:
    """The help's status tells podman whether containers can be checkpointed: it must be true."""
    can_checkpoint = not runtime.is_ocipy
    assert (runtime.call("checkpoint", "--help").status == 0) == can_checkpoint
    call = runtime.call("restore", "--lsm-mount-context")
    assert call.status
    told = call.out + call.err
    assert "flag needs an argument" in told or "requires an argument" in told


def test_version_as_dockerd_reads_it(runtime: Runtime) -> None:
    """dockerd 20.10 wants lines, each of a name, a separator and a value, and a version in one."""
    lines = runtime.call("--version").succeeded().out.splitlines()
    assert re.fullmatch(r"\w+ version \S+", lines[0])
    assert all(re.fullmatch(r"[\w.-]+: \S.*", line) for line in lines[1:]), lines
    assert any(line.startswith("spec: 1.") for line in lines)


@pytest.fixture
def service_manager(directory: str) -> Iterator[socket.socket]:
    """Return the socket of NOTIFY_SOCKET, as systemd listens on it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"{directory}/notify")
        listening.settimeout(20)
        yield listening


@pytest.mark.parametrize(
    "message",
    [
        b"READY=1\nSTATUS=up",
        pytest.param(
            b"STATUS=up\nREADY=1",
            marks=pytest.mark.runc_deviates("runc 1.1 sees READY=1 only as the first line"),
        ),
    ],
)
def test_notify_socket(
    container: Container,
    runtime: Runtime,
    directory: str,
    service_manager: socket.socket,
    message: bytes,
) -> None:
    """`start` waits for READY=1 from the container, then passes it on with the pid on the host."""
    environment = os.environ | {"NOTIFY_SOCKET": f"{directory}/notify"}
    script = 'echo "$NOTIFY_SOCKET"; exec sleep 1000'
    container.script(script)
    container.create(env=environment)
    pid = container.pid
    start = runtime.begin("start", container.id, env=environment)
    wait_until(lambda: "\n" in container.created.out, "the container runs")
    inside = container.created.out.strip()
    assert inside.startswith("/"), "NOTIFY_SOCKET of the container's process"
    assert inside != f"{directory}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
        service.connect(f"/proc/{pid}/root{inside}")
        service.send(b"STATUS=warming up")
        assert start.process.poll() is None
        assert not select.select([service_manager], [], [], 0.3)[0], "told before it was ready"
        service.send(message)
    told = b""
    deadline = time.monotonic() + 20
    while start.process.poll() is None or select.select([service_manager], [], [], 0)[0]:
        assert time.monotonic() < deadline, f"start does not end; told so far: {told!r}"
        if select.select([service_manager], [], [], 0.05)[0]:
            data, ancillary, _, _ = service_manager.recvmsg(4096, 4096)
            told += data + b"\n"
            for _, _, fds in ancillary:  # BARRIER=1: closing it says that all was read
                for fd in array.array("i", fds):
                    os.close(fd)
    start.wait().succeeded()
    lines = [line for line in told.decode().splitlines() if line and line != "BARRIER=1"]
    assert lines == ["READY=1", f"MAINPID={pid}"]


@pytest.mark.parametrize("options", [(), ("--detach",)], ids=["foreground", "detached"])
def test_notify_socket_of_run(
    container: Container,
    runtime: Runtime,
    directory: str,
    service_manager: socket.socket,
    options: tuple[str, ...],
) -> None:
    environment = os.environ | {"NOTIFY_SOCKET": f"{directory}/notify"}
    container.script('echo "$NOTIFY_SOCKET"; trap "exit 7" USR1; while :; do sleep 0.05; done')
    container.bundle.write()
    command = ("run", "--bundle", container.bundle.path, *options, container.id)
    run = runtime.begin(*command, env=environment)
    wait_until(lambda: "\n" in run.out, "the container runs")
    pid = container.pid
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
        service.connect(f"/proc/{pid}/root{run.out.strip()}")
        service.send(b"READY=1")
    assert service_manager.recv(4096) == b"READY=1\n"
    # In the foreground the runtime stays the service's main process: it has yet to clean up.
    main_pid = pid if options else run.process.pid
    assert service_manager.recv(4096) == f"MAINPID={main_pid}\n".encode()
    if options and runtime.is_ocipy:
        data, ancillary, _, _ = service_manager.recvmsg(4096, 4096)
        assert data == b"BARRIER=1"
        for fd in array.array("i", ancillary[0][2]):
            os.close(fd)
    if options:
        run.wait().succeeded()
    container.kill("USR1")
    if options:
        assert container.wait(pid) == 7
    else:
        assert run.wait().status == 7


def test_notify_socket_of_a_container_that_ends_without_a_word(
    container: Container, runtime: Runtime, directory: str, service_manager: socket.socket
) -> None:
    environment = os.environ | {"NOTIFY_SOCKET": f"{directory}/notify"}
    container.args("/bin/true")
    container.create(env=environment)
    pid = container.pid
    start = runtime.begin("start", container.id, env=environment)
    container.wait(pid)
    start.wait().succeeded()
    assert not select.select([service_manager], [], [], 0)[0]


def test_listen_fds(container: Container, runtime: Runtime) -> None:
    """Sockets of the caller's activation keep their places; what is preserved comes after them."""
    container.script(
        "echo $LISTEN_FDS $LISTEN_PID; for f in 3 4 5; do readlink /proc/self/fd/$f; done"
    )
    container.bundle.write()
    fds = [os.open(path, os.O_RDONLY) for path in ("/etc/hostname", "/etc/passwd", "/etc/group")]

    def place() -> None:
        for target, fd in zip((3, 4, 5), [os.dup2(fd, fd + 100) for fd in fds], strict=True):
            os.dup2(fd, target)
        os.environ["LISTEN_PID"] = str(os.getpid())

    # LISTEN_PID has to be the pid of the runtime itself: env(1) execs it.
    command = 'LISTEN_PID=$$ LISTEN_FDS=2 exec "$@"'
    options = ("run", "--preserve-fds", "1", "--bundle", container.bundle.path, container.id)
    whole = ["/bin/sh", "-c", command, "sh", runtime.program, *runtime.global_options, *options]
    call = type(runtime.begin("--version"))(whole, runtime.directory)
    call.begin(preexec_fn=place, close_fds=False)
    call.wait().succeeded()
    for fd in fds:
        os.close(fd)
    assert call.out.split() == ["2", "1", "/etc/hostname", "/etc/passwd", "/etc/group"]
