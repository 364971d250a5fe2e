"""A volume is shared with somebody who swaps directories and links while a container is made.

    ATTACK_ITERATIONS=10000 pytest tests/attacks/test_swapped_links.py    as `make attacks` does

CVE-2021-30465 and CVE-2019-18837 (a mount lands outside), CVE-2024-45310 (mountpoints are created
outside), CVE-2025-31133 (a mask is missed), CVE-2026-41579 (devices are made outside). A create may
fail when it meets the attacker; it must not do anything outside of the root, nor leave a mask out.

Each container has many mounts, masks or devices at raced paths: an iteration is one of them,
counted up to the one that a create has failed at.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.attacks import weakened
from tests.attacks.verdict import ITERATIONS, REAL, against
from tests.racer import Racer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Call, Container

# How many raced paths one container has; fewer, when fewer iterations are wanted.
MANY = max(4, min(400, ITERATIONS // 10))
# What a create may say when it loses: the target changed its kind while it was made.
HONEST = (
    "ENOENT",
    "ENOTDIR",
    "EEXIST",
    "EAGAIN",
    "ELOOP",
    "EINVAL",
    "ESTALE",
    "ordinary directory",
)
# "/mounts/17" in a message: the entry that the create has failed at.
FAILED_AT = re.compile(r"/(?:mounts|maskedPaths|devices)/(\d+)")


class Outside:
    """A directory of the host that must stay as it is."""

    def __init__(self, path: str) -> None:
        self.path = path
        os.makedirs(f"{path}/b")
        with open(f"{path}/b/secret", "w", encoding="utf-8") as file:
            file.write("secret of the host")
        self.before = self.content()

    def content(self) -> list[str]:
        found = [os.path.join(at, name) for at, d, f in os.walk(self.path) for name in [*d, *f]]
        return sorted(found)

    def changes(self) -> list[str]:
        return sorted(set(self.content()) ^ set(self.before))


@pytest.fixture
def outside(directory: str) -> Outside:
    return Outside(f"{directory}/outside")


@pytest.fixture
def volume(container: Container, directory: str, outside: Outside) -> str:
    """A volume of the container with a directory `a`, and links to the outside to swap it with."""
    path = f"{directory}/volume"
    os.makedirs(f"{path}/a/b")
    os.symlink(outside.path, f"{path}/absolute")
    os.symlink("../" * 12 + outside.path.lstrip("/"), f"{path}/relative")
    container.bundle.add_mount("/v", "bind", path, "rbind")
    return path


def made(call: Call, first: int = 0) -> int:
    """Return how many raced paths a run has come to, of those that begin with entry `first`."""
    if call.status == 0:
        return MANY
    assert any(word in call.err for word in HONEST), call
    at = FAILED_AT.search(call.err)
    return max(0, int(at[1]) - first) + 1 if at else 1


@pytest.fixture
def race(container: Container, attack: Attack) -> Callable[..., None]:
    """Return a function that runs the container again and again while two names are exchanged.

    It takes the names, the index of the first raced entry, and what says of a run whether the
    attack has succeeded.
    """

    def race(
        first: str, second: str, at: int, success: Callable[[Call], object], rest: int = 0
    ) -> None:
        def attempt() -> tuple[int, object]:
            call = container.run(check=False)
            return made(call, at), success(call)

        with Racer(first, second, rest):
            attack.repeat(attempt)

    return race


@against("paths-by-name")
@pytest.mark.parametrize("link", ["absolute", "relative"])
@pytest.mark.parametrize("kind", ["tmpfs", "bind", "file", "proc"])
def test_mounts(
    container: Container,
    directory: str,
    volume: str,
    outside: Outside,
    race: Callable[..., None],
    link: str,
    kind: str,
) -> None:
    """Through a link it lands below the root all the same, at the path that the link names."""
    first = len(container.config["mounts"])
    os.makedirs(f"{directory}/other/marker")
    for i in range(MANY):
        target = f"/v/a/target{i}"
        if kind == "bind":
            container.bundle.add_mount(target, "bind", f"{directory}/other", "bind")
        elif kind == "file":
            container.bundle.add_mount(target, "bind", "/bin/busybox", "bind", "ro")
        else:
            container.bundle.add_mount(target, kind, kind)
    container.script("cat /proc/self/mountinfo")

    def landed_outside(call: Call) -> object:
        if call.status == 0 and call.out.count("/target") < MANY:
            return f"of {MANY} mounts {call.out.count('/target')} are in the container"
        return outside.changes()

    race(f"{volume}/a", f"{volume}/{link}", first, landed_outside)


@against("paths-by-name")
@pytest.mark.parametrize("link", ["absolute", "relative"])
def test_mountpoints_that_are_missing(
    container: Container, volume: str, outside: Outside, race: Callable[..., None], link: str
) -> None:
    first = len(container.config["mounts"])
    for i in range(MANY):
        container.bundle.add_mount(f"/v/a/new{i}/deep/er", "tmpfs", "tmpfs")
    container.args("/bin/true")
    race(f"{volume}/a", f"{volume}/{link}", first, lambda call: outside.changes())


@against("copy-follows-links")
def test_tmpcopyup(
    container: Container, volume: str, outside: Outside, race: Callable[..., None]
) -> None:
    """Another swap, inside of what is copied: a file and a link to the host's."""
    with open(f"{volume}/a/b/secret", "w", encoding="utf-8") as file:
        file.write("of the volume")
    os.symlink(f"{outside.path}/b/secret", f"{volume}/a/b/link")
    first = len(container.config["mounts"])
    for i in range(MANY):
        container.bundle.add_mount(f"/copies{i}", "bind", volume, "rbind")
    for i in range(MANY):
        container.bundle.add_mount(f"/copies{i}/a", "tmpfs", "tmpfs", "tmpcopyup")
    container.script("cat /copies*/a/b/*; true")
    race(
        f"{volume}/a/b/secret",
        f"{volume}/a/b/link",
        first + MANY,
        lambda call: call.out if "host" in call.out else "",
    )


