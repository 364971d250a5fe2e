"""A pytest fixture: each test gets a container of its own, which is gone when the test is.

    pytest -p examples.pytest_container examples/tests_with_containers.py

In a project of your own: `pytest_plugins = ["examples.pytest_container"]` in conftest.py.
"""

from __future__ import annotations

import tempfile
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING

import pytest

import ocipy
from examples.host_root import make_root, tmpfs

if TYPE_CHECKING:
    from collections.abc import Iterator


class Sandbox:
    """A container that waits for commands."""

    def __init__(self, container: ocipy.Container) -> None:
        self.container = container

    def run(self, *args: str, input: str = "") -> ocipy.Completed:  # noqa: A002
        """Run a program in it to the end; what it wrote is in the result."""
        process = self.container.exec(args, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        try:
            return process.communicate(input, timeout=60)
        finally:
            process.close()

    def sh(self, script: str) -> str:
        """Run a shell script; return what it printed. AssertionError unless its status is 0."""
        done = self.run("/bin/sh", "-c", script)
        assert done.exit.succeeded, done
        return done.stdout.decode()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Return a running container with the host's programs, an empty /srv, and no network."""
    with tempfile.TemporaryDirectory(prefix="sandbox-") as directory:
        mounts = [*make_root(directory), tmpfs("/srv", "64m")]
        config = ocipy.Config.for_program(
            ["/bin/sh", "-c", "exec sleep infinity"],
            rootfs=directory,
            mounts=mounts,
            readonly=False,
            memory_bytes=256 << 20,
            pids=100,
        )
        with ocipy.Container.create(config, stdout=DEVNULL, stderr=DEVNULL) as container:
            container.start()
            yield Sandbox(container)
