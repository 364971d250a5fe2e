"""How many processes `run` and `exec` need where their user may have few: docs/lifecycle.md."""

from __future__ import annotations

import itertools
import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.containers import Call, Container

pytestmark = pytest.mark.requires("root")

# The kernel counts all processes of a user on the host: each container has a user of its own.
_users = itertools.count(1_000_000_000 + os.getpid() * 100)


def limit_processes(container: Container, limit: int) -> None:
    user = next(_users)
    container.process["user"] = {"uid": user, "gid": user}
    container.process["capabilities"] = {}
    limits = {"type": "RLIMIT_NPROC", "soft": limit, "hard": limit}
    container.process["rlimits"] = [limits]


def exec_with_limit(container: Container, limit: int) -> Call:
    limits = {"type": "RLIMIT_NPROC", "soft": limit, "hard": limit}
    process = container.process | {"args": ["/bin/true"], "rlimits": [limits]}
    path = f"{container.bundle.path}/process.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(process, file)
    return container.exec(options=["--process", path], check=False)


@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_container_needs_room_for_its_program_alone(container: Container, verb: str) -> None:
    limit_processes(container, 1)
    if verb == "run":
        assert container.sh("echo ran") == "ran"
    else:
        container.up()


def test_exec_with_room_for_two(container: Container) -> None:
    limit_processes(container, 1)
    container.up()
    assert exec_with_limit(container, 3).status == 0


@pytest.mark.runc_deviates("forks before it sets the limit, and needs room for one")
def test_exec_without_says_which_limit(container: Container) -> None:
    limit_processes(container, 1)
    container.up()
    exec_with_limit(container, 2).failed("EAGAIN", "RLIMIT_NPROC", status=255)


@pytest.mark.requires("controller:pids")
def test_the_cgroup_has_room_for_two(container: Container) -> None:
    container.linux["resources"] = {"pids": {"limit": 3}}
    container.up()
    container.exec("/bin/true")


@pytest.mark.requires("controller:pids")
@pytest.mark.runc_deviates("forks before it enters the cgroup, and needs room for one")
def test_the_cgroup_has_room_for_one(container: Container) -> None:
    container.linux["resources"] = {"pids": {"limit": 2}}
    container.up()
    call = container.exec("/bin/true", check=False)
    call.failed("EAGAIN", "limit of processes", status=255)
