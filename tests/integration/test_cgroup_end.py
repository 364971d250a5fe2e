"""The end of a container's cgroup, whatever the container has done with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.bundles import with_namespace, without_namespace
from tests.integration import leftovers
from tests.integration.cgroup_files import path, read
from tests.integration.containers import Container, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

requires = pytest.mark.requires


@requires("cgroup-v1")
def test_sub_cgroups_of_v1_go_too(container: Container) -> None:
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid")
    container.up(
        "for c in memory pids freezer; do mkdir -p /sys/fs/cgroup/$c/sub/sub || exit 1; done;"
        "sleep 1001 & echo $! > /sys/fs/cgroup/pids/sub/sub/cgroup.procs; echo up; exec sleep 1000"
    )
    assert os.path.isdir(path(container, "sub/sub"))
    container.delete("--force")


@requires("cgroup-v2")
def test_sub_cgroups_of_v2_go_too(container: Container) -> None:
    own_cgroups(container)
    container.delete("--force")
    assert leftovers.cgroups(container.id) == []


def own_cgroups(container: Container) -> None:
    """Start a container that manages cgroups of its own, as systemd does."""
    with_namespace(container.config, "cgroup")
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "rw")
    container.up(
        "cd /sys/fs/cgroup && mkdir -p init other/deep && echo $$ > init/cgroup.procs"
        " && echo +pids > cgroup.subtree_control && echo up;"
        "sleep 1001 & echo $! > other/deep/cgroup.procs; sleep 1000"
    )


@requires("cgroup-v2")
def test_exec_goes_where_init_is(container: Container) -> None:
    """cgroups(7): nobody can be in a cgroup that limits those below it."""
    own_cgroups(container)
    out = container.exec("/bin/cat", "/proc/self/cgroup").out.strip()
    assert out == "0::/init"


@requires("cgroup-v2")
def test_exec_into_a_sub_cgroup(container: Container) -> None:
    own_cgroups(container)
    call = container.exec("/bin/cat", "/proc/self/cgroup", options=["--cgroup", "/other/deep"])
    assert call.out.strip() == "0::/other/deep"


def test_processes_that_fork_on_are_all_killed(container: Container) -> None:
    """Without a pid namespace nothing but the cgroup holds them together."""
    without_namespace(container.config, "pid")
    container.linux["resources"] = {"pids": {"limit": 400}}
    container.up(
        # Each waits for what it has started: zombies count, and at the limit the loops would end.
        "f() { while :; do sleep 0.01 & (sleep 0.02 & sleep 0.01 & wait) & wait; done; };"
        "f 2>/dev/null & f 2>/dev/null & f 2>/dev/null & echo up; sleep 1000"
    )
    pid = container.pid
    # The sleep and the loops; of what these start, on a busy machine nothing is seen.
    wait_until(lambda: len(leftovers.processes(container.id)) >= 4, "several processes")
    container.kill("KILL", "--all")
    container.wait(pid)
    wait_until(lambda: not leftovers.processes(container.id), "no process")
    container.delete()


@pytest.mark.parametrize("namespace", [True, False], ids=["pid-namespace", "without"])
def test_a_paused_container_is_deleted(container: Container, namespace: bool) -> None:
    if not namespace:
        without_namespace(container.config, "pid")
    container.up("sleep 1001 & echo up; sleep 1000")
    container.verb("pause")
    container.delete("--force")
    assert leftovers.describe_after(container.id, container.runtime.root) == []


def test_a_parent_stays_while_another_container_is_in_it(
    make_container: Callable[[], Container], tag: str
) -> None:
    first, second = make_container(), make_container()
    for container in (first, second):
        container.linux["cgroupsPath"] = f"/{tag}parent/{container.id}"
        container.up()
    first.delete("--force")
    assert second.status == "running"
    second.verb("update", "--pids-limit", "9")
    second.delete("--force")
    leftovers.remove(f"{tag}parent")


@requires("cgroup-v2")
def test_delegation(container: Container) -> None:
    """Spec (config-linux.md#cgroup-ownership), with a user that is not root."""
    with_namespace(container.config, "cgroup")
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "rw")
    container.process["user"] = {"uid": 1000, "gid": 1000}
    container.up("mkdir /sys/fs/cgroup/mine && echo up || echo no; sleep 1000")
    assert container.created.out == "up\n"
    directory = path(container, ".")
    owned = {name for name in os.listdir(directory) if os.stat(f"{directory}/{name}").st_uid}
    assert "cgroup.procs" in owned
    assert "memory.max" not in owned
    assert "pids.max" not in owned
    container.delete("--force")


@requires("cgroup-v2")
def test_not_delegated_where_it_is_read_only(container: Container) -> None:
    with_namespace(container.config, "cgroup")
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "ro")
    container.process["user"] = {"uid": 1000, "gid": 1000}
    container.up()
    assert os.stat(path(container, "cgroup.procs")).st_uid == 0


@requires("cgroup-v2")
def test_controllers_are_enabled_on_the_way_down(container: Container) -> None:
    container.linux["cgroupsPath"] = f"/{container.id}/one/two"
    container.linux["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 9}}
    container.create()
    assert "memory" in read(container, "", "one/cgroup.subtree_control")
    assert read(container, "", "one/two/memory.max") == str(64 << 20)
    container.delete("--force")
    leftovers.remove(container.id)


@requires("cgroup-v2")
def test_processes_in_the_parent_forbid_limits(container: Container) -> None:
    """The error says whom to move where; without limits the container runs."""
    import subprocess

    parent = f"/sys/fs/cgroup/{container.id}"
    os.mkdir(parent)
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            with open(f"{parent}/cgroup.procs", "w", encoding="utf-8") as procs:
                procs.write(str(process.pid))
            container.linux["cgroupsPath"] = f"/{container.id}/sub"
            container.linux["resources"] = {"memory": {"limit": 64 << 20}}
            if container.runtime.is_ocipy:
                call = container.is_rejected("/linux/cgroupsPath", "enable the controllers")
                assert f"move those in {parent}" in call.err
            container.linux["resources"] = {}
            assert container.sh("echo ok") == "ok"
        finally:
            process.kill()
    leftovers.remove(container.id)
