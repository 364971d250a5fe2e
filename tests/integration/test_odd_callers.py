"""Callers with odd surroundings: paths, descriptors, limits, sizes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.integration.containers import Call, Container, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates


@pytest.mark.parametrize("name", ["with space", "new\nline", "q\"uote'", "\N{SNOWMAN}", "a,b:c=d"])
def test_bundle_paths(container: Container, directory: str, name: str) -> None:
    path = f"{directory}/{name}"
    os.rename(container.bundle.path, path)
    container.bundle.path, container.bundle.rootfs = path, f"{path}/rootfs"
    container.bundle.add_mount("/m", "bind", "rootfs/etc", "rbind", "ro")
    container.up("cat /m/passwd | head -1; exec sleep 1000")
    assert container.state()["bundle"] == path
    assert container.created.out.startswith("root:")


def test_a_relative_root(container: Container, runtime: Runtime, directory: str) -> None:
    container.bundle.write()
    runtime.global_options = ["--root", "relative"]
    for words in (
        ("create", "--bundle", container.bundle.path, container.id),
        ("start", container.id),
        ("delete", "--force", container.id),
    ):
        runtime.call(*words, cwd=directory).succeeded()
    assert not os.path.exists(f"{directory}/relative/{container.id}")
    shutil.rmtree(f"{directory}/relative", ignore_errors=True)


def test_a_root_that_is_a_file(container: Container, runtime: Runtime, directory: str) -> None:
    with open(f"{directory}/file", "w", encoding="utf-8"):
        pass
    runtime.global_options = ["--root", f"{directory}/file"]
    container.create(check=False).failed("file")


@pytest.mark.parametrize("length", [64, 200, 255])
def test_long_ids(container: Container, length: int) -> None:
    container.id = (container.id + "-" + "x" * length)[:length]
    container.linux["cgroupsPath"] = f"/{container.id[:200]}"
    container.run()


def test_an_id_that_is_too_long(container: Container) -> None:
    container.id += "x" * 300
    call = container.create(check=False)
    assert call.status == 1, call
    assert "Traceback" not in call.err


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_a_closed_stream(container: Container, stream: int) -> None:
    """Whatever descriptor the runtime opens first must not become the container's stream."""
    container.script("true")
    container.bundle.write()

    def close() -> None:
        os.close(stream)

    call = container.runtime.call(
        "create", "--bundle", container.bundle.path, container.id, preexec_fn=close
    ).succeeded()
    pid = container.pid
    link = os.readlink(f"/proc/{pid}/fd/{stream}")
    if container.runtime.is_runc and link != "/dev/null":
        pytest.xfail(f"runc passes on {link}")
    assert link == "/dev/null", call
    for verb in (("state", container.id), ("list",), ("features",), ("--version",)):
        container.runtime.call(*verb, preexec_fn=close).succeeded()
    container.start(preexec_fn=close)
    container.wait(pid)
    container.delete(preexec_fn=close)


def test_few_descriptors(container: Container) -> None:
    """The soft limit of an old service manager, 64, is enough, and it reaches the container."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    container.script("ulimit -n")
    assert container.run(preexec_fn=limit).out == "64\n"


def test_a_caller_that_ignores_the_end_of_its_children(container: Container) -> None:
    """The kernel then reaps them, and waiting for one is an error (ECHILD)."""

    def ignore() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    container.config["hooks"] = {"createRuntime": [{"path": "/bin/true"}]}
    container.script("sleep 1000")
    container.create(preexec_fn=ignore)
    container.start(preexec_fn=ignore)
    exec_7 = (container.id, "/bin/sh", "-c", "exit 7")
    call = container.runtime.call("exec", *exec_7, preexec_fn=ignore)
    assert call.status == 7, call
    pid_file = f"{container.bundle.path}/exec.pid"
    detached = ("exec", "--detach", "--pid-file", pid_file, *exec_7)
    container.runtime.call(*detached, preexec_fn=ignore).succeeded()
    with open(pid_file, encoding="utf-8") as file:
        assert container.wait(int(file.read())) == 7


def test_many_open_descriptors_of_the_caller(container: Container) -> None:
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(600)]
    try:
        for fd in opened:
            os.set_inheritable(fd, True)
        container.script("ls /proc/self/fd | wc -l")
        assert int(container.run(close_fds=False).out) <= 4
    finally:
        for fd in opened:
            os.close(fd)


def test_a_large_config(container: Container) -> None:
    container.config["annotations"] = {f"key-{n}": "v" * 100 for n in range(20_000)}
    container.run()


def test_a_large_environment(container: Container) -> None:
    container.process["env"] += [f"V{n}={'x' * 90}" for n in range(5000)]
    assert container.sh("env | grep -c ^V") == "5000"


def test_an_environment_that_is_too_large(container: Container) -> None:
    container.process["env"].append("HUGE=" + "x" * 3_000_000)
    call = container.run(check=False)
    assert call.status not in (0, None)
    assert "argument list too long" in call.err.lower(), call
    assert not container.runtime.holds(container.id)


def test_a_standard_error_that_is_full(container: Container) -> None:
    """The error text cannot be written; the exit status still tells."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        call = container.runtime.call("state", container.id, stderr=full)
    assert call.status == 1


