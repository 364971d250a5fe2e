"""Docker as an ordinary user, with systemd's cgroup driver and the runtime under test."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bundles import build_rootfs
from tests.integration.containers import wait_until
from tests.integration.systemd_units import scope_of, show
from tests.integration.test_systemd_user import account
from tests.integration.test_systemd_user import pytestmark as _marks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    *_marks,
    pytest.mark.requires("program:docker", "program:dockerd", "program:rootlesskit"),
]
__all__ = ["account"]
SECONDS = 600
SCRIPT = "/usr/share/docker.io/contrib/dockerd-rootless.sh"


class Docker:
    """A daemon of the user's. The network is the host's: what there is to networks is elsewhere."""

    def __init__(self, account: pwd.struct_passwd, directory: str, program: str) -> None:
        self.account, self.directory = account, directory
        self.runtime_dir = f"/run/user/{account.pw_uid}"
        host = f"unix://{directory}/docker.sock"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": account.pw_dir,
            "XDG_RUNTIME_DIR": self.runtime_dir,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.runtime_dir}/bus",
            "DOCKER_HOST": host,
            "DOCKERD_ROOTLESS_ROOTLESSKIT_NET": "host",
            "DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER": "none",
        }
        config = {
            "runtimes": {"undertest": {"path": program}},
            "default-runtime": "undertest",
            "data-root": f"{directory}/data",
            "exec-root": f"{directory}/exec",
            "pidfile": f"{directory}/dockerd.pid",
            "hosts": [host],
            "storage-driver": "vfs",
            "bridge": "none",
            "iptables": False,
            "ip-forward": False,
        }
        with open(f"{directory}/daemon.json", "w", encoding="utf-8") as file:
            json.dump(config, file)
        os.chmod(file.name, 0o644)

    def start(self) -> subprocess.Popen[bytes]:
        with open(f"{self.directory}/log", "wb") as log:
            return subprocess.Popen(
                [SCRIPT, "--config-file", f"{self.directory}/daemon.json"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                user=self.account.pw_uid,
                group=self.account.pw_gid,
                extra_groups=[],
                cwd=self.directory,
            )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *words],
            user=self.account.pw_uid,
            group=self.account.pw_gid,
            extra_groups=[],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def call(self, *words: str, status: int = 0) -> str:
        """Run docker; return its output, stripped, once the status has been as expected."""
        done = self.run(*words)
        assert done.returncode == status, (words, done)
        return done.stdout.strip()

    def log(self) -> str:
        with open(f"{self.directory}/log", encoding="utf-8", errors="replace") as file:
            return file.read()[-8000:]


@pytest.fixture(autouse=True)
def runtime() -> None:
    """Nothing for each test: the daemon lives for all of them."""


@pytest.fixture(scope="module")
def docker(account: pwd.struct_passwd, runtime_program: str, busybox: str) -> Iterator[Docker]:
    directory = f"/var/tmp/{account.pw_name}-docker"
    os.mkdir(directory)
    build_rootfs(f"{directory}/image", busybox)
    subprocess.run(["tar", "-C", f"{directory}/image", "-cf", f"{directory}/image.tar", "."])
    docker = Docker(account, directory, runtime_program)
    subprocess.run(["chown", "-R", f"{account.pw_uid}:{account.pw_gid}", directory], check=True)
    daemon = docker.start()

    def answers() -> bool:
        assert daemon.poll() is None, docker.log()
        return docker.run("version").returncode == 0

    wait_until(answers, "dockerd answers", 300)
    docker.call("import", f"{directory}/image.tar", "busybox")
    yield docker
    assert docker.call("ps", "-aq") == ""
    daemon.terminate()
    daemon.wait(300)


def test_the_driver_is_systemds(docker: Docker) -> None:
    assert docker.call("info", "-f", "{{.CgroupDriver}} {{.CgroupVersion}}") == "systemd 2"
    assert "rootless" in docker.call("info", "-f", "{{.SecurityOptions}}")


def test_run(docker: Docker, account: pwd.struct_passwd) -> None:
    run = ("run", "--rm", "--network", "none", "busybox")
    maps = docker.call(*run, "/bin/cat", "/proc/self/uid_map").splitlines()
    assert maps[0].split() == ["0", str(account.pw_uid), "1"]
    assert len(maps) == 2
    docker.call(*run, "/bin/sh", "-c", "exit 7", status=7)
    docker.call(*run, "/no/such", status=127)


def test_exec_and_stop_in_a_scope_with_limits(docker: Docker, account: pwd.struct_passwd) -> None:
    script = "trap 'exit 5' TERM; while :; do sleep 0.1; done"
    docker.call(
        *("run", "-d", "--name", "life", "--network", "none", "--memory", "64m"),
        *("--pids-limit", "77", "busybox", "/bin/sh", "-c", script),
    )
    pid = int(docker.call("inspect", "-f", "{{.State.Pid}}", "life"))
    unit, directory = scope_of(pid)
    uid = account.pw_uid
    assert unit.startswith("docker-")
    assert f"/user@{uid}.service/" in directory
    for name, value in (("memory.max", str(64 << 20)), ("pids.max", "77")):
        with open(f"{directory}/{name}", encoding="utf-8") as file:
            assert file.read().strip() == value
    shown = show(
        unit, "MemoryMax", "TasksMax", manager="--user",
        user=uid, group=account.pw_gid, extra_groups=[], env=docker.environment,
    )  # fmt: skip
    assert shown == {"MemoryMax": str(64 << 20), "TasksMax": "77"}
    docker.call("update", "--memory", "50m", "--memory-swap", "100m", "life")
    with open(f"{directory}/memory.max", encoding="utf-8") as file:
        assert file.read().strip() == str(50 << 20)
    assert docker.call("exec", "life", "/bin/id", "-u") == "0"
    docker.call("exec", "life", "/bin/sh", "-c", "exit 3", status=3)
    docker.call("pause", "life")
    docker.call("unpause", "life")
    docker.call("stop", "-t", "60", "life")
    assert docker.call("inspect", "-f", "{{.State.ExitCode}}", "life") == "5"
    docker.call("rm", "life")
    wait_until(lambda: not os.path.exists(directory), "the scope is gone", 60)
