"""Mounts with id mappings of their own, or the container's; config.md#posix-platform-mounts."""

from __future__ import annotations

import os

import pytest

from tests.bundles import with_namespace
from tests.integration.containers import Container

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
