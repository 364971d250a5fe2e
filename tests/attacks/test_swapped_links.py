"""A volume is shared with somebody who swaps directories and links while a container is made.

    RACES=2000 pytest tests/attacks/test_swapped_links.py    many more attempts

CVE-2021-30465 and CVE-2019-18837 (a mount lands outside), CVE-2024-45310 (mountpoints are created
outside), CVE-2025-31133 (a mask is missed), CVE-2026-41579 (devices are made outside). A create may
fail when it meets the attacker; it must not do anything outside of the root, nor leave a mask out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.racer import Racer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.containers import Call, Container

RACES = int(os.environ.get("RACES", "10"))
# What a create may say when it loses: the target changed its kind while it was made.
HONEST = (
    "ENOENT",
    "ENOTDIR",
    "EEXIST",
    "EAGAIN",
    "ELOOP",
    "EINVAL",
    "ESTALE",
    "ordinary directory",
)


@pytest.fixture
def outside(directory: str) -> Iterator[str]:
    """A directory of the host that must stay as it is."""
    path = f"{directory}/outside"
    os.makedirs(f"{path}/b")
    with open(f"{path}/b/secret", "w", encoding="utf-8") as file:
        file.write("secret of the host")
    yield path
    found = sorted(os.path.join(at, name) for at, _, files in os.walk(path) for name in files)
    assert found == [f"{path}/b/secret"]
    assert sorted(os.listdir(path)) == ["b"]


@pytest.fixture
def volume(container: Container, directory: str, outside: str) -> str:
    """A volume of the container with a directory `a`, and links to the outside to swap it with."""
    path = f"{directory}/volume"
    os.makedirs(f"{path}/a/b")
    os.symlink(outside, f"{path}/absolute")
    os.symlink("../" * 12 + outside.lstrip("/"), f"{path}/relative")
    container.bundle.add_mount("/v", "bind", path, "rbind")
    return path


def race(container: Container, first: str, second: str) -> Iterator[Call]:
    """Run the container again and again while two names are exchanged; yield what succeeded."""
    with Racer(first, second):
        for _ in range(RACES):
            call = container.run(check=False)
            if call.status == 0:
                yield call
            else:
                assert any(word in call.err for word in HONEST), call


@pytest.mark.parametrize("link", ["absolute", "relative"])
@pytest.mark.parametrize("kind", ["tmpfs", "bind", "file", "proc"])
def test_mounts(container: Container, directory: str, volume: str, link: str, kind: str) -> None:
    target = "/v/a/b"
    if kind == "bind":
        os.mkdir(f"{directory}/other")
        container.bundle.add_mount(target, "bind", f"{directory}/other", "bind")
    elif kind == "file":
        target = "/v/a/b/file"
        container.bundle.add_mount(target, "bind", "/bin/busybox", "bind", "ro")
    else:
        container.bundle.add_mount(target, kind, kind)
    container.script("cat /proc/self/mountinfo")
    for call in race(container, f"{volume}/a", f"{volume}/{link}"):
        targets = [line.split(" ")[4] for line in call.out.splitlines()]
        # Through a link it lands below the root all the same, at the path that the link names.
        end = "/b/file" if kind == "file" else "/b"
        assert any(path.endswith(end) for path in targets), targets


@pytest.mark.parametrize("link", ["absolute", "relative"])
def test_mountpoints_that_are_missing(container: Container, volume: str, link: str) -> None:
    container.bundle.add_mount("/v/a/new/deep/er", "tmpfs", "tmpfs")
    container.args("/bin/true")
    for _ in race(container, f"{volume}/a", f"{volume}/{link}"):
        pass


def test_tmpcopyup(container: Container, volume: str, outside: str) -> None:
    container.bundle.add_mount("/v/a", "tmpfs", "tmpfs", "tmpcopyup")
    # Another swap, inside of what is copied: a file and a link to the host's.
    with open(f"{volume}/a/b/secret", "w", encoding="utf-8") as file:
        file.write("of the volume")
    os.symlink(f"{outside}/b/secret", f"{volume}/a/b/link")
    container.script("find / -xdev -name secret | xargs cat; cat /v/a/b/*; true")
    for call in race(container, f"{volume}/a/b/secret", f"{volume}/a/b/link"):
        assert "host" not in call.out, call


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_masks(container: Container, volume: str, kind: str) -> None:
    """A mask is on the file that was found; that it does not follow a file that moves is no secret,
    since who can move it can read it. But what it covers must not be the host's."""
    name = "/v/a/b/secret" if kind == "file" else "/v/a/b"
    with open(f"{volume}/a/b/secret", "w", encoding="utf-8") as file:
        file.write("of the volume")
    container.linux["maskedPaths"] = [name]
    container.linux["readonlyPaths"] = [name]
    container.args("/bin/true")
    for _ in race(container, f"{volume}/a", f"{volume}/absolute"):
        pass


def test_dev_null_of_the_image(container: Container, directory: str, outside: str) -> None:
    """CVE-2025-31133: the cover of a mask is never the container's /dev/null."""
    root = container.bundle.rootfs
    container.config["mounts"] = [m for m in container.config["mounts"] if m["type"] == "proc"]
    os.symlink(f"{outside}/b/secret", f"{root}/dev/other")
    os.mknod(f"{root}/dev/null", 0o20666, os.makedev(1, 3))
    container.bundle.add_file("masked", "of the image")
    container.linux["maskedPaths"] = ["/masked"]
    container.script("cat /masked; stat -c %t:%T /masked")
    for call in race(container, f"{root}/dev/null", f"{root}/dev/other"):
        assert call.out == "1:3\n", call


def test_dev_of_the_image(container: Container, directory: str, outside: str) -> None:
    """CVE-2026-41579."""
    root = container.bundle.rootfs
    container.config["mounts"] = [m for m in container.config["mounts"] if m["type"] == "proc"]
    container.linux["devices"] = [{"path": "/dev/b/x", "type": "c", "major": 1, "minor": 3}]
    os.symlink(outside, f"{root}/link")
    container.args("/bin/true")
    for _ in race(container, f"{root}/dev", f"{root}/link"):
        pass
