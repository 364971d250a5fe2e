"""ocipy called by a user without privileges: as `spec --rootless` has it, no helper, no cgroup."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.bundles import write_file
from tests.integration.containers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.containers import Call, Container, Runtime

pytestmark = pytest.mark.requires("user-namespaces")

USER = 12345
AS_USER: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": [USER + 1]}


@pytest.fixture
def call(container: Container, runtime: Runtime, directory: str) -> Callable[..., Call]:
    """Return a function that calls the runtime as the user, who owns the bundle and the root."""
    try:
        subprocess.run([runtime.program, "--version"], check=True, capture_output=True, **AS_USER)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"other users cannot run {runtime.program}: {error}")
    linux = container.linux
    linux["namespaces"] = [ns for ns in linux["namespaces"] if ns["type"] != "network"]
    linux["namespaces"].append({"type": "user"})
    linux["uidMappings"] = [{"containerID": 0, "hostID": USER, "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": USER, "size": 1}]
    del linux["cgroupsPath"]
    mounts = [m for m in container.config["mounts"] if m["type"] != "sysfs"]
    for mount in mounts:
        # As `spec --rootless` has it: there is no group 5 in the user namespace.
        mount["options"] = [option for option in mount["options"] if option != "gid=5"]
    container.config["mounts"] = mounts
    os.makedirs(runtime.root)
    os.chown(runtime.root, USER, USER)
    for top, _, _ in os.walk(container.bundle.path):
        os.chown(top, USER, USER)

    def call(verb: str, *words: str, **options: Any) -> Call:
        return runtime.call(verb, *words, **AS_USER, **options)

    return call


def test_run(container: Container, call: Callable[..., Call]) -> None:
    container.script("id -u; id -g; cat /proc/self/uid_map; touch /mine")
    container.bundle.write()
    run = call("run", "--bundle", container.bundle.path, container.id).succeeded()
    assert run.out.split() == ["0", "0", "0", str(USER), "1"]
    assert os.stat(f"{container.bundle.rootfs}/mine").st_uid == USER


def test_life_with_exec(container: Container, call: Callable[..., Call]) -> None:
    """exec finds no cgroup to join, as nobody had permitted one."""
    container.script("echo up; exec sleep 1000")
    container.bundle.write()
    created = call("create", "--bundle", container.bundle.path, container.id).succeeded()
    call("start", container.id).succeeded()
    wait_until(lambda: created.out == "up\n", "the container runs")
    assert call("exec", container.id, "/bin/id", "-u").succeeded().out == "0\n"
    pid = container.pid
    call("kill", container.id, "KILL").succeeded()
    container.wait(pid)
    call("delete", container.id).succeeded()


def test_groups_that_nobody_may_set(container: Container, call: Callable[..., Call]) -> None:
    """setgroups(2) is denied where a map was made without privileges (user_namespaces(7))."""
    container.process["user"]["additionalGids"] = [0]
    write_file(f"{container.bundle.rootfs}/etc/marker", "")
    container.bundle.write()
    call("run", "--bundle", container.bundle.path, container.id).failed("groups")
