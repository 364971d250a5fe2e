"""What follows when a hook fails, hangs or is wrong; runtime.md#lifecycle."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration import leftovers
from tests.integration.containers import Container, wait_until
from tests.integration.hook_scripts import Hooks

if TYPE_CHECKING:
    from collections.abc import Iterator

runc_deviates = pytest.mark.runc_deviates


@pytest.fixture
def hooks(container: Container, directory: str) -> Iterator[Hooks]:
    hooks = Hooks(container, directory)
    yield hooks
    for pid in sleeping(hooks.directory):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
@pytest.mark.parametrize("verb", ["create", "run"])
def test_failure_in_create(container: Container, hooks: Hooks, kind: str, verb: str) -> None:
    """Lifecycle steps 3 to 5: an error, the container is destroyed, poststop is invoked."""
    hooks.add(kind, "good")
    hooks.add(kind, "bad", "3")
    hooks.add(kind, "never")
    hooks.add("poststop")
    call = container.create(check=False) if verb == "create" else container.run(check=False)
    call.failed("hook")
    if container.runtime.is_ocipy:
        assert f"/hooks/{kind}/1" in call.err
        assert "status 3" in call.err
    assert hooks.order == ["good", "bad", "poststop"]
    assert not container.runtime.holds(container.id)


def test_what_the_hook_said_is_in_the_error(container: Container, hooks: Hooks) -> None:
    hooks.add("createRuntime", "bad", "3")
    container.create(check=False).failed("a reason on stderr")


@runc_deviates("start succeeds")
def test_failure_of_start_container(container: Container, hooks: Hooks) -> None:
    """Lifecycle step 7: an error, the program does not run, on with step 12."""
    hooks.add("startContainer", "bad", "3")
    hooks.add("poststart")
    hooks.add("poststop")
    container.script("echo ran").create()
    call = container.start(check=False).failed("hook")
    if container.runtime.is_ocipy:
        assert re.search(r"config\.json:\d+:\d+, /hooks/startContainer/0", call.err)
    assert container.created.out == ""
    assert hooks.order == ["bad", "poststop"]
    assert not container.runtime.holds(container.id)


@runc_deviates("leaves the container, and poststop does not run")
def test_failure_of_poststart(container: Container, hooks: Hooks) -> None:
    """Lifecycle step 9: an error, the container is stopped, on with step 12."""
    hooks.add("poststart", "bad", "3")
    hooks.add("poststop")
    container.script("exec sleep 1000").create()
    container.start(check=False).failed("hook")
    assert hooks.order == ["bad", "poststop"]
    assert not container.runtime.holds(container.id)


@pytest.mark.parametrize("kind", ["startContainer", "poststart"])
def test_failure_in_run(container: Container, hooks: Hooks, kind: str) -> None:
    hooks.add(kind, "bad", "3")
    call = container.script("echo up; exec sleep 1000").run(check=False)
    assert call.status not in (0, None), call
    assert not container.runtime.holds(container.id)


@runc_deviates("does not run the remaining ones")
def test_failure_of_poststop_is_only_a_warning(container: Container, hooks: Hooks) -> None:
    """Lifecycle step 13: a warning, and the remaining hooks run as if it had succeeded."""
    hooks.add("poststop", "bad", "3")
    hooks.add("poststop", "good")
    container.create()
    container.kill_and_wait()
    call = container.delete()
    # runc calls it an error in its log; its exit status agrees with the specification.
    assert "level=warning" in call.err or container.runtime.is_runc
    assert "a reason on stderr" in call.err
    assert hooks.order == ["bad", "good"]
    assert not container.runtime.holds(container.id)


def sleeping(directory: str) -> list[int]:
    """Return living processes whose working directory is the hooks'; that is what they sleep in."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.readlink(f"/proc/{name}/cwd") == directory and name != str(os.getpid()):
                    found.append(int(name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_timeout(container: Container, hooks: Hooks, kind: str) -> None:
    hooks.add(kind, "slow", "hang", timeout=1)
    hooks.add("poststop")
    begin = time.monotonic()
    call = container.create(check=False)
    elapsed = time.monotonic() - begin
    call.failed("hook")
    assert 0.9 < elapsed < 10
    assert hooks.order == ["slow", "poststop"]
    assert not container.runtime.holds(container.id)


@runc_deviates("kills the hook alone, and then waits for the child to close its output")
@pytest.mark.parametrize("kind", ["createRuntime", "createContainer"])
def test_timeout_ends_the_hooks_children_too(container: Container, hooks: Hooks, kind: str) -> None:
    hooks.add(kind, "slow", "hang-with-child", timeout=1)
    container.create(check=False, timeout=5).failed("hook")
    assert sleeping(hooks.directory) == []


def test_timeout_of_start_container(container: Container, hooks: Hooks) -> None:
    hooks.add("startContainer", "slow", "hang", timeout=1)
    container.script("echo ran").create()
    begin = time.monotonic()
    container.start(check=False)
    elapsed = time.monotonic() - begin
    assert elapsed < 10
    if container.runtime.is_ocipy:
        assert container.last is not None
        container.last.failed("hook")
    assert container.created.out == ""


def test_a_quick_hook_with_a_timeout(container: Container, hooks: Hooks) -> None:
    hooks.add("createRuntime", timeout=30)
    begin = time.monotonic()
    container.run()
    assert time.monotonic() - begin < 10


@runc_deviates("waits for the child to close its output")
def test_a_hook_that_leaves_a_child_holding_stderr(container: Container, hooks: Hooks) -> None:
    """A daemon started by a hook keeps its streams open; the hook has ended nevertheless."""
    hooks.config["createRuntime"] = [
        {
            "path": "/bin/sh",
            "args": ["sh", "-c", f"cd {hooks.directory}; sleep 1000 & exit 0"],
            "env": ["PATH=/bin:/usr/bin"],
            "timeout": 20,
        }
    ]
    container.create(timeout=5)


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer"])
def test_a_hook_that_is_killed(container: Container, hooks: Hooks, kind: str) -> None:
    hooks.config[kind] = [{"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $$"]}]
    container.create(check=False).failed("kill")
    assert not container.runtime.holds(container.id)


@pytest.mark.parametrize("kind", ["prestart", "createContainer", "startContainer"])
def test_a_hook_that_does_not_exist(container: Container, hooks: Hooks, kind: str) -> None:
    hooks.config[kind] = [{"path": "/nonexistent/hook"}]
    call = container.run(check=False)
    assert call.status not in (0, None)
    call.failed("no such file or directory", status=call.status or 0)
    assert not container.runtime.holds(container.id)


@pytest.mark.parametrize(
    ("hook", "member"),
    [
        ({"path": "bin/true"}, "path"),
        ({"args": ["x"]}, ""),
        ({"path": "/bin/true", "timeout": 0}, "timeout"),
        ({"path": "/bin/true", "timeout": -1}, "timeout"),
        ({"path": "/bin/true", "env": ["NOEQUAL", 5]}, "env"),
    ],
)
@pytest.mark.parametrize("kind", ["createRuntime", "poststop"])
def test_wrong_hooks(
    container: Container, hooks: Hooks, kind: str, hook: dict[str, Any], member: str
) -> None:
    if container.runtime.is_runc and (kind == "poststop" or member != "env"):
        pytest.xfail("runc finds out when it runs the hook, if ever")
    hooks.config[kind] = [hook]
    container.is_rejected(f"/hooks/{kind}/0/{member}".rstrip("/"))


def test_leftovers_are_looked_for(tag: str) -> None:
    """The check that all of these rely on does see a process."""
    pid = os.posix_spawn("/bin/sleep", [tag, "1000"], {})
    try:
        assert pid in leftovers.orphans()
        # posix_spawn(3) returns within execve(2), before there is a command line.
        wait_until(lambda: pid in leftovers.processes(tag), "the process's command line")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
