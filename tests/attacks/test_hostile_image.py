"""An image whose own files are links, fifos, devices and giants where the runtime looks or mounts.

CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2026-41579 and their kin. A create may fail; it
must end soon, do nothing outside of the root, and show nothing of it.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.attacks.verdict import against

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container

SECRET = "secret of the host"


@pytest.fixture
def outside(directory: str) -> Iterator[str]:
    """A directory of the host with a file in it, both of which must stay as they are."""
    path = f"{directory}/outside"
    os.mkdir(path)
    with open(f"{path}/secret", "w", encoding="utf-8") as file:
        file.write(SECRET)

    def look() -> list[tuple[str, int, int, int]]:
        found = [path, *(f"{path}/{name}" for name in sorted(os.listdir(path)))]
        stats = [os.lstat(name) for name in found]
        return [
            (name, st.st_mode, st.st_uid, st.st_mtime_ns)
            for name, st in zip(found, stats, strict=True)
        ]

    before = look()
    yield path
    assert look() == before


def replace(container: Container, name: str) -> str:
    """Take a file or directory out of the image; return its path on the host."""
    path = f"{container.bundle.rootfs}/{name}"
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    return path


def without_dev_mounts(container: Container) -> None:
    mounts = container.config["mounts"]
    container.config["mounts"] = [m for m in mounts if not m["destination"].startswith("/dev")]


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "dev/pts", "dev/shm", "etc", "tmp"])
@pytest.mark.parametrize("link", ["absolute", "relative", "/proc/self/root", "/proc/1/root"])
@pytest.mark.parametrize("mounts", ["all", "few"])
def test_a_directory_is_a_link(
    container: Container, outside: str, name: str, link: str, mounts: str
) -> None:
    if mounts == "few":
        without_dev_mounts(container)
    target = {"absolute": outside, "relative": "../" * 12 + outside.lstrip("/")}.get(link, link)
    os.symlink(target, replace(container, name))
    container.script(f"cat /{name}/secret; echo")
    assert SECRET not in container.run(check=False).out


@pytest.mark.parametrize("name", ["null", "console", "ptmx", "fd", "stdin", "tty", "pts"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "fifo"])
def test_a_file_of_dev(container: Container, outside: str, name: str, kind: str) -> None:
    without_dev_mounts(container)
    path = replace(container, f"dev/{name}")
    if kind == "fifo":
        os.mkfifo(path)
    else:
        os.symlink(f"{outside}/{'secret' if kind == 'link' else 'new'}", path)
    container.script(f"[ -p /dev/{name} ] || cat /dev/{name}; true")
    container.linux["maskedPaths"] = ["/etc/passwd"]
    assert SECRET not in container.run(check=False).out


def fifo(path: str, outside: str) -> None:
    os.mkfifo(path)


def terminal(path: str, outside: str) -> None:
    os.mknod(path, 0o20666, os.makedev(5, 0))


def zeroes(path: str, outside: str) -> None:
    os.mknod(path, 0o20666, os.makedev(1, 5))


def giant(path: str, outside: str) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 40)


def link(path: str, outside: str) -> None:
    os.symlink(f"{outside}/secret", path)


def loop(path: str, outside: str) -> None:
    os.symlink(os.path.basename(path), path)


def memory(path: str, outside: str) -> None:
    os.symlink("/proc/self/mem", path)


@pytest.mark.parametrize("name", ["passwd", "group"])
@pytest.mark.parametrize("make", [fifo, terminal, zeroes, giant, link, loop, memory, os.mkdir])
def test_users_and_groups(
    container: Container, outside: str, name: str, make: Callable[..., None]
) -> None:
    """No HOME is found there, and `exec` finds no user: neither waits, nor reads for ever."""
    path = replace(container, f"etc/{name}")
    if make is os.mkdir:
        os.mkdir(path)
    else:
        make(path, outside)
    container.process["env"] = ["PATH=/bin"]
    container.up("echo home $HOME; exec sleep 1000")
    # runc takes numbers only, and refuses these for that.
    user = "nobody" if name == "passwd" else "0:staff"
    call = container.exec("/bin/true", options=["--user", user], check=False)
    assert call.status in (1, 255)
    assert SECRET not in call.err


@against("paths-by-name")
@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_file_is_mounted_below_a_link(
    container: Container, directory: str, attack: Attack, verb: str
) -> None:
    """As engines mount /etc/hosts: its place is not made where the link /etc leads."""
    os.mkdir(f"{directory}/etc-of-the-host")
    os.symlink(f"{directory}/etc-of-the-host", replace(container, "etc"))
    container.bundle.add_mount("/etc/hosts", "bind", "/bin/busybox", "bind")
    container.args("/bin/true")
    call = container.run(check=False) if verb == "run" else container.create(check=False)
    attack.succeeded(os.listdir(f"{directory}/etc-of-the-host"), call)


@against("users-by-name")
def test_users_of_the_host(container: Container, directory: str, attack: Attack) -> None:
    """Names are looked up in the container's files, not in those that its links name."""
    with open(f"{directory}/passwd", "w", encoding="utf-8") as file:
        file.write("evil:x:777:777::/:/bin/sh\n")
    os.symlink(f"{directory}/passwd", replace(container, "etc/passwd"))
    container.up()
    call = container.exec("/bin/id", "-u", options=["--user", "evil"], check=False)
    attack.succeeded(call.out == "777\n", call)
