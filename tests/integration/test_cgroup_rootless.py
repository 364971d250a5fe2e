"""A user without privileges: limits where a part of cgroup v2 is delegated, and none elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bundles import with_namespace
from tests.integration.leftovers import remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.containers import Container

USER = 65534

pytestmark = pytest.mark.requires("user-namespaces")


@pytest.fixture
def rootless(container: Container) -> Container:
    """A container that a user without privileges can make."""
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": USER, "size": 1}]
    container.linux.update(uidMappings=mapping, gidMappings=mapping)
    del container.linux["cgroupsPath"]
    for mount in container.config["mounts"]:
        mount["options"] = [option for option in mount["options"] if option != "gid=5"]
    return container


@pytest.fixture
def delegated(tag: str) -> Iterator[str]:
    """A cgroup that belongs to the user, with one below it for the user's own processes."""
    top = f"/sys/fs/cgroup/{tag}deleg"
    os.makedirs(f"{top}/own")
    with open(f"{top}/cgroup.subtree_control", "w", encoding="utf-8") as file:
        file.write("+pids +memory")
    for directory, _, names in os.walk(top):
        os.chown(directory, USER, USER)
        for name in names:
            if name in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
                os.chown(f"{directory}/{name}", USER, USER)
    yield top
    remove(tag)


def run(
    container: Container, script: str, cgroup: str = "", options: str = ""
) -> subprocess.CompletedProcess[str]:
    """Let the user run the container, in the foreground; `options` are the runtime's."""
    container.script(script)
    container.bundle.write()
    root = f"{container.bundle.path}/state"
    os.makedirs(root, exist_ok=True)
    for directory, _, _ in os.walk(container.bundle.path):
        os.chown(directory, USER, USER)  # not the files: busybox is that of all bundles
    enter = f"echo $$ > {cgroup}/cgroup.procs && " if cgroup else ""
    become = f"setpriv --reuid {USER} --regid {USER} --clear-groups"
    program = f"{container.runtime.program} --root {root} {options}"
    done = subprocess.run(
        ["sh", "-c", f"{enter}exec {become} {program} run -b {container.bundle.path} c"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    shutil.rmtree(root)
    return done


def test_without_permission_it_runs_without_a_cgroup(rootless: Container) -> None:
    done = run(rootless, "cat /proc/self/cgroup")
    assert done.returncode == 0, done
    with open("/proc/self/cgroup", encoding="utf-8") as ours:
        assert done.stdout == ours.read()


def test_without_permission_a_named_cgroup_is_refused(rootless: Container) -> None:
    rootless.linux["cgroupsPath"] = "/some/where"
    done = run(rootless, "echo ran")
    assert done.returncode == 1
    assert "ran" not in done.stdout
    if rootless.runtime.is_ocipy:
        assert "permission denied" in done.stderr
        assert "/linux/cgroupsPath" in done.stderr


@pytest.mark.runc_deviates("it refuses limits that it has no permission for")
def test_without_permission_limits_are_left_out_with_a_warning(rootless: Container) -> None:
    rootless.linux["resources"] = {"pids": {"limit": 5}, "memory": {"limit": 64 << 20}}
    done = run(rootless, "echo ran")
    assert (done.returncode, done.stdout) == (0, "ran\n"), done
    assert "without a cgroup there are no limits: memory, pids" in done.stderr
    assert "no permission to make a cgroup in /sys/fs/cgroup" in done.stderr


@pytest.mark.runc_deviates("it has no such answer")
def test_a_cgroup_that_is_insisted_on(rootless: Container) -> None:
    done = run(rootless, "echo ran", options="--rootless=false")
    assert done.returncode == 1
    assert "cannot make a cgroup in" in done.stderr


@pytest.mark.requires("cgroup-v2")
def test_limits_in_a_delegated_cgroup(rootless: Container, delegated: str) -> None:
    rootless.linux["resources"] = {
        "pids": {"limit": 5},
        "memory": {"limit": 64 << 20},
        "devices": [{"allow": False, "access": "rwm"}],
    }
    rootless.bundle.add_mount("/host", "none", "/sys/fs/cgroup", "rbind", "ro")
    done = run(
        rootless,
        "place=$(cut -d: -f3 /proc/self/cgroup); echo $place;"
        "cat /host$place/pids.max /host$place/memory.max",
        f"{delegated}/own",
    )
    assert done.returncode == 0, done
    place, pids, memory = done.stdout.split()
    assert place == f"/{os.path.basename(delegated)}/c"
    assert (pids, memory) == ("5", str(64 << 20))
    assert sorted(next(os.walk(delegated))[1]) == ["own"], "the container's cgroup is gone"
