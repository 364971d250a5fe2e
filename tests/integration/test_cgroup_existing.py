"""A cgroup v2 that was there before the container, and is there afterwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.bundles import with_namespace, write_file
from tests.integration import leftovers
from tests.integration.containers import Container, Runtime, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A hybrid host as one with cgroup v2 only; nothing of this is seen outside.
PURE_V2 = """#!/bin/sh
exec unshare --mount --propagation private sh -c '
    if ! test -e /sys/fs/cgroup/cgroup.controllers; then
        umount --recursive --lazy /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 99
    fi
    exec "$@"' sh "{program}" "$@"
"""


def unified() -> str:
    """Return where cgroup v2 is mounted here; "" where it is not."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        found = [line.split(" ")[1] for line in mounts if line.split(" ")[2] == "cgroup2"]
    return found[0] if found else ""


@pytest.fixture(autouse=True)
def pure_v2(runtime: Runtime, directory: str) -> None:
    if not unified():
        pytest.skip("no cgroup v2 is mounted, not even beside v1")
    os.mkdir(f"{directory}/bin")
    runtime.program, program = (
        f"{directory}/bin/{os.path.basename(runtime.program)}",
        runtime.program,
    )
    write_file(runtime.program, PURE_V2.format(program=program), 0o755)


@pytest.fixture
def existing(
    tag: str, make_container: Callable[[], Container], pure_v2: None
) -> Iterator[tuple[Container, str]]:
    """Return a container whose cgroup exists, and the path of that here."""
    path = f"{unified()}/{tag}there"
    os.mkdir(path)
    container = make_container()
    container.linux["cgroupsPath"] = f"/{tag}there"
    yield container, path
    container.delete("--force")
    wait_until(lambda: not leftovers.processes(container.id), "the end of the container")
    os.rmdir(path)


@pytest.mark.parametrize("times", [1, 3])
def test_it_is_used_again_after_everything_in_it_was_killed(
    existing: tuple[Container, str], times: int
) -> None:
    """Linux 6.13 and later kill at once what is cloned into a cgroup that was ever killed."""
    container, path = existing
    for _ in range(times):
        with open(f"{path}/cgroup.kill", "w", encoding="ascii") as file:
            file.write("1")
        pid = container.up()
        with open(f"{path}/cgroup.procs", encoding="ascii") as file:
            assert file.read().split() == [str(pid)]
        membership = container.exec("/bin/cat", "/proc/self/cgroup").out.splitlines()
        assert any(line.endswith(os.path.basename(path)) for line in membership)
        container.delete("--force")
        assert os.path.isdir(path), "it is somebody else's"


def test_a_sub_cgroup_that_the_container_has_killed_takes_processes_again(
    container: Container,
) -> None:
    with_namespace(container.config, "cgroup")
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "rw")
    container.up(
        "mkdir /sys/fs/cgroup/sub && echo 1 > /sys/fs/cgroup/sub/cgroup.kill && echo up;sleep 1000"
    )
    container.exec("/bin/true", options=["--cgroup", "/sub"])
    container.delete("--force")
