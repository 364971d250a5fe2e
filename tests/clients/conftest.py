"""Real clients with the runtime under test: private daemons, private data, nothing left."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from tests.bundles import BUSYBOX, build_rootfs, write_file
from tests.clients import scripts
from tests.clients.engines import ENGINES, Engine
from tests.clients.room import wait_until
from tests.integration import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

_names = itertools.count(1)

# A clone alone has no scripts.
collect_ignore = (
    [] if os.path.isdir(scripts.DIRECTORY) else ["test_scripts.py", "test_scripts_in_vm.py"]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.requires("root"))
            for program in required_programs(item):
                item.add_marker(pytest.mark.requires(f"program:{program}"))


def required_programs(item: pytest.Item) -> tuple[str, ...]:
    callspec = getattr(item, "callspec", None)
    kind = callspec and ENGINES.get(callspec.params.get("engine", ""))
    return kind.programs if kind else ()


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, runtime_program: str) -> Iterator[Engine]:
    """Return each client in turn, started, with an image of busybox; later nothing is left."""
    kind = ENGINES[request.param]
    directory = tempfile.mkdtemp(prefix=f"oc-{request.param}-")  # sockets want short paths
    os.chmod(directory, 0o755)
    tag = os.path.basename(directory)
    rootfs = f"{directory}/rootfs"
    build_rootfs(rootfs, shutil.copy2(BUSYBOX, f"{directory}/busybox"))
    write_file(f"{rootfs}/etc/noexec", "not a program\n")
    try:
        made = kind(directory, os.path.abspath(runtime_program), tag)
        with made.room:
            made.start(rootfs)
            yield made
        remove_parent_cgroups(tag)
        left = leftovers.describe_after(tag, f"{directory}/nothing")
        assert not left, "left behind:\n" + "\n".join(left)
    finally:
        leftovers.remove(tag)
        shutil.rmtree(directory)


@pytest.fixture
def name(engine: Engine) -> Iterator[str]:
    """Return the name for a new container; after the test nothing of it is left in the room."""
    yield f"web{next(_names)}"
    deadline = time.monotonic() + 10
    while left := engine.remains():
        assert time.monotonic() < deadline, "left behind:\n" + "\n".join(left)


def remove_parent_cgroups(tag: str) -> None:
    """Remove the clients' parent cgroup, and podman's for conmon, but no container's."""
    for root in leftovers.cgroup_roots():
        for path in (f"{root}/{tag}/conmon", f"{root}/{tag}"):
            if os.path.isdir(path):
                # Their processes died with the room; the kernel needs a moment to take them out.
                wait_until(functools.partial(is_removed, path), f"{path} can be removed", 5)


def is_removed(cgroup: str) -> bool:
    try:
        os.rmdir(cgroup)
    except OSError:
        return False
    return True