def test_a_standard_output_that_is_full(container: Container) -> None:
    container.create()
    for verb in (("state", container.id), ("list",), ("ps", container.id), ("features",)):
        with open("/dev/full", "w", encoding="utf-8") as full:
            call = container.runtime.call(*verb, stdout=full)
        if container.runtime.is_runc and call.status == 0:
            continue
        assert call.status == 1, call
        assert "no space left on device" in call.err, call
        assert "unexpected" not in call.err, call


@runc_deviates("fails in the Go runtime, with all that it knows", run=False)
@pytest.mark.parametrize("files", range(3, 12))
def test_too_few_descriptors(container: Container, files: int) -> None:
    """Whatever cannot be opened: one sentence, and nothing is left."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    container.bundle.write()
    for verb in (("create", "--bundle", container.bundle.path, container.id), ("list",)):
        call = container.runtime.call(*verb, preexec_fn=limit)
        assert call.status in (0, 1), call
        assert call.err.count("\n") == call.status, call
    assert not container.runtime.holds(container.id)


def test_a_broken_pipe_on_stdout(container: Container) -> None:
    container.up()
    read_end, write_end = os.pipe()
    os.close(read_end)
    call = container.runtime.call("state", container.id, stdout=write_end)
    os.close(write_end)
    assert call.status != 0
    assert "Traceback" not in call.err


def test_state_is_one_json_document(container: Container) -> None:
    container.config["annotations"] = {'quote"': "back\\slash \N{SNOWMAN} \x7f \t"}
    container.create()
    assert container.state()["annotations"] == container.config["annotations"]
    assert json.loads(container.verb("state").out) == container.state()


@pytest.mark.parametrize("umask", [0o777, 0o000])
def test_a_caller_with_another_umask(container: Container, umask: int) -> None:
    container.bundle.write()
    command = ("run", "--bundle", container.bundle.path, container.id)
    container.runtime.call(*command, preexec_fn=lambda: os.umask(umask) and None).succeeded()


def test_two_roots_have_their_own_ids(
    container: Container, make_container: Callable[[], Container], runtime: Runtime, directory: str
) -> None:
    other = make_container()
    other.id = container.id
    other.runtime = Runtime(runtime.program, f"{directory}/second-root", directory)
    container.create()
    other.create()
    assert container.pid != other.pid
    other.delete("--force")
    assert container.status == "created"


def test_called_through_a_link_and_from_path(
    container: Container, directory: str, runtime: Runtime
) -> None:
    """Engines look the runtime up in PATH; packages install it as a link."""
    os.symlink(runtime.program, f"{directory}/linked-runtime")
    container.bundle.write()
    call = Call(
        ["linked-runtime", *runtime.global_options, "run", "-b", container.bundle.path,
         container.id],
        directory,
    )  # fmt: skip
    call.begin(env={"PATH": f"{directory}:/usr/sbin:/usr/bin:/sbin:/bin"})
    call.wait().succeeded()
