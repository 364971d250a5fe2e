"""A container of one's own for each test, and a check afterwards that nothing of it is left."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.bundles import BUSYBOX, Bundle
from tests.integration import leftovers
from tests.integration.containers import Container, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PR_SET_CHILD_SUBREAPER = 36
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.requires("root"))


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a static busybox that bundles can be hard links of."""
    if not os.path.exists(BUSYBOX):
        pytest.fail(f"{BUSYBOX} is missing (Debian: apt-get install busybox-static)")
    directory = tempfile.mkdtemp(prefix="ocipy-busybox-")
    yield shutil.copy2(BUSYBOX, f"{directory}/busybox")
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def subreaper() -> None:
    """Become the parent of every orphan below, so that containers' exit statuses can be read."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@pytest.fixture
def tag() -> str:
    """Return a name that nothing else on the host has, and that is no prefix of another."""
    return f"oci{os.getpid():x}x{next(_numbers):x}z"


@pytest.fixture
def directory(tag: str) -> Iterator[str]:
    """Return a new directory with a short path, as sockets need it; removed after the test."""
    path = tempfile.mkdtemp(prefix=f"{tag}-")
    # A mapped root of another user must be able to walk to its root file system.
    os.chmod(path, 0o755)
    yield path
    assert not leftovers.mounts(path), "a mount is left: not removed, it may lead to the host"
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def runtime(runtime_program: str, directory: str, tag: str, subreaper: None) -> Iterator[Runtime]:
    """Return the runtime with a private state root; afterwards nothing of the test may be left."""
    runtime = Runtime(runtime_program, f"{directory}/state", directory)
    yield runtime
    if os.path.isdir(runtime.root):
        for container_id in set(os.listdir(runtime.root)) - leftovers.KEPT:
            runtime.call("delete", "--force", container_id)
    left = leftovers.describe_after(tag, runtime.root)
    leftovers.remove(tag)
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def make_container(
    runtime: Runtime, directory: str, tag: str, busybox: str
) -> Callable[[], Container]:
    """Return a function that makes another container with a bundle and a cgroup of its own."""
    numbers = itertools.count()

    def make() -> Container:
        number = next(numbers)
        container_id = f"{tag}-{number}"
        path = f"{directory}/bundle{number}"
        bundle = Bundle(path, busybox, f"host{number}", f"/{container_id}")
        return Container(runtime, bundle, container_id)

    return make


@pytest.fixture
def container(make_container: Callable[[], Container]) -> Container:
    return make_container()


@pytest.fixture
def running(container: Container) -> Container:
    """Return a running container with users of its own."""
    container.process["env"].append("FROM_CONFIG=1")
    container.up()
    return container


@pytest.fixture
def sleeper(tag: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts a host process in new namespaces: unshare(1)'s options."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["unshare", *options, "/bin/busybox", "sh", "-c", f"echo; read {tag}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n", f"unshare {' '.join(options)} failed"
        return process

    yield start
    for process in started:
        process.communicate()