@against("mask-of-the-image")
def test_dev_null_of_the_image(
    container: Container, outside: Outside, race: Callable[..., None]
) -> None:
    """CVE-2025-31133: the cover of a mask is never the container's /dev/null."""
    root = container.bundle.rootfs
    container.config["mounts"] = [m for m in container.config["mounts"] if m["type"] == "proc"]
    container.bundle.add_file("evil", "evil\n")
    os.symlink("/evil", f"{root}/dev/other")
    os.mknod(f"{root}/dev/null", 0o20666, os.makedev(1, 3))
    for i in range(MANY):
        container.bundle.add_file(f"masked{i}", "of the image\n")
    container.linux["maskedPaths"] = [f"/masked{i}" for i in range(MANY)]
    container.script("cat /masked*; stat -c %t:%T /masked*")
    race(
        f"{root}/dev/null",
        f"{root}/dev/other",
        0,
        lambda call: call.status == 0 and call.out != "1:3\n" * MANY and call.out,
    )


@against("dev-may-be-a-link")
def test_dev_of_the_image(
    container: Container, outside: Outside, race: Callable[..., None]
) -> None:
    """CVE-2026-41579."""
    root = container.bundle.rootfs
    container.config["mounts"] = [m for m in container.config["mounts"] if m["type"] == "proc"]
    container.linux["devices"] = [
        {"path": f"/dev/b/x{i}", "type": "c", "major": 1, "minor": 3} for i in range(MANY)
    ]
    os.symlink(outside.path, f"{root}/link")
    container.args("/bin/true")
    # A link ends the create; it is there one time in twenty, or only few devices would be tried.
    race(f"{root}/dev", f"{root}/link", 0, lambda call: outside.changes(), rest=20)


@pytest.fixture
def shared_dev(container: Container, directory: str) -> str:
    """The container's /dev is a volume that somebody shares; its pseudo terminals are a mount."""
    path = f"{directory}/dev"
    os.makedirs(f"{path}/pts")
    os.makedirs(f"{path}/fake")
    with open(f"{path}/fake/0", "w", encoding="utf-8") as file:
        file.write("fake")
    kept = ("/proc", "/dev/pts")
    mounts = [m for m in container.config["mounts"] if m["destination"] in kept]
    container.config["mounts"] = mounts
    container.bundle.add_mount("/dev", "bind", path, "rbind")
    mounts.insert(1, mounts.pop())
    return path


@against("console-by-name")
def test_terminal(container: Container, shared_dev: str, attack: Attack) -> None:
    """CVE-2025-52565: what is at /dev/pts/0 may be another file by the time it is opened."""
    container.process["terminal"] = True
    container.script("stat -c '%t <' /dev/console | sed s/^88/terminal/; tty")
    container.bundle.write()

    def attempt() -> tuple[int, object]:
        master, slave = pty.openpty()
        try:
            call = container.run(check=False, stdin=slave, stdout=slave)
            os.set_blocking(master, False)
            try:
                text = os.read(master, 65536).decode()
            except BlockingIOError:
                text = ""
        finally:
            os.close(master)
            os.close(slave)
        return 1, call.status == 0 and "terminal <" not in text and (text, call)

    with Racer(f"{shared_dev}/pts", f"{shared_dev}/fake"):
        # Each takes a container; the next test makes more.
        attack.repeat(attempt, max(10, ITERATIONS // 50))


@pytest.mark.parametrize("build_name", [REAL, "console-by-name"])
def test_terminal_many_times(
    shared_dev: str, attack: Attack, tmp_path: Path, directory: str, build_name: str
) -> None:
    """The same without a container: the operation of init, and the same swap."""
    init = weakened.NATIVE / "init"
    texts = weakened.patched(build_name) if attack.is_weakened else {}
    sources = [Path(__file__).parent / "swapped_terminal.c", init / "path.c", init / "report.c"]
    terminal = tmp_path / "op_terminal.c"
    terminal.write_text(
        texts.get("ocipy_native/init/op_terminal.c") or (init / "op_terminal.c").read_text()
    )
    program = tmp_path / "swapped_terminal"
    subprocess.run(
        ["gcc", "-std=gnu11", "-O1", "-w", f"-I{init}", *sources, terminal, "-o", program],
        check=True,
    )

    def attempt() -> tuple[int, object]:
        done = subprocess.run(
            [program, directory, "1000"], check=True, capture_output=True, text=True
        )
        opened, other = map(int, done.stdout.split())
        return opened, other

    attack.repeat(attempt)
