"""Device nodes, default and configured, and the links beside them; config-linux.md#devices."""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest

from tests.bundles import with_namespace
from tests.integration.containers import Container

runc_deviates = pytest.mark.runc_deviates

DEFAULTS = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
SHOW = "cd /dev; for f in $(ls); do stat -c '%n|%F|%t|%T|%a|%u|%g' $f; done"


def show(container: Container) -> dict[str, list[str]]:
    """Return by name what stat(1) says of all that is in the container's /dev."""
    lines = [line.split("|") for line in container.lines(SHOW)]
    return {name: rest for name, *rest in lines}


def test_default_devices(container: Container) -> None:
    nodes = show(container)
    for name, (major, minor) in DEFAULTS.items():
        kind, major_hex, minor_hex, mode, uid, gid = nodes[name]
        assert kind == "character special file", name
        assert (int(major_hex, 16), int(minor_hex, 16)) == (major, minor), name
        assert (mode, uid, gid) == ("666", "0", "0"), name


def test_default_links(container: Container) -> None:
    names = " ".join(LINKS)
    out = container.lines(f"cd /dev; for n in {names}; do readlink $n; done")
    assert out == list(LINKS.values())


def test_nothing_else_is_in_dev(container: Container) -> None:
    nodes = set(show(container)) - {"console"}
    # A link to the kernel's memory file, as in runc, but none that leads nowhere.
    core = {"core"} if os.path.exists("/proc/kcore") else set()
    assert nodes == set(DEFAULTS) | set(LINKS) | {"pts", "shm", "mqueue"} | core


def test_there_is_no_console_without_a_terminal(container: Container) -> None:
    assert container.sh("test -e /dev/console || echo none") == "none"


def test_default_devices_work(container: Container) -> None:
    out = container.sh(
        "echo x > /dev/null && head -c 4 /dev/zero | od -An -tx1; echo x > /dev/full || echo full;"
        "head -c 4 /dev/urandom | wc -c; echo fd >> /dev/fd/1; echo out >> /dev/stdout"
    )
    assert out.split() == ["00", "00", "00", "00", "full", "4", "fd", "out"]


CONFIGURED = [
    {"path": "/dev/test-char", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 5},
    {"path": "/dev/test-unbuffered", "type": "u", "major": 1, "minor": 5, "gid": 7},
    {"path": "/dev/test-block", "type": "b", "major": 7, "minor": 200, "fileMode": 0o600},
    {"path": "/dev/test-fifo", "type": "p", "fileMode": 0o622},
    {"path": "/dev/deep/er/node", "type": "c", "major": 1, "minor": 8},
]


def test_configured_devices(container: Container) -> None:
    container.linux["devices"] = CONFIGURED
    nodes = show(container)
    assert nodes["test-char"] == ["character special file", "1", "3", "640", "5", "0"]
    assert nodes["test-unbuffered"][:3] == ["character special file", "1", "5"]
    assert nodes["test-unbuffered"][5] == "7"
    assert nodes["test-block"][:4] == ["block special file", "7", "c8", "600"]
    assert nodes["test-fifo"][0] == "fifo"
    assert nodes["test-fifo"][3] == "622"
    assert nodes["deep"][0] == "directory"


