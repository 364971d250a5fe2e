"""docs/install.md, carried out as it stands: its files, in their places, with its commands.

The places are the room's own: tmpfs over /etc/docker and the like, and /usr/local/bin/ocipy is a
link to the runtime under test.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.bundles import BUSYBOX, build_rootfs, write_file
from tests.clients.private_place import remove_parent_cgroups
from tests.clients.room import Room, wait_until
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

OCIPY = "/usr/local/bin/ocipy"
# What the page or a client writes to; the test writes to layers over the first, so that the second,
# each a tmpfs, can be made.
LAYERED = ["/etc", "/opt", "/usr/local", "/var/lib"]
PLACES = ["/etc/docker", "/etc/containerd", "/etc/containers", "/usr/local/bin"]
PLACES += ["/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/opt/containerd"]
LAYER = """
mkdir -p "$2/upper" "$2/work"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$1"
"""


def documented(path: str) -> str:
    """Return what the page gives as the content of the file `path`."""
    with open(f"{REPOSITORY}/docs/install.md", encoding="utf-8") as page:
        text = page.read()
    block = re.search(rf"^[^\n]*`{re.escape(path)}`.*?^```\w+\n(.*?)^```$", text, re.M | re.S)
    assert block, f"docs/install.md has no {path}"
    return block[1]


class Machine:
    """A room that looks like a machine on which the page is followed."""

    def __init__(self, room: Room, tag: str, rootfs: str, runtime: str) -> None:
        self.room, self.tag, self.rootfs = room, tag, rootfs
        self.is_ocipy = os.path.basename(runtime).startswith("ocipy")

    def write(self, path: str) -> None:
        self.room.run("tee", path, stdin=documented(path), check=True)

    def import_image(self, *importer: str) -> None:
        shell = f'tar -C {self.rootfs} -c . | "$@"'
        self.room.run("bash", "-o", "pipefail", "-c", shell, "bash", *importer, check=True)

    def listed(self, *root: str) -> str:
        """Return the ids that `ocipy list` shows."""
        return self.room.output(OCIPY, *root, "list", "-q")


@pytest.fixture
def machine(runtime_program: str) -> Iterator[Machine]:
    directory = tempfile.mkdtemp(prefix="oc-page-")
    os.chmod(directory, 0o755)
    tag = os.path.basename(directory)
    build_rootfs(f"{directory}/rootfs", shutil.copy2(BUSYBOX, f"{directory}/busybox"))
    try:
        with Room(directory, {"HOME": "/root"}) as room:
            write_file(
                f"{directory}/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}'
            )
            for i, place in enumerate(LAYERED):
                room.run("bash", "-euc", LAYER, "bash", place, f"{directory}/{i}", check=True)
            for place in PLACES:
                room.run("mkdir", "-p", place, check=True)
                room.run("mount", "-t", "tmpfs", "-o", "mode=755", "none", place, check=True)
            room.run("ln", "-s", os.path.abspath(runtime_program), OCIPY, check=True)
            room.run("cp", f"{directory}/policy.json", "/etc/containers/", check=True)
            yield Machine(room, tag, f"{directory}/rootfs", runtime_program)
        remove_parent_cgroups(tag)
    finally:
        shutil.rmtree(directory)


@pytest.mark.requires("program:dockerd")
def test_docker(machine: Machine) -> None:
    room = machine.room
    machine.write("/etc/docker/daemon.json")
    room.start_daemon(
        "dockerd.log", "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false",
        "--exec-opt=native.cgroupdriver=cgroupfs", f"--cgroup-parent=/{machine.tag}",
    )  # fmt: skip
    wait_until(lambda: room.run("docker", "version").returncode == 0, "dockerd answers")
    machine.import_image("docker", "import", "-", "busybox")
    assert room.output("docker", "info", "-f", "{{.DefaultRuntime}}") == "ocipy"
    run = ("docker", "run", "-d", "--network", "none")
    for option in ((), ("--runtime", "ocipy")):
        name = room.output(*run, *option, "busybox", "/bin/sleep", "1000")
        used = room.output("docker", "inspect", "-f", "{{.HostConfig.Runtime}}", name)
        assert used == "ocipy"
        assert machine.listed("--root", "/var/run/docker/runtime-runc/moby") == name
        room.run("docker", "rm", "-f", name, check=True)


@pytest.mark.requires("program:podman")
def test_podman(machine: Machine) -> None:
    room = machine.room
    machine.write("/etc/containers/containers.conf")
    podman = ("podman", "--cgroup-manager", "cgroupfs", "--events-backend", "file")
    machine.import_image(*podman, "import", "-q", "-", "busybox")
    told = room.output(*podman, "info", "-f", "{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}")
    assert told == f"ocipy {OCIPY}"
    run = ("run", "-d", "--network", "none", "--cgroup-parent", f"/{machine.tag}")
    for option in ((), ("--runtime", OCIPY)):
        name = room.output(*podman, *option, *run, "busybox", "/bin/sleep", "1000")
        assert room.output(*podman, "inspect", "-f", "{{.OCIRuntime}}", name) in ("ocipy", OCIPY)
        assert machine.listed() == name
        room.run(*podman, "rm", "-f", "-t", "0", name, check=True)
    if machine.is_ocipy:
        ours = ("run", "--rm", "--network", "none", "--cgroups=disabled", "busybox")
        told = room.output(*podman, *ours, "/bin/cat", "/proc/self/cgroup")
        assert told == room.output("cat", "/proc/self/cgroup")


@pytest.mark.requires("program:buildah")
def test_buildah(machine: Machine) -> None:
    room = machine.room
    write_file(f"{room.directory}/Dockerfile", "FROM scratch\nADD rootfs /\nRUN echo x > /made\n")
    option = ("--runtime", OCIPY, "--network", "none", "--cgroup-parent", f"/{machine.tag}")
    room.run("buildah", "build", *option, "-t", "made", room.directory, check=True)
    container = room.output("buildah", "from", "made")
    run = ("buildah", "run", "--runtime", OCIPY, "--network", "none", container, "--")
    assert room.output(*run, "/bin/cat", "/made") == "x"
    room.start_daemon("buildah.log", *run, "/bin/sleep", "5")
    wait_until(lambda: machine.listed().startswith("buildah-"), "ocipy lists the container")
    wait_until(lambda: not machine.listed(), "the container is gone")


@pytest.mark.requires("program:containerd", "program:ctr")
def test_containerd(machine: Machine) -> None:
    room = machine.room
    room.start_daemon("containerd.log", "containerd")
    wait_until(lambda: room.run("ctr", "version").returncode == 0, "containerd answers")
    run = ("ctr", "run", "-d", "--runc-binary", OCIPY, "--cgroup", f"/{machine.tag}/demo")
    room.run(*run, "--rootfs", machine.rootfs, "demo", "/bin/sleep", "1000", check=True)
    assert machine.listed("--root", "/run/containerd/runc/default") == "demo"
    room.run("ctr", "task", "rm", "-f", "demo")
    room.run("ctr", "container", "rm", "demo", check=True)


@pytest.mark.requires("program:containerd")
def test_containerd_takes_the_configuration_for_kubernetes(machine: Machine) -> None:
    machine.write("/etc/containerd/config.toml")
    dump = machine.room.output("containerd", "config", "dump")
    table = 'runtimes.ocipy.options]\n            BinaryName = "/usr/local/bin/ocipy"'
    assert table in re.sub(r"^ {10,}", " " * 12, dump, flags=re.M), dump
