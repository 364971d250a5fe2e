"""The runtime as Docker's default: what is not `docker run` goes through it as well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.clients.room import wait_until

if TYPE_CHECKING:
    from tests.clients.engines import Engine

pytestmark = pytest.mark.parametrize("engine", ["docker"], indirect=True)

IDLE = "trap exit TERM; sleep 1000 & wait"


def run(engine: Engine, name: str, *words: str) -> str:
    return engine.room.output("docker", "run", "-d", "--network", "none", "--name", name, *words)


def inspect(engine: Engine, name: str, what: str) -> str:
    return engine.room.output("docker", "inspect", "-f", f"{{{{{what}}}}}", name)


def test_build(engine: Engine, name: str) -> None:
    dockerfile = (
        "FROM busybox\nRUN echo built > /built && test $(id -u) = 0\nUSER 1000\nRUN id -u\n"
    )
    build = ("docker", "build", "--network", "none", "-t", f"{name}-image", "-")
    output = engine.room.run(*build, stdin=dockerfile, check=True).stdout
    assert "\n1000\n" in output
    assert engine.run(name, "/bin/true")[0] == 0
    made = engine.room.output(
        "docker", "run", "--rm", "--network", "none", f"{name}-image", "cat", "/built"
    )
    assert made == "built"
    failing = "FROM busybox\nRUN exit 9\n"
    failed = engine.room.run(
        "docker", "build", "--network", "none", "--force-rm", "-", stdin=failing
    )
    assert "returned a non-zero code: 9" in failed.stderr


def test_several_containers_together(engine: Engine, name: str) -> None:
    """As a compose file has them: a server, a client in its network, a volume that both share."""
    volume = ("-v", f"{name}-volume:/shared")
    serve = "cd /shared && echo hello > index && nc -l -p 80 < index; sleep 1000"
    run(engine, f"{name}-server", *volume, "busybox", "sh", "-c", serve)
    together = ("--network", f"container:{name}-server", "--pid", f"container:{name}-server")
    # Its sleep begins when the server has noticed that the answer was read.
    ask = (
        "until nc 127.0.0.1 80 < /dev/null > /shared/answer; do sleep 0.1; done; "
        "until ps > /shared/ps; grep -q 'sleep 1000$' /shared/ps; do sleep 0.1; done"
    )
    client = (
        "docker",
        "run",
        "--name",
        f"{name}-client",
        *together,
        *volume,
        "busybox",
        "sh",
        "-c",
        ask,
    )
    engine.room.run(*client, check=True)
    assert engine.exec(f"{name}-server", "cat", "/shared/answer") == (0, "hello")
    assert "sleep 1000" in engine.exec(f"{name}-server", "cat", "/shared/ps")[1]
    for each in ("client", "server"):
        engine.remove(f"{name}-{each}")
    engine.room.run("docker", "volume", "rm", f"{name}-volume", check=True)


def test_restart_policy(engine: Engine, name: str) -> None:
    run(engine, name, "--restart", "on-failure:2", "busybox", "sh", "-c", "echo run; exit 1")
    done = ".RestartCount}} {{.State.Running"
    wait_until(lambda: inspect(engine, name, done) == "2 false", "two restarts, and the end")
    assert engine.logs(name).split() == ["run"] * 3
    engine.remove(name)


def test_health_check(engine: Engine, name: str) -> None:
    check = ("--health-cmd", "test -e /etc/passwd", "--health-interval", "1s")
    run(engine, name, *check, "busybox", "sh", "-c", IDLE)
    wait_until(lambda: inspect(engine, name, ".State.Health.Status") == "healthy", "it is healthy")
    engine.remove(name)


@pytest.mark.requires("controller:memory", "controller:pids")
def test_update_and_stats(engine: Engine, name: str) -> None:
    run(engine, name, "-m", "64m", "--memory-swap", "64m", "busybox", "sh", "-c", IDLE)
    update = ("docker", "update", "--memory", "96m", "--memory-swap", "96m", "--pids-limit", "33")
    engine.room.run(*update, name, check=True)
    stats = json.loads(
        engine.room.output("docker", "stats", "--no-stream", "--format", "{{json .}}", name)
    )
    assert stats["MemUsage"].endswith("/ 96MiB")
    assert stats["PIDs"] == "2"
    limits = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null"
    assert engine.exec(name, "sh", "-c", limits)[1] == "33"
    engine.remove(name)


def test_checkpoint_is_refused_clearly(engine: Engine, name: str) -> None:
    """Until ocipy can do it (runc's answer here is that there is no CRIU)."""
    run(engine, name, "busybox", "sh", "-c", IDLE)
    refused = engine.room.run("docker", "checkpoint", "create", name, "first")
    assert refused.returncode == 1
    assert "checkpoint" in refused.stderr
    assert "supported" in refused.stderr or "criu" in refused.stderr.lower()
    assert inspect(engine, name, ".State.Running") == "true"
    engine.remove(name)
