"""What a container costs while it waits for `start`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.containers import Container


def pss_kib(pid: int) -> int:
    """Return the proportional set size: shared pages count by how many share them (proc(5))."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    raise AssertionError("no Pss in smaps_rollup")


@pytest.mark.runc_deviates("runc keeps a Go program waiting: 9800 KiB")
def test_a_created_container_holds_less_than_256_kib(container: Container) -> None:
    container.create()
    assert pss_kib(container.pid) < 256


@pytest.mark.runc_deviates("runc waits with more than a fifo open")
def test_nothing_of_the_host_is_open_while_it_waits(container: Container) -> None:
    """Standard streams and the fifos of `start`; not even a directory to open them by."""
    # A masked directory is covered by a file system that init keeps for the next one.
    container.linux["maskedPaths"] = ["/proc/acpi", "/sys/firmware"]
    container.create()
    directory = f"/proc/{container.pid}/fd"
    open_files = {int(fd): os.readlink(f"{directory}/{fd}") for fd in os.listdir(directory)}
    others = {path for fd, path in open_files.items() if fd > 2}
    place = f"{container.runtime.root}/{container.id}"
    allowed = {f"{place}/start", f"{place}/report"}
    assert others <= allowed, open_files
