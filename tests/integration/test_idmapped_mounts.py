"""Mounts with id mappings of their own, or the container's; config.md#posix-platform-mounts."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.bundles import with_namespace
from tests.integration.containers import Container
from tests.integration.namespaces import map_ids, up_and_sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

runc_deviates = pytest.mark.runc_deviates

MAPPING = [{"containerID": 0, "hostID": 3000, "size": 1000}]


@pytest.fixture
def volume(directory: str) -> str:
    """Return a directory with files of the users 0, 1 and 3001, and one below."""
    path = f"{directory}/volume"
    os.makedirs(f"{path}/sub")
    for uid in (0, 1, 3001):
        with open(f"{path}/{uid}", "w", encoding="utf-8"):
            pass
        os.chown(f"{path}/{uid}", uid, uid)
    return path


@pytest.mark.requires("idmapped-mounts")
@pytest.mark.parametrize("option", ["idmap", "ridmap"])
@runc_deviates("1.1 does not know id-mapped mounts")
def test_idmapped_with_its_own_mapping(container: Container, volume: str, option: str) -> None:
    """The file of user 1 on disk looks like one of 3001; a file made by 3001 lands as 1."""
    entry = container.bundle.add_mount("/m", "bind", volume, "rbind", option)
    entry["uidMappings"] = entry["gidMappings"] = MAPPING
    out = container.sh("stat -c %u:%g /m/0 /m/1; chown 3001:3001 /m/0; stat -c %u /m/3001")
    assert out.split() == ["3000:3000", "3001:3001", "65534"]
    assert os.stat(f"{volume}/0").st_uid == 1


@pytest.mark.requires("idmapped-mounts")
@runc_deviates("1.1 does not know id-mapped mounts")
def test_mappings_alone_mean_an_idmapped_mount(container: Container, volume: str) -> None:
    entry = container.bundle.add_mount("/m", "bind", volume, "bind")
    entry["uidMappings"] = entry["gidMappings"] = MAPPING
    assert container.sh("stat -c %u:%g /m/1") == "3001:3001"


@pytest.mark.requires("idmapped-mounts")
@runc_deviates("1.1 does not know id-mapped mounts")
def test_idmap_takes_the_containers_mapping(container: Container, volume: str) -> None:
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    container.linux["uidMappings"] = container.linux["gidMappings"] = mapping
    container.bundle.add_mount("/tmp", "bind", volume, "bind", "idmap")
    assert container.sh("stat -c %u:%g /tmp/0 /tmp/1 /tmp/3001").split() == [
        "0:0",
        "1:1",
        "3001:3001",
    ]


@pytest.fixture
def volume_below(volume: str) -> Iterator[str]:
    """Return a volume with another one, with the same owners, mounted on its directory `sub`."""
    source = f"{volume}-below"
    os.mkdir(source)
    for uid in (0, 1):
        with open(f"{source}/{uid}", "w", encoding="utf-8"):
            pass
        os.chown(f"{source}/{uid}", uid, uid)
    subprocess.run(["mount", "--bind", source, f"{volume}/sub"], check=True)
    yield volume
    subprocess.run(["umount", f"{volume}/sub"], check=True)


@pytest.mark.requires("idmapped-mounts")
@pytest.mark.parametrize(("option", "below"), [("idmap", "1:1"), ("ridmap", "3001:3001")])
@runc_deviates("1.1 does not know id-mapped mounts")
def test_mounts_below(container: Container, volume_below: str, option: str, below: str) -> None:
    """config.md#linux-mount-options: ridmap is recursive, idmap is not."""
    entry = container.bundle.add_mount("/m", "bind", volume_below, "rbind", option)
    entry["uidMappings"] = entry["gidMappings"] = MAPPING
    assert container.sh("stat -c %u:%g /m/1 /m/sub/1").split() == ["3001:3001", below]


@pytest.mark.requires("idmapped-tmpfs")
@runc_deviates("1.1 does not know id-mapped mounts")
def test_a_new_file_system(container: Container) -> None:
    """What root makes on it looks like 3000's, as it is 0 there."""
    entry = container.bundle.add_mount("/m", "tmpfs", "tmpfs", "mode=777")
    entry["uidMappings"] = entry["gidMappings"] = MAPPING
    container.process["user"] = {"uid": 3001, "gid": 3001}
    assert container.sh("touch /m/x; stat -c %u:%g /m /m/x").split() == ["3000:3000", "3001:3001"]


def remap(how: str) -> dict[str, Any]:
    """Return what a mount needs beside bind so that its ids are those of the user namespace."""
    if how == "idmap":
        return {"options": ["bind", "idmap"]}
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    return {"options": ["bind"], "uidMappings": mapping, "gidMappings": mapping}


@pytest.mark.requires("idmapped-mounts")
@pytest.mark.parametrize("how", ["idmap", "mappings"])
@runc_deviates("1.1 does not know id-mapped mounts")
def test_in_a_user_namespace_of_its_own(container: Container, volume: str, how: str) -> None:
    map_ids(container)
    container.bundle.add_mount("/tmp", "bind", volume).update(remap(how))
    script = "stat -c %u:%g /tmp/0 /tmp/1 /tmp/3001; touch /tmp/new"
    assert container.sh(script).split() == ["0:0", "1:1", "3001:3001"]
    assert os.stat(f"{volume}/new").st_uid == 0, "on disk it is root's, not that of 100000"


@pytest.mark.requires("idmapped-mounts")
@pytest.mark.parametrize("how", ["idmap", "mappings"])
@runc_deviates("1.1 wants mappings beside the path, and does not know id-mapped mounts")
def test_in_a_joined_user_namespace(
    container: Container, make_container: Callable[[], Container], volume: str, how: str
) -> None:
    """`idmap` means the ids of the namespace that is joined, of which config.json says nothing."""
    first, other = up_and_sharing(container, make_container)
    with_namespace(other.config, "user", f"/proc/{first}/ns/user")
    other.bundle.add_mount("/tmp", "bind", volume).update(remap(how))
    script = "stat -c %u:%g /tmp/0 /tmp/1 /tmp/3001; touch /tmp/new"
    assert other.sh(script).split() == ["0:0", "1:1", "3001:3001"]
    assert os.stat(f"{volume}/new").st_uid == 0, "on disk it is root's, not that of 100000"


@runc_deviates("1.1 does not know id-mapped mounts")
@pytest.mark.parametrize(
    ("option", "members"),
    [("idmap", ()), ("bind", ("uidMappings",)), ("bind", ("gidMappings",))],
)
def test_wrong_idmaps(
    container: Container, volume: str, option: str, members: tuple[str, ...]
) -> None:
    """config.md#mounts: neither mapping nor user namespace; or only one of the two mappings."""
    entry = container.bundle.add_mount("/m", "bind", volume, "bind", option)
    for member in members:
        entry[member] = MAPPING
    container.is_rejected(f"/mounts/{len(container.config['mounts']) - 1}")
