"""A state root on a file system that is full, or becomes so: one sentence, and nothing left."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.containers import Container

pytestmark = pytest.mark.requires("root")
FULL = "no space left on device (ENOSPC)"


@pytest.fixture
def small_root(container: Container, directory: str) -> Iterator[Callable[[str], str]]:
    """Mounts a tmpfs with the given options as the state root of `container`."""
    path = f"{directory}/small"
    os.mkdir(path)

    def mount(options: str) -> str:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", path], check=True)
        container.runtime.global_options = ["--root", path]
        container.script("exec sleep 1000")
        return path

    yield mount
    subprocess.run(["umount", path], check=False)


# From room for nothing but the directory to room for everything; a page has 4 KiB.
@pytest.mark.parametrize(
    "options", [f"nr_inodes={n}" for n in range(2, 8)] + ["size=4k", "size=8k"]
)
def test_create(container: Container, small_root: Callable[[str], str], options: str) -> None:
    root = small_root(options)
    call = container.create(check=False)
    if call.status != 0:
        assert FULL in call.err
        if container.runtime.is_ocipy:
            assert "unexpected" not in call.err
            assert "namespaces" not in call.err
            assert os.listdir(root) == []
    container.delete("--force")
    if container.runtime.is_ocipy:
        assert os.listdir(root) == []


def test_start_when_it_has_become_full(
    container: Container, small_root: Callable[[str], str]
) -> None:
    """The program runs then: a record that says so is not worth to fail for."""
    root = small_root("size=64k")
    container.create()
    with open(f"{root}/fill", "wb") as file:
        with pytest.raises(OSError, match="No space"):
            os.posix_fallocate(file.fileno(), 0, 1 << 20)
        size = os.fstatvfs(file.fileno()).f_bavail * 4096
        os.posix_fallocate(file.fileno(), 0, size)
    call = container.start()
    if container.runtime.is_ocipy:
        assert FULL in call.err
    assert container.status == "running"
    container.delete("--force")
    assert os.listdir(root) == ["fill"]
