"""Docker Swarm on three nodes, each with the runtime under test as its default.

One swarm for all of these, so they stand in the order in which a service lives, and the node that
is lost is the last. `make test-clusters` runs them: they take minutes, most of them Docker's own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.clients.private_place import private_place, remove_parent_cgroups
from tests.clusters.swarm import Swarm
from tests.integration import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

IDLE = ("sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait")
EVERYWHERE = ["node1", "node2", "node3"]


@pytest.fixture(scope="module")
def swarm(runtime_program: str) -> Iterator[Swarm]:
    with private_place("oc-swarm-") as place:
        with Swarm(place.directory, os.path.abspath(runtime_program), place.tag) as made:
            made.start(place.rootfs)
            yield made
        for node in made.nodes:
            if node in made.lost:
                # A machine that lost its power has no cgroups any more; here the kernel goes on.
                for path in leftovers.cgroups(node.tag):
                    os.rmdir(path)
            else:
                remove_parent_cgroups(node.tag)


@pytest.fixture(autouse=True)
def clean(swarm: Swarm) -> Iterator[None]:
    yield
    for name in swarm.manager.docker("service", "ls", "-q").split():
        swarm.remove(name)
    swarm.wait(lambda: not swarm.remains(), f"nothing is left: {swarm.remains()}")


def test_thirty_replicas_sixty_and_back(swarm: Swarm) -> None:
    swarm.create("web", "--replicas", "30", command=IDLE)
    swarm.wait_running("web", 30)
    assert sorted(set(swarm.running("web"))) == EVERYWHERE
    swarm.manager.docker("service", "scale", "--detach", "web=60")
    swarm.wait_running("web", 60)
    swarm.manager.docker("service", "scale", "--detach", "web=30")
    swarm.wait(lambda: swarm.containers() == 30, "thirty containers are left")
    swarm.wait_running("web", 30)


def test_rolling_update_and_rollback(swarm: Swarm) -> None:
    options = ("--replicas", "6", "--update-parallelism", "2", "--update-order", "start-first")
    swarm.create("web", *options, "--env", "RELEASE=1", command=IDLE)
    swarm.wait_running("web", 6)
    service = ("service", "inspect", "--format")
    env = "{{json .Spec.TaskTemplate.ContainerSpec.Env}}"

    def state() -> str:
        return swarm.manager.docker(*service, "{{.UpdateStatus.State}}", "web")

    swarm.manager.docker("service", "update", "--detach", "--env-add", "RELEASE=2", "web")
    swarm.wait(lambda: state() == "completed", "the update is completed")
    assert swarm.manager.docker(*service, env, "web") == '["RELEASE=2"]'
    released = swarm.manager.docker("ps", "-q", "--filter", "name=web").split()
    told = [swarm.manager.docker("exec", one, "sh", "-c", "echo $RELEASE") for one in released]
    assert set(told) == {"2"}
    swarm.manager.docker("service", "rollback", "--detach", "web")
    swarm.wait(lambda: state() == "rollback_completed", "the rollback is completed")
    assert swarm.manager.docker(*service, env, "web") == '["RELEASE=1"]'
    swarm.wait_running("web", 6)


def test_update_that_fails_is_rolled_back(swarm: Swarm) -> None:
    options = ("--replicas", "3", "--update-failure-action", "rollback", "--update-monitor", "5s")
    swarm.create("web", *options, command=IDLE)
    swarm.wait_running("web", 3)
    swarm.manager.docker("service", "update", "--detach", "--args", "no-such-command", "web")
    swarm.wait(
        lambda: (
            swarm.manager.docker("service", "inspect", "--format", "{{.UpdateStatus.State}}", "web")
            == "rollback_completed"
        ),
        "the update is rolled back",
    )
    failed = swarm.manager.docker("service", "ps", "--no-trunc", "--format", "{{.Error}}", "web")
    assert 'exec: "no-such-command": executable file not found in $PATH' in failed
    swarm.wait_running("web", 3)


def test_failed_health_check_replaces_the_task(swarm: Swarm) -> None:
    check = ("--health-cmd", "test ! -e /tmp/ill", "--health-interval", "1s", "--health-retries")
    only = ("--constraint", "node.role==manager")
    swarm.create("web", *check, "2", *only, "--restart-delay", "0s", command=IDLE)
    swarm.wait_running("web", 1)
    first = swarm.manager.docker("ps", "-q", "--filter", "name=web")
    swarm.manager.docker("exec", first, "touch", "/tmp/ill")

    def replaced() -> bool:
        alive = swarm.manager.docker("ps", "-q", "--filter", "name=web").split()
        return first not in alive and len(alive) == 1

    swarm.wait(replaced, "another task takes its place")
    swarm.wait_running("web", 1)


def test_secrets_configs_and_limits(swarm: Swarm) -> None:
    swarm.manager.room.run("docker", "secret", "create", "key", "-", stdin="hidden", check=True)
    swarm.manager.room.run("docker", "config", "create", "conf", "-", stdin="shown", check=True)
    given = ("--secret", "source=key,target=key,mode=0400", "--config", "source=conf,target=/conf")
    limits = ("--limit-memory", "64m", "--limit-pids", "50", "--limit-cpu", "0.5")
    reserved = ("--reserve-memory", "32m", "--constraint", "node.role==manager")
    swarm.create("web", *given, *limits, *reserved, command=IDLE)
    swarm.wait_running("web", 1)
    container = swarm.manager.docker("ps", "-q", "--filter", "name=web")
    files = "cat /run/secrets/key /conf; echo; stat -c %a /run/secrets/key"
    assert swarm.manager.docker("exec", container, "sh", "-c", files).split() == [
        "hiddenshown", "400",
    ]  # fmt: skip
    limits_read = (
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; "
        "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true"
    )
    told = swarm.manager.docker("exec", container, "sh", "-c", limits_read).split()
    assert told == [str(64 << 20), "50"]
    swarm.remove("web")
    swarm.manager.docker("secret", "rm", "key")
    swarm.manager.docker("config", "rm", "conf")


def test_tasks_move_from_a_node_that_is_lost(swarm: Swarm) -> None:
    swarm.create("web", "--replicas", "9", command=IDLE)
    swarm.wait_running("web", 9)
    assert "node3" in swarm.running("web")
    swarm.kill_node(3)
    swarm.wait(
        lambda: len(swarm.running("web")) == 9 and "node3" not in swarm.running("web"),
        "nine tasks run on the two nodes that are left",
    )
