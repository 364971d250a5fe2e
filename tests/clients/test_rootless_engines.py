"""Docker, podman and buildah as an ordinary user, by whom the runtime under test is called.

Docker's daemon starts as its own contrib/dockerd-rootless.sh has it: in namespaces by rootlesskit,
with a network by slirp4netns. No systemd, so no limits: tests/integration/test_systemd_*.py.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests import probes
from tests.bundles import BUSYBOX, build_rootfs
from tests.clients.engines import Docker, Podman
from tests.clients.room import Room, wait_until
from tests.integration import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, FIRST_ID = 12345, 300000
SCRIPT = "/usr/share/docker.io/contrib/dockerd-rootless.sh"

_names = itertools.count(1)

pytestmark = pytest.mark.requires("user-namespaces", "program:newuidmap")

# What root does in the room: tables in which the user has a name and ids, and a /dev/net/tun that
# everybody may open, as on most hosts.
PREPARE = """
set -eu
cd "$1"
printf 'root:x:0:0::/root:/bin/sh\\nmaps:x:%d:%d::%s:/bin/sh\\n' $2 $2 "$1/home" >passwd
printf 'root:x:0:\\nmaps:x:%d:\\n' $2 >group
printf 'maps:%d:65536\\n' $3 >subuid
cp subuid subgid
for name in passwd group subuid subgid; do mount --bind $name /etc/$name; done
mkdir home run store
if [ -e /dev/net/tun ]; then
	mkdir dev
	mount -t tmpfs -o mode=755 tmpfs dev
	mknod -m 666 dev/tun c 10 200
	mount --bind dev/tun /dev/net/tun
