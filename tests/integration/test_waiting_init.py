"""What a created container costs until `start`, and what it holds."""

from __future__ import annotations

import os

import pytest

from tests.integration.containers import Container

runc_deviates = pytest.mark.runc_deviates


@runc_deviates("keeps a Go runtime in memory")
def test_memory_until_start(container: Container) -> None:
    container.create()
    with open(f"/proc/{container.pid}/smaps_rollup", encoding="utf-8") as file:
        pss_kib = next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    assert pss_kib < 256


def test_name_of_the_waiting_process(container: Container) -> None:
    container.create()
    with open(f"/proc/{container.pid}/comm", encoding="utf-8") as file:
        assert "init" in file.read().lower()


def test_its_program_is_sealed_memory(container: Container) -> None:
    """CVE-2019-5736: a container that has started could write to the file of its init."""
    container.create()
    path = f"/proc/{container.pid}/exe"
    with pytest.raises(OSError, match=r"busy|not permitted|denied|Read-only"):
        os.open(path, os.O_WRONLY)
    if container.runtime.is_ocipy:
        assert "memfd:" in os.readlink(path)


def test_descriptors_until_start(container: Container) -> None:
    """Nothing of the host's file systems may be open but the streams and the fifos of start."""
    container.create()
    pid = container.pid
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    others = [link for link in links if link.startswith("/") and link != "/dev/null"]
    others = [link for link in others if container.runtime.directory not in link]
    # A directory of that name is the container's own root.
    others = [link for link in others if link != "/"]
    assert others == []


def test_the_working_directory_until_start_is_inside(container: Container) -> None:
    container.create()
    pid = container.pid
    assert os.stat(f"/proc/{pid}/root").st_ino == os.stat(container.bundle.rootfs).st_ino
    assert os.stat(f"/proc/{pid}/cwd").st_ino == os.stat(container.bundle.rootfs).st_ino


def test_the_runtime_is_not_its_parent(container: Container) -> None:
    container.create()
    with open(f"/proc/{container.pid}/status", encoding="utf-8") as file:
        parent = next(int(line.split()[1]) for line in file if line.startswith("PPid:"))
    assert parent == os.getpid(), "this test is the subreaper"
