"""`import ocipy`, with real containers: in this process, without the command line."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, Any

import pytest

import ocipy
from tests.integration.containers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.containers import Container, Runtime

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _only_ocipy(runtime: Runtime) -> None:
    if not runtime.is_ocipy:
        pytest.skip("the runtime under test is no library")


@pytest.fixture
def options(runtime: Runtime, container: Container) -> dict[str, Any]:
    return {"root": runtime.root, "id": container.id}


@pytest.fixture
def config_of(container: Container) -> Callable[..., ocipy.Config]:
    """Return a function from a program to the config of a container with busybox in it."""

    def make(*args: str, **changes: Any) -> ocipy.Config:
        container.process["args"] = list(args)
        root = {"path": container.bundle.rootfs}
        return ocipy.Config({**container.config, "root": root}).merged(changes)

    return make


@pytest.fixture
def sleeping(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any]
) -> Iterator[ocipy.Container]:
    with ocipy.Container.create(config_of("/bin/sleep", "1000"), **options) as container:
        container.start()
        yield container


def open_fds() -> dict[str, str]:
    gc.collect()  # what other tests have left
    fds = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing
            fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return fds


def test_a_program_is_run_and_what_it_said_is_returned(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any], runtime: Runtime
) -> None:
    config = config_of("/bin/sh", "-c", "cat; echo error >&2; exit 3")
    done = ocipy.run(config, input="input ä", **options)
    assert done.stdout.decode() == "input ä"
    assert done.stderr == b"error\n"
    assert done.exit == ocipy.Exit(3)
    assert not done.exit.succeeded
    assert (done.timed_out, done.truncated) == (False, False)
    assert not runtime.holds(options["id"])


def test_no_descriptor_no_child_and_no_signal_handler_is_left(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any]
) -> None:
    config = config_of("/bin/sh", "-c", "cat")
    ocipy.run(config, **options)
    before = open_fds()
    handlers = [signal.getsignal(number) for number in range(1, 32)]
    gc.disable()  # nothing may wait for the collector
    try:
        with ocipy.Container.create(config, stdin=PIPE, stdout=PIPE, **options) as container:
            container.start()
            container.exec(["/bin/true"], stdout=PIPE).communicate()
            container.process.communicate(b"x" * 100_000)
        assert open_fds() == before
    finally:
        gc.enable()
    assert [signal.getsignal(number) for number in range(1, 32)] == handlers
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="utf-8") as children:
        assert str(container.pid) not in children.read().split()


def test_a_lot_of_input_and_output_does_not_block(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any]
) -> None:
    data = os.urandom(3_000_000)
    done = ocipy.run(config_of("/bin/cat"), input=data, **options)
    assert done.stdout == data


def test_input_that_nobody_reads_is_no_error(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any]
) -> None:
    done = ocipy.run(config_of("/bin/true"), input=b"x" * 1_000_000, **options)
    assert done.exit.succeeded


def test_input_of_another_type_is_a_type_error(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any], runtime: Runtime
) -> None:
    with pytest.raises(TypeError, match="input is bytes or str, not list"):
        ocipy.run(config_of("/bin/cat"), input=["a"], **options)  # type: ignore[arg-type]
    assert not runtime.holds(options["id"])


def test_time_and_output_are_limited(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any]
) -> None:
    done = ocipy.run(config_of("/bin/sleep", "1000"), timeout=0.2, **options)
    assert done.timed_out
    assert done.exit == ocipy.Exit(None, signal.SIGKILL)
    assert done.exit.code == 128 + signal.SIGKILL
    # It never stops writing: that there is always something to read must not hide the time.
    done = ocipy.run(config_of("/bin/yes"), timeout=0.2, **options)
    assert done.timed_out
    done = ocipy.run(config_of("/bin/yes"), output_limit=1000, **options)
    assert (done.truncated, done.timed_out, len(done.stdout)) == (True, False, 1000)


def test_a_process_whose_object_is_gone_is_reaped(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any]
) -> None:
    pid = ocipy.Container.create(config_of("/bin/sleep", "1000"), **options).pid
    gc.collect()
    with ocipy.Container.open(options["id"], root=options["root"]) as other:
        other.delete(force=True)
    assert ocipy.run(config_of("/bin/true"), **options).exit.status == 0
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("timeout", [3e6, 1e30, math.inf])
def test_a_very_long_time(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any], timeout: float
) -> None:
    """More milliseconds than poll(2) can count."""
    assert ocipy.run(config_of("/bin/echo", "hi"), timeout=timeout, **options).stdout == b"hi\n"
    container = ocipy.Container.create(config_of("/bin/true"), **options)
    container.start()
    assert container.wait(timeout).status == 0
    container.delete()


def test_what_ran_out_of_memory_says_so(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any]
) -> None:
    limits = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
    config = config_of("/bin/sh", "-c", "x=$(yes)", linux={"resources": limits})
    done = ocipy.run(config, timeout=PATIENCE, **options)
    assert done.exit.oom
    assert not done.timed_out
    assert done.cpu_seconds
    assert done.cpu_seconds > 0


def test_the_life_of_a_container(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any], runtime: Runtime
) -> None:
    config = config_of("/bin/sleep", "1000")
    container = ocipy.Container.create(config, **options)
    assert container.status == "created"
    assert container.config == config
    container.start()
    assert container.status == container.state()["status"] == "running"
    # The command line and the library see the same.
    assert f'"pid": {container.pid}' in runtime.call("state", container.id).succeeded().out
    assert container.pids() == [container.pid]
    container.pause()
    assert container.status == "paused"
    container.resume()
    container.update({"pids": {"limit": 7}})
    assert container.stats()["pids"]["limit"] == 7
    assert container.process.poll() is None
    with pytest.raises(TimeoutError, match=f"{container.pid} has not ended"):
        container.wait(timeout=0.01)
    with pytest.raises(ocipy.StateError, match="not stopped"):
        container.delete()
    container.kill()
    assert container.wait() == container.process.poll() == ocipy.Exit(None, signal.SIGKILL)
    assert container.status == "stopped"
    container.delete()
    with pytest.raises(ocipy.ContainerNotFoundError):
        _ = container.status


def test_the_context_deletes_even_after_an_exception(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any], runtime: Runtime
) -> None:
    with (
        contextlib.suppress(ZeroDivisionError),
        ocipy.Container.create(config_of("/bin/sleep", "1000"), **options) as container,
    ):
        container.start()
        assert runtime.holds(options["id"])
        _ = 1 // 0
    assert not runtime.holds(options["id"])


def test_further_processes_run_in_it(sleeping: ocipy.Container) -> None:
    process = sleeping.exec(
        ["/bin/sh", "-c", 'echo "$A $(id -u) $(pwd)"; cat; exit 4'],
        env={"A": "1"},
        user="app",
        cwd="/home",
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
    )
    done = process.communicate("said\n")
    assert done.stdout == b"1 1000 /home\nsaid\n"
    assert done.exit.status == 4
    with pytest.raises(TypeError, match="not one string"):
        sleeping.exec("/bin/true")
    with pytest.raises(ocipy.OcipyError, match="missing"):
        sleeping.exec(["/bin/missing"])


def test_streams_may_be_files(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any], directory: str
) -> None:
    path = f"{directory}/output"
    with open(path, "wb") as file:
        streams: dict[str, Any] = {"stdin": DEVNULL, "stdout": file, "stderr": file.fileno()}
        config = config_of("/bin/sh", "-c", "echo out; echo err >&2")
        with ocipy.Container.create(config, **streams, **options) as container:
            container.start()
            container.wait(PATIENCE)
    with open(path, "rb") as file:
        assert file.read() == b"out\nerr\n"


def test_what_is_no_stream_is_refused(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any], runtime: Runtime
) -> None:
    before = open_fds()
    with pytest.raises(TypeError, match="a stream is PIPE, DEVNULL, a file or a descriptor"):
        ocipy.Container.create(
            config_of("/bin/true"),
            stdout=PIPE,
            stderr="x",  # type: ignore[arg-type]
            **options,
        )
    assert open_fds() == before
    assert not runtime.holds(options["id"])


def test_waiting_in_an_event_loop(
    sleeping: ocipy.Container,
) -> None:
    async def wait_twice() -> tuple[ocipy.Exit, ocipy.Exit]:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sleeping.wait_async(), 0.01)
        waiters = [asyncio.create_task(sleeping.wait_async()) for _ in range(2)]
        await asyncio.sleep(0)
        sleeping.kill()
        first, second = await asyncio.wait_for(asyncio.gather(*waiters), PATIENCE)
        return first, second

    before = open_fds()
    first, second = asyncio.run(wait_twice())
    assert first == second == sleeping.wait() == ocipy.Exit(None, signal.SIGKILL)
    assert open_fds() == before


def test_several_threads_run_containers(
    make_container: Callable[[], Container], runtime: Runtime
) -> None:
    def run(container: Container) -> bytes:
        container.process["args"] = ["/bin/sh", "-c", "hostname; cat"]
        root = {"path": container.bundle.rootfs}
        config = {**container.config, "root": root}
        done = ocipy.run(config, input=b"x", root=runtime.root, id=container.id)
        assert threading.current_thread() is not threading.main_thread()
        return done.stdout

    containers = [make_container() for _ in range(6)]
    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(run, containers))
    assert said == [f"{c.config['hostname']}\nx".encode() for c in containers]


def test_a_container_of_somebody_else_is_opened(container: Container, runtime: Runtime) -> None:
    container.up()
    opened = ocipy.Container.open(container.id, root=runtime.root)
    assert [c.id for c in ocipy.Container.all(root=runtime.root)] == [container.id]
    assert opened.status == "running"
    opened.kill("TERM", everyone=True)
    opened.kill()
    assert opened.wait(PATIENCE) == ocipy.Exit(None, signal.SIGKILL)
    opened.delete()
    with pytest.raises(ocipy.ContainerNotFoundError):
        ocipy.Container.open(container.id, root=runtime.root)


def test_a_failure_leaves_nothing_and_names_the_field(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any], runtime: Runtime
) -> None:
    config = config_of("/bin/true", mounts=[{"destination": "/x", "type": "nofs", "source": "x"}])
    before = open_fds()
    problem = ""
    try:
        ocipy.run(config, **options)
    except ocipy.StepError as error:
        problem = f"{error.pointer} {error}"
    assert "nofs" in problem
    assert problem.startswith("/mounts/0 ")
    assert not runtime.holds(options["id"])
    assert open_fds() == before


def test_a_bundle_is_run_where_it_is(container: Container, options: dict[str, Any]) -> None:
    container.process["args"] = ["/bin/echo", "from a bundle"]
    container.bundle.write()
    assert ocipy.run(ocipy.Bundle(container.bundle.path), **options).stdout == b"from a bundle\n"
    with ocipy.Container.create(container.bundle.path, **options) as made:
        assert made.state()["bundle"] == os.path.realpath(container.bundle.path)


def test_warnings_go_to_the_logger(
    config_of: Callable[..., ocipy.Config],
    options: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.WARNING, "ocipy")
    ocipy.run(config_of("/bin/true", hostnmae="x"), **options)
    assert "hostnmae" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_a_create_that_is_interrupted_leaves_nothing(
    config_of: Callable[..., ocipy.Config], options: dict[str, Any], runtime: Runtime, tag: str
) -> None:
    """Ctrl-C is Python's own KeyboardInterrupt here; the hook waits until it has come."""
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"kill -INT {os.getpid()}; read {tag}"]}
    config = config_of("/bin/true", hooks={"createRuntime": [hook]})
    # Where this was started in the background, the shell has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        ocipy.Container.create(config, **options)
    wait_until(lambda: not runtime.holds(options["id"]), "nothing to be left")