fi
chown $2:$2 home run store
chmod 700 run
"""


class UsersRoom(Room):
    """A room in which commands run as the user, once prepare() has been called."""

    def prepare(self) -> None:
        self.run("sh", "-c", PREPARE, "sh", self.directory, str(USER), str(FIRST_ID), check=True)
        self._nsenter += ["--setuid", str(USER), "--setgid", str(USER)]


def users_environment(directory: str) -> dict[str, str]:
    return {
        "HOME": f"{directory}/home",
        "TMPDIR": f"{directory}/home",
        "XDG_RUNTIME_DIR": f"{directory}/run",
    }


class RootlessDocker(Docker):
    programs = (*Docker.programs, "rootlesskit", "slirp4netns")
    daemon = SCRIPT

    def environment(self) -> dict[str, str]:
        return super().environment() | users_environment(self.directory) | {
            "DOCKER_HOST": f"unix://{self.directory}/run/docker.sock",
            "DOCKER_CONFIG": f"{self.directory}/home",
        }  # fmt: skip

    def configuration(self) -> dict[str, object]:
        config = super().configuration()
        # As by default: the cgroup driver "none", where there is no systemd, and a bridge.
        for name in ("cgroup-parent", "exec-opts", "bridge"):
            del config[name]
        run = f"{self.directory}/run"
        return config | {
            "data-root": f"{self.directory}/store/data",
            "exec-root": f"{run}/docker",
            "hosts": [f"unix://{run}/docker.sock"],
            "pidfile": f"{run}/docker.pid",
            "storage-driver": "vfs",
        }

    def daemons(self) -> str:
        return "rootlesskit |slirp4netns |/proc/self/exe |dockerd |containerd "


class RootlessPodman(Podman):
    programs = (*Podman.programs, "buildah")
    driver = "vfs"

    def environment(self) -> dict[str, str]:
        return super().environment() | users_environment(self.directory)

    def daemons(self) -> str:
        # It keeps one process, which holds its user namespace.
        return "(catatonit -P|podman pause|podman)$"

    def _run(self, name: str) -> tuple[str, ...]:
        return ("podman", "run", "--network", "none", "--name", name)


Rootless = RootlessDocker | RootlessPodman
KINDS: list[type[Rootless]] = [RootlessDocker, RootlessPodman]


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, runtime_program: str) -> Iterator[Rootless]:
    kind: type[Rootless] = request.param
    for program in kind.programs:
        if reason := probes.missing(f"program:{program}"):
            pytest.skip(reason)
    if kind is RootlessDocker and not os.path.exists(SCRIPT):
        pytest.skip(f"{SCRIPT} is not there (Debian: docker.io)")
    directory = tempfile.mkdtemp(prefix="oc-user-")
    os.chmod(directory, 0o755)
    rootfs = f"{directory}/rootfs"
    build_rootfs(rootfs, shutil.copy2(BUSYBOX, f"{directory}/busybox"))
    try:
        made = kind(directory, os.path.abspath(runtime_program), os.path.basename(directory))
        made.room = room = UsersRoom(directory, made.environment())
        with room:
            room.prepare()
            made.start(rootfs)
            yield made
        left = leftovers.describe_after(made.tag, f"{directory}/nothing")
        assert not left, "left behind:\n" + "\n".join(left)
    finally:
        leftovers.remove(os.path.basename(directory))
        shutil.rmtree(directory)


@pytest.fixture
def name(engine: Rootless) -> Iterator[str]:
    """Return the name for a new container; after the test nothing of it is left in the room."""
    yield f"web{next(_names)}"
    wait_until(lambda: not engine.remains(), "nothing is left", 60)


def test_run(engine: Rootless, name: str) -> None:
    status, output = engine.run(name, "/bin/sh", "-c", "id -u; cat /proc/self/uid_map; exit 7")
    assert status == 7, output
    lines = [line.split() for line in output.splitlines()]
    assert lines == [["0"], ["0", str(USER), "1"], ["1", str(FIRST_ID), "65536"]]
    assert engine.run(name, "/no/such")[0] == 127


def test_on_a_terminal(engine: Rootless, name: str) -> None:
    shell = engine.interactive(name, "/bin/sh")
    shell.expect(r"/ # $")
    shell.type("tty; exit 5\r")
    shell.expect("/dev/(pts/0|console)")
    assert shell.finish() == 5, shell.transcript


def test_exec_logs_and_stop(engine: Rootless, name: str) -> None:
    script = "echo up; trap 'exit 5' TERM; while :; do sleep 0.1; done"
    engine.start_detached(name, "/bin/sh", "-c", script)
    wait_until(lambda: engine.logs(name) == "up", "the container runs", 60)
    assert engine.exec(name, "/bin/sh", "-c", "id -u; exit 3") == (3, "0")
    assert engine.stop(name) == 5
    engine.remove(name)


@pytest.mark.parametrize("engine", [RootlessDocker], indirect=True)
def test_network_of_docker(engine: RootlessDocker, name: str) -> None:
    """A prestart hook puts one end of a pair into the container's network namespace."""
    done = engine.room.run("docker", "run", "--rm", "--name", name, "busybox", "/bin/ip", "link")
    assert done.returncode == 0, done
    assert "eth0" in done.stdout


@pytest.mark.parametrize("engine", [RootlessPodman], indirect=True)
def test_build_by_buildah(engine: RootlessPodman) -> None:
    # It shares podman's images.
    work = engine.room.output("buildah", "from", "--pull-never", "localhost/busybox")
    isolation = ("--isolation", "oci", "--runtime", engine.runtime, "--network", "none")
    output = engine.room.output("buildah", "run", *isolation, work, "/bin/sh", "-c", "id -u >/who")
    assert output == ""
    assert engine.room.output("buildah", "run", *isolation, work, "/bin/cat", "/who") == "0"
    # Is it the runtime under test that does it?
    other = [word if word != engine.runtime else "/bin/false" for word in isolation]
    assert engine.room.run("buildah", "run", *other, work, "/bin/true").returncode != 0
    engine.room.run("buildah", "rm", work, check=True)
