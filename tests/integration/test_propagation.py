"""Propagation of the root and of bind mounts; config-linux.md#rootfs-mount-propagation."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration import mountinfo
from tests.integration.containers import Container

if TYPE_CHECKING:
    from collections.abc import Iterator

runc_deviates = pytest.mark.runc_deviates


@pytest.fixture
def peer(directory: str) -> Iterator[str]:
    """Return a shared mount of the host, in which a test mounts while a container runs."""
    path = f"{directory}/peer"
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "peer", path], check=True)
    subprocess.run(["mount", "--make-shared", path], check=True)
    os.mkdir(f"{path}/late")
    os.mkdir(f"{path}/inside")
    yield path
    subprocess.run(["umount", "-R", path], check=True)


@pytest.mark.parametrize(
    ("option", "inward"),
    [("rprivate", False), ("rslave", True), ("rshared", True), ("", False)],
)
def test_propagation_of_binds(container: Container, peer: str, option: str, inward: bool) -> None:
    """Whether a mount that the host makes later appears in the container."""
    options = ["rbind", option] if option else ["rbind"]
    container.bundle.add_mount("/peer", "bind", peer, *options)
    container.linux["rootfsPropagation"] = option if option else "rprivate"
    pid = container.up()
    subprocess.run(["mount", "-t", "tmpfs", "late", f"{peer}/late"], check=True)
    assert ("/peer/late" in mountinfo.of_process(pid)) == inward
    subprocess.run(["umount", f"{peer}/late"], check=True)


def test_a_shared_bind_reaches_the_host(container: Container, peer: str) -> None:
    container.bundle.add_mount("/peer", "bind", peer, "rbind", "rshared")
    container.linux["rootfsPropagation"] = "shared"
    for names in container.process["capabilities"].values():
        names.append("CAP_SYS_ADMIN")
    container.up("mount -t tmpfs inside /peer/inside && echo mounted; exec sleep 1000")
    assert f"{peer}/inside" in mountinfo.of_process("self")


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        ("private", set()),
        ("slave", None),
        pytest.param("shared", {"shared"}, marks=runc_deviates("leaves the root private")),
        pytest.param("unbindable", {"unbindable"}, marks=runc_deviates("fails with EINVAL")),
    ],
)
def test_rootfs_propagation(container: Container, value: str, flags: set[str] | None) -> None:
    container.linux["rootfsPropagation"] = value
    pid = container.up()
    root = mountinfo.of_process(pid)["/"]
    if flags is not None:
        assert root.propagation == flags, root
    else:
        assert root.propagation <= {"master"}, root


def test_wrong_rootfs_propagation(container: Container) -> None:
    container.linux["rootfsPropagation"] = "banana"
    container.is_rejected("/linux/rootfsPropagation", "banana")
