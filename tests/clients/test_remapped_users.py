"""User namespaces that an engine makes as root: Docker's userns-remap, podman's --userns=auto."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.bundles import write_file
from tests.clients.engines import Docker, Podman
from tests.clients.private_place import private_place

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.requires("program:dockerd", "program:podman", "program:conmon")

# Who gets which ids in the room: nobody is on every host, and "containers" is podman's own word.
TABLE = "nobody:500000:65536\nnogroup:500000:65536\ncontainers:700000:131072\n"


class RemappedDocker(Docker):
    """All containers in a user namespace, unless one asks for the host's."""

    first_id = 500000
    own: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ("--userns", "host")

    def configuration(self) -> dict[str, object]:
        return super().configuration() | {"userns-remap": "nobody:nogroup"}


class AutoPodman(Podman):
    """Each container in a range of its own."""

    first_id = 700000
    own: tuple[str, ...] = ("--userns", "auto:size=1000")
    hosts: tuple[str, ...] = ()


Remapping = RemappedDocker | AutoPodman


@pytest.fixture(scope="module", params=[RemappedDocker, AutoPodman])
def engine(request: pytest.FixtureRequest, runtime_program: str) -> Iterator[Remapping]:
    """A client whose room has tables of subordinate ids of its own."""
    kind: type[Remapping] = request.param
    with private_place("oc-remap-") as place:
        write_file(f"{place.directory}/table", TABLE)
        made = kind(place.directory, os.path.abspath(runtime_program), place.tag)
        with made.room:
            for name in ("subuid", "subgid"):
                table = f"{place.directory}/table"
                made.room.run("mount", "--bind", table, f"/etc/{name}", check=True)
            made.start(place.rootfs)
            yield made


def run(engine: Remapping, name: str, *words: str) -> tuple[int, str]:
    done = engine.room.run(*engine._run(name), *engine.own, *words)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_root_is_somebody_else_outside(engine: Remapping) -> None:
    volume = f"{engine.directory}/volume"
    os.makedirs(volume, exist_ok=True)
    os.chmod(volume, 0o777)
    status, output = run(
        engine, "ids", "--rm", "-v", f"{volume}:/v", "busybox", "/bin/sh", "-c",
        "cat /proc/self/uid_map; id -u; touch /v/file; stat -c %u /etc",
    )  # fmt: skip
    assert status == 0, output
    lines = output.splitlines()
    inside, outside, _ = lines[0].split()
    assert (inside, outside) == ("0", str(engine.first_id))
    assert lines[1] == "0"
    assert lines[2] == "0", "the image's files are root's"
    assert os.stat(f"{volume}/file").st_uid == engine.first_id


def test_exec_stop_and_limits(engine: Remapping) -> None:
    status, output = run(
        engine, "life", "-d", "--memory", "64m", "--sysctl", "kernel.msgmax=4321", "busybox",
        "/bin/sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done",
    )  # fmt: skip
    assert status == 0, output
    assert engine.exec("life", "/bin/sh", "-c", "id -u; cat /proc/sys/kernel/msgmax") == (
        0,
        "0\n4321",
    )
    assert engine.stop("life") == 5
    engine.remove("life")


def test_the_hosts_user_namespace_for_one_container(engine: Remapping) -> None:
    if not engine.hosts:
        status, output = engine.run("host", "/bin/cat", "/proc/self/uid_map")
    else:
        done = engine.room.run(
            *engine._run("host"), *engine.hosts, "--rm", "busybox", "cat", "/proc/self/uid_map"
        )
        status, output = done.returncode, done.stdout
    assert status == 0, output
    assert output.split()[:2] == ["0", "0"]
