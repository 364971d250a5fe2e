"""A state root, and a process of our own."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from ocipy import log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> str:
    path = tmp_path / "root"
    path.mkdir()
    return str(path)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps; ended and reaped afterwards."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        yield child
        child.kill()


@pytest.fixture
def waiting_init() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits, started as ocipy-init is: from a memfd of that name."""
    fd = os.memfd_create("ocipy-init")
    with open("/bin/sleep", "rb") as program, open(fd, "wb", closefd=False) as memfd:
        memfd.write(program.read())
    with subprocess.Popen(
        ["sleep", "1000"], executable=f"/proc/self/fd/{fd}", pass_fds=[fd]
    ) as init:
        os.close(fd)
        yield init
        init.kill()


@pytest.fixture(autouse=True)
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the code under test warns of; nothing is left for the next test."""
    collected: list[str] = []
    monkeypatch.setattr(log._log, "warnings", collected)
    return collected
