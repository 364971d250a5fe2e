"""podman as an ordinary user, with systemd's cgroup driver and the runtime under test."""

from __future__ import annotations

import os
import pwd
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bundles import build_rootfs
from tests.integration.containers import wait_until
from tests.integration.systemd_units import scope_of
from tests.integration.test_systemd_user import account
from tests.integration.test_systemd_user import pytestmark as _marks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [*_marks, pytest.mark.requires("program:podman", "program:conmon")]
__all__ = ["account"]
SECONDS = 600


class Podman:
    """podman with a store of its own; vfs, as the VM's root is an overlay already."""

    def __init__(self, account: pwd.struct_passwd, directory: str, program: str) -> None:
        runtime_dir = f"/run/user/{account.pw_uid}"
        self._account, self._directory = account, directory
        self._options = [
            *("--root", f"{directory}/root", "--runroot", f"{directory}/run"),
            *("--storage-driver", "vfs", "--events-backend", "file"),
            *("--cgroup-manager", "systemd", "--runtime", program),
        ]
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": account.pw_dir,
            "XDG_RUNTIME_DIR": runtime_dir,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime_dir}/bus",
        }

    def call(self, *words: str, status: int = 0) -> str:
        """Run podman; return its output, stripped, once the status has been as expected."""
        done = subprocess.run(
            ["podman", *self._options, *words],
            user=self._account.pw_uid,
            group=self._account.pw_gid,
            extra_groups=[],
            env=self._environment,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == status, (words, done)
        return done.stdout.strip()

    def run(self, *words: str, status: int = 0) -> str:
        return self.call("run", "--rm", "--network", "none", *words, status=status)


@pytest.fixture(autouse=True)
def runtime() -> None:
    """Nothing for each test: podman keeps a process of its own, which holds its user namespace."""


@pytest.fixture(scope="module")
def podman(account: pwd.struct_passwd, runtime_program: str, busybox: str) -> Iterator[Podman]:
    directory = f"/var/tmp/{account.pw_name}"
    os.mkdir(directory)
    build_rootfs(f"{directory}/image", busybox)
    subprocess.run(["tar", "-C", f"{directory}/image", "-cf", f"{directory}/image.tar", "."])
    subprocess.run(["chown", "-R", f"{account.pw_uid}:{account.pw_gid}", directory], check=True)
    podman = Podman(account, directory, runtime_program)
    podman.call("import", "-q", "-c", "CMD /bin/sh", f"{directory}/image.tar", "busybox")
    yield podman
    podman.call("rm", "-fa", "-t", "0")
    assert podman.call("ps", "-aq") == ""
    state = f"/run/user/{account.pw_uid}/{os.path.basename(runtime_program)}"
    assert not [name for name in os.listdir(state) if not name.startswith(".")]


def test_run(podman: Podman) -> None:
    assert podman.run("busybox", "/bin/echo", "hello") == "hello"
    podman.run("busybox", "/bin/sh", "-c", "exit 7", status=7)
    assert podman.run("-t", "busybox", "/bin/tty") == "/dev/pts/0"


def test_the_hosts_cgroup_namespace(podman: Podman) -> None:
    """cgroup2 cannot be mounted then, so the host's is bound: to look at, and no more."""
    script = "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/user.slice; mkdir /sys/fs/cgroup/x"
    out = podman.run("--cgroupns", "host", "busybox", "/bin/sh", "-c", script, status=1)
    assert "/user.slice/" in out.splitlines()[0]
    assert out.splitlines()[1:] == ["/sys/fs/cgroup/user.slice"]


def test_exec_and_stop_in_a_scope_with_limits(podman: Podman) -> None:
    script = "trap 'exit 5' TERM; while :; do sleep 0.1; done"
    podman.call(
        *("run", "-d", "--name", "life", "--network", "none", "--memory", "64m"),
        *("busybox", "/bin/sh", "-c", script),
    )
    pid = int(podman.call("inspect", "-f", "{{.State.Pid}}", "life"))
    unit, directory = scope_of(pid)
    assert unit.startswith("libpod-")
    with open(f"{directory}/memory.max", encoding="utf-8") as file:
        assert file.read().strip() == str(64 << 20)
    assert podman.call("exec", "life", "/bin/id", "-u") == "0"
    podman.call("exec", "life", "/bin/sh", "-c", "exit 3", status=3)
    podman.call("stop", "-t", "60", "life")
    assert podman.call("inspect", "-f", "{{.State.ExitCode}}", "life") == "5"
    podman.call("rm", "life")
    wait_until(lambda: not os.path.exists(directory), "the scope is gone", 60)


def test_user_namespace_modes(podman: Podman, account: pwd.struct_passwd) -> None:
    assert podman.run("--userns", "keep-id", "busybox", "/bin/id", "-u") == str(account.pw_uid)
    maps = podman.run("--userns", "auto:size=500", "busybox", "/bin/cat", "/proc/self/uid_map")
    inside, outside, size = maps.split()
    assert (inside, size) == ("0", "500")
    assert int(outside) > 0


def test_pod(podman: Podman) -> None:
    infra = ("--infra-image", "busybox", "--infra-command", "/bin/sleep 1000")
    podman.call("pod", "create", "--name", "pod", "--network", "none", *infra)
    podman.call("run", "-d", "--pod", "pod", "--name", "one", "busybox", "/bin/sleep", "1000")
    spaces = [podman.call("exec", "one", "/bin/readlink", "/proc/self/ns/net")]
    spaces.append(
        podman.call("run", "--rm", "--pod", "pod", "busybox", "/bin/readlink", "/proc/self/ns/net")
    )
    assert spaces[0] == spaces[1]
    podman.call("pod", "rm", "-f", "-t", "0", "pod")


def test_build(podman: Podman) -> None:
    directory = podman._directory
    with open(f"{directory}/Containerfile", "w", encoding="utf-8") as file:
        file.write("FROM busybox\nRUN /bin/sh -c 'id -u > /who'\n")
    podman.call(
        *("build", "-q", "--isolation", "oci", "--network", "none", "-t", "built"),
        *("-f", f"{directory}/Containerfile", directory),
    )
    assert podman.run("built", "/bin/cat", "/who") == "0"
