"""`linux.resources.blockIO` on a loop device: the kernel's files, and how long reading takes.

A disk of the machine's own would do as well, but there is none in the virtual machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration import resource_files
from tests.integration.resource_files import PURE_V2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.containers import Container

pytestmark = [
    pytest.mark.requires("program:losetup"),
    pytest.mark.requires("controller:io" if PURE_V2 else "controller:blkio"),
]

MIB = 1 << 20
THROTTLES = (
    ("throttleReadBpsDevice", MIB, "blkio.throttle.read_bps_device", "rbps"),
    ("throttleWriteBpsDevice", 2 * MIB, "blkio.throttle.write_bps_device", "wbps"),
    ("throttleReadIOPSDevice", 300, "blkio.throttle.read_iops_device", "riops"),
    ("throttleWriteIOPSDevice", 400, "blkio.throttle.write_iops_device", "wiops"),
)


@pytest.fixture
def device(directory: str) -> Iterator[dict[str, int]]:
    """Yield the number of a new block device of 4 MiB."""
    image = f"{directory}/image"
    with open(image, "wb") as file:
        file.truncate(4 * MIB)
    command = ["losetup", "--find", "--show", image]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode and shutil.which("modprobe"):
        subprocess.run(["modprobe", "loop"], capture_output=True, check=False)
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop device: {made.stderr.strip()}")
    path = made.stdout.strip()
    try:
        number = os.stat(path).st_rdev
        yield {"major": os.major(number), "minor": os.minor(number)}
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)


def with_block_io(container: Container, device: dict[str, int], block_io: dict[str, Any]) -> None:
    """Give the container the device, as /disk, and limits."""
    rule = {"allow": True, "type": "b", **device, "access": "r"}
    container.linux["devices"] = [{"path": "/disk", "type": "b", **device, "fileMode": 0o400}]
    container.linux["resources"] = {"blockIO": block_io, "devices": [rule]}


def test_every_throttle(container: Container, device: dict[str, int]) -> None:
    limits = {field: [{**device, "rate": rate}] for field, rate, _, _ in THROTTLES}
    with_block_io(container, device, limits)
    container.create()
    number = f"{device['major']}:{device['minor']}"
    if PURE_V2:
        line = " ".join(f"{key}={rate}" for _, rate, _, key in THROTTLES)
        assert resource_files.read(container, "io.max") == f"{number} {line}"
    else:
        files = {f"blkio/{file}": f"{number} {rate}" for _, rate, file, _ in THROTTLES}
        resource_files.check(container, files)


def test_reading_is_throttled(container: Container, device: dict[str, int]) -> None:
    with_block_io(container, device, {"throttleReadBpsDevice": [{**device, "rate": MIB}]})
    container.up()
    began = time.monotonic()
    # Past the cache, in which it may be.
    container.exec("/bin/dd", "if=/disk", "of=/dev/null", "bs=512k", "count=4", "iflag=direct")
    assert time.monotonic() - began >= 1.5  # 2 MiB
