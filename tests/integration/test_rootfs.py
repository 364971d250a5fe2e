"""The root file system, its names and what the container sees of the host; config.md#root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.bundles import without_namespace
from tests.integration.containers import Container

if TYPE_CHECKING:
    from collections.abc import Callable

runc_deviates = pytest.mark.runc_deviates


@pytest.mark.parametrize("no_pivot", [False, True])
def test_readonly(container: Container, no_pivot: bool) -> None:
    container.config["root"]["readonly"] = True
    script = "touch /x && echo wrote; touch /bin/x && echo wrote; touch /dev/shm/x && echo shm"
    assert container.sh(script, *(["--no-pivot"] if no_pivot else []), check=False) == "shm"
    assert not os.path.exists(f"{container.bundle.rootfs}/x")


def test_writable(container: Container) -> None:
    container.sh("echo content > /file")
    with open(f"{container.bundle.rootfs}/file", encoding="utf-8") as file:
        assert file.read() == "content\n"


def test_readonly_root_does_not_touch_the_hosts_mount(container: Container) -> None:
    container.config["root"]["readonly"] = True
    container.run()
    with open(f"{container.bundle.rootfs}/still-writable", "w", encoding="utf-8"):
        pass


def test_absolute_root_path(container: Container, directory: str) -> None:
    os.rename(container.bundle.rootfs, f"{directory}/elsewhere")
    container.config["root"]["path"] = f"{directory}/elsewhere"
    assert container.sh("echo ok") == "ok"


def test_root_path_is_a_file(container: Container, directory: str) -> None:
    container.config["root"]["path"] = "config.json"
    container.is_rejected("/root/path")


@pytest.mark.parametrize("no_pivot", [False, True])
def test_the_host_is_not_reachable(container: Container, directory: str, no_pivot: bool) -> None:
    options = ["--no-pivot"] if no_pivot else []
    out = container.sh("ls /..; ls /../../..; pwd; cat /proc/self/mountinfo", *options)
    assert "oldroot" not in out
    listing, mountinfo = out.split("\n/\n")
    assert set(listing.split()) == set(os.listdir(container.bundle.rootfs))
    targets = [line.split()[4] for line in mountinfo.splitlines()]
    assert targets[0] == "/"
    if not no_pivot:
        assert len(targets) == 1 + len(container.config["mounts"]), targets
    assert directory not in "".join(targets)


@pytest.mark.parametrize("no_pivot", [False, True])
def test_root_path_through_a_link(container: Container, directory: str, no_pivot: bool) -> None:
    if container.runtime.is_runc:
        pytest.skip("runc wants a path without links")
    os.symlink(container.bundle.rootfs, f"{directory}/link")
    container.config["root"]["path"] = f"{directory}/link"
    options = ["--no-pivot"] if no_pivot else []
    # Its own /proc must not be taken for the host's, which --no-pivot takes away.
    assert container.sh("cat /proc/1/comm; test -d /sys/kernel && echo sys", *options).split() == [
        "sh",
        "sys",
    ]


def test_mounts_of_the_container_stay_there(container: Container) -> None:
    container.up()
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert [line for line in file if container.id in line] == []


def test_hostname(container: Container) -> None:
    container.config["hostname"] = "my.host-1"
    assert container.sh("hostname; cat /proc/sys/kernel/hostname") == "my.host-1\nmy.host-1"


def test_without_a_hostname_the_runtimes_stays(container: Container) -> None:
    del container.config["hostname"]
    assert container.sh("hostname") == os.uname().nodename


def test_hostname_without_a_uts_namespace(container: Container) -> None:
    """It would rename the host."""
    without_namespace(container.config, "uts")
    container.config["hostname"] = "evil"
    container.is_rejected("/hostname", "uts")
    assert os.uname().nodename != "evil"


@runc_deviates("1.1 does not know domainname")
def test_domainname(container: Container) -> None:
    container.config["domainname"] = "example.org"
    assert container.sh("cat /proc/sys/kernel/domainname") == "example.org"


@runc_deviates("1.1 does not know domainname")
def test_domainname_without_a_uts_namespace(container: Container) -> None:
    without_namespace(container.config, "uts")
    container.config["domainname"] = "evil"
    container.is_rejected("/domainname")


def test_a_hostname_that_is_too_long(container: Container) -> None:
    container.config["hostname"] = "x" * 65
    container.is_rejected("/hostname")


def test_two_containers_share_a_rootfs(
    container: Container, make_container: Callable[[], Container]
) -> None:
    other = make_container()
    other.config["root"]["path"] = container.bundle.rootfs
    container.up()
    assert other.sh("ls /proc | grep -c '^[0-9]'") in ("2", "3", "4")


def test_without_a_mount_namespace(container: Container) -> None:
    """The container shares the runtime's mounts, so it may bring none, and leaves none."""
    if container.runtime.is_runc:
        pytest.skip("runc 1.1 bind-mounts the root on the host, fails, and leaves it there")
    without_namespace(container.config, "mount")
    container.config["mounts"] = []
    call = container.script("echo ok").run(check=False)
    if call.status == 0:
        assert call.out == "ok\n"
    else:
        assert "mount namespace" in call.err