def test_the_mode_of_a_device_ignores_the_umask(container: Container) -> None:
    container.linux["devices"] = [
        {"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}
    ]
    container.process["user"]["umask"] = 0o77
    previous = os.umask(0o077)
    try:
        nodes = show(container)
    finally:
        os.umask(previous)
    assert nodes["x"][3] == "666"
    assert nodes["null"][3] == "666"


def test_a_default_device_may_be_listed(container: Container) -> None:
    """Engines list such devices themselves; it is there once, with their mode."""
    container.linux["devices"] = [
        {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600, "uid": 3}
    ]
    nodes = show(container)
    assert nodes["zero"] == ["character special file", "1", "5", "600", "3", "0"]


def test_devices_outside_of_dev(container: Container) -> None:
    container.linux["devices"] = [{"path": "/srv/null", "type": "c", "major": 1, "minor": 3}]
    assert container.sh("stat -c '%F %t %T' /srv/null") == "character special file 1 3"


@pytest.mark.parametrize(
    "existing",
    [
        "file",
        pytest.param("other", id="another-device"),
        pytest.param("directory", id="directory"),
    ],
)
@runc_deviates("keeps whatever is there")
def test_an_existing_file_that_is_not_the_device(container: Container, existing: str) -> None:
    """config-linux.md#devices: if it does not match, the runtime MUST generate an error."""
    path = f"{container.bundle.rootfs}/srv/dev"
    os.makedirs(os.path.dirname(path))
    if existing == "directory":
        os.mkdir(path)
    elif existing == "file":
        with open(path, "w", encoding="utf-8"):
            pass
    else:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    container.linux["devices"] = [{"path": "/srv/dev", "type": "c", "major": 1, "minor": 3}]
    container.is_rejected("/linux/devices/0")


def test_an_existing_device_that_matches(container: Container) -> None:
    path = f"{container.bundle.rootfs}/srv/dev"
    os.makedirs(os.path.dirname(path))
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    container.linux["devices"] = [{"path": "/srv/dev", "type": "c", "major": 1, "minor": 3}]
    assert container.sh("stat -c '%F %t %T' /srv/dev") == "character special file 1 3"


@pytest.mark.parametrize(
    "device",
    [
        {"path": "/dev/x", "type": "z", "major": 1, "minor": 3},
        {"path": "/dev/x"},
        pytest.param({"type": "c", "major": 1, "minor": 3}, marks=runc_deviates("needs no path")),
    ],
)
def test_wrong_devices(container: Container, device: dict[str, Any]) -> None:
    container.linux["devices"] = [device]
    container.is_rejected("/linux/devices/0")


@runc_deviates("takes the missing numbers for zero")
@pytest.mark.parametrize("missing", ["major", "minor"])
def test_a_device_without_its_numbers(container: Container, missing: str) -> None:
    """config-linux.md#devices: REQUIRED unless type is p."""
    device = {"path": "/dev/x", "type": "c", "major": 1, "minor": 3}
    del device[missing]
    container.linux["devices"] = [device]
    container.is_rejected("/linux/devices/0")


def test_in_a_user_namespace_devices_are_bound(container: Container) -> None:
    """mknod(2) is not allowed there, so they come from the host, and work."""
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    container.linux["uidMappings"] = container.linux["gidMappings"] = mapping
    container.linux["devices"] = [{"path": "/dev/other-zero", "type": "c", "major": 1, "minor": 5}]
    if container.runtime.is_runc:
        # runc binds from the same path of the host, so that this one does not exist there.
        container.linux["devices"] = []
    out = container.sh("stat -c %t:%T /dev/null /dev/zero; echo x > /dev/null && echo works")
    assert out.split() == ["1:3", "1:5", "works"]


@runc_deviates("binds what the host has at the same path")
def test_in_a_user_namespace_a_device_may_have_another_path(container: Container) -> None:
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    container.linux["uidMappings"] = container.linux["gidMappings"] = mapping
    container.linux["devices"] = [
        {"path": "/dev/inner/zero", "type": "c", "major": 1, "minor": 5},
        {"path": "/dev/pipe", "type": "p"},
    ]
    out = container.sh("head -c 2 /dev/inner/zero | od -An -tx1; stat -c %F /dev/pipe")
    assert out.split() == ["00", "00", "fifo"]


@pytest.mark.parametrize("leads_to", ["/elsewhere", "../../../../elsewhere"])
def test_dev_that_is_a_link_in_the_image(
    container: Container, directory: str, leads_to: str
) -> None:
    """CVE-2026-41579: nodes must not be made outside of the rootfs."""
    root = container.bundle.rootfs
    os.rmdir(f"{root}/dev")
    os.mkdir(f"{root}/elsewhere")
    os.symlink(leads_to, f"{root}/dev")
    container.config["mounts"] = [
        entry for entry in container.config["mounts"] if not entry["destination"].startswith("/dev")
    ]
    container.run(check=False)
    assert not os.path.lexists("/elsewhere")
    for name in ("null", "zero", "tty"):
        assert os.stat(f"/dev/{name}").st_rdev == os.makedev(*DEFAULTS[name])


def test_the_hosts_dev_stays(container: Container) -> None:
    before = sorted(os.listdir("/dev"))
    container.linux["devices"] = CONFIGURED
    container.run()
    assert sorted(os.listdir("/dev")) == before


def test_dev_bound_from_the_host_is_left_alone(container: Container) -> None:
    """With /dev bound, as privileged containers have it, nothing may be made in it."""
    container.config["mounts"] = [
        entry for entry in container.config["mounts"] if not entry["destination"].startswith("/dev")
    ]
    container.bundle.add_mount("/dev", "bind", "/dev", "rbind", "rprivate")
    before = sorted(os.listdir("/dev"))
    assert container.sh("test -c /dev/null && echo ok") == "ok"
    assert sorted(os.listdir("/dev")) == before
