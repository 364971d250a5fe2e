"""In a user namespace a container must not take back what the host's mounts forbid.

mount_namespaces(7): mounts that a mount namespace of another user namespace inherits are locked. A
detached copy that the host hands in would not be: its root could make a read-only volume writable.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.attacks.verdict import against
from tests.bundles import with_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container

HOST_ID = 100000


@pytest.fixture
def locked(directory: str) -> Iterator[str]:
    """A restricted mount of the host's, with a directory for all and one for root only."""
    path = f"{directory}/locked"
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nosuid,nodev,noexec", "t", path], check=True)
    try:
        for name, mode in (("open", 0o755), ("closed", 0o700)):
            os.makedirs(f"{path}/{name}/d")
            os.chown(f"{path}/{name}/d", HOST_ID, HOST_ID)
            os.chmod(f"{path}/{name}", mode)
        subprocess.run(["mount", "-o", "remount,ro", path], check=True)
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def as_a_user_namespace(container: Container) -> None:
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": HOST_ID, "size": 65536}]
    container.linux["uidMappings"] = container.linux["gidMappings"] = mapping
    for name in container.process["capabilities"]:
        container.process["capabilities"][name].append("CAP_SYS_ADMIN")
    for at, _, _ in os.walk(container.bundle.rootfs):
        os.chown(at, HOST_ID, HOST_ID)


@against("attributes-cleared")
@pytest.mark.parametrize("place", ["open", "closed"])
@pytest.mark.parametrize("option", ["bind", "rbind,nosuid", "bind,ro"])
def test_attributes_stay(
    container: Container, locked: str, attack: Attack, place: str, option: str
) -> None:
    if container.runtime.is_runc and option != "bind":
        pytest.skip("runc 1.1 refuses every option here")
    as_a_user_namespace(container)
    container.bundle.add_mount("/v", "bind", f"{locked}/{place}/d", *option.split(","))
    out = container.sh(
        "grep ' /v ' /proc/self/mountinfo | cut -d ' ' -f 6;"
        "for o in rw suid dev exec; do mount -o remount,bind,ro,nosuid,nodev,noexec,$o /v"
        " && echo $o is possible; done; touch /v/x && echo written; true"
    )
    attributes, *rest = out.splitlines()
    kept = {"ro", "nosuid", "nodev", "noexec"} <= set(attributes.split(","))
    attack.succeeded(not kept or rest, out)


@pytest.mark.parametrize("option", ["rw", "exec", "dev"])
def test_and_cannot_be_asked_away(container: Container, locked: str, option: str) -> None:
    if container.runtime.is_runc:
        pytest.skip("runc 1.1 ignores these")
    as_a_user_namespace(container)
    container.bundle.add_mount("/v", "bind", f"{locked}/open/d", "bind", option)
    call = container.run(check=False)
    call.failed("cannot be taken away here", status=1)
