"""CVE-2024-21626: a descriptor of the host that is open in init is a way out of the container."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.attacks.verdict import against
from tests.integration.containers import wait_until
from tests.integration.exec_processes import process_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container

DESCRIPTORS = range(3, 20)


@pytest.fixture
def leaked(directory: str) -> Iterator[list[int]]:
    """Directories of the host that the caller has left open, for whoever it starts."""
    path = f"{directory}/outside"
    os.mkdir(path)
    with open(f"{path}/secret", "w", encoding="utf-8") as file:
        file.write("secret of the host")
    fds = [os.open(path, os.O_RDONLY) for _ in range(3)]
    for fd in fds:
        os.set_inheritable(fd, True)
    yield fds
    for fd in fds:
        os.close(fd)


def start(container: Container) -> None:
    container.script("echo up; exec sleep 1000")
    call = container.run("--detach")
    wait_until(lambda: call.out == "up\n", "the container runs")


@against("descriptors-leak")
@pytest.mark.parametrize("way", ["/proc/self/fd/{}", "/proc/1/fd/{}", "/link"])
@pytest.mark.parametrize("verb", ["run", "exec", "exec --cwd"])
def test_a_working_directory(
    container: Container, leaked: list[int], attack: Attack, verb: str, way: str
) -> None:
    """Given as `cwd`, as an image's WORKDIR is; or by a link in the image."""
    if way == "/proc/1/fd/{}" and verb != "run":
        attack.succeeded(attack.is_weakened, "the first process of a container is none of ocipy's")
        return
    found = []
    script = "cat secret; cat ../outside/secret"
    if verb != "run":
        start(container)
    for fd in [*leaked, *DESCRIPTORS]:
        link = f"{container.bundle.rootfs}/link"
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(f"/proc/self/fd/{fd}", link)
        cwd = way.format(fd)
        if verb == "run":
            container.process["cwd"] = cwd
            call = container.script(script).run(check=False, close_fds=False)
        elif verb == "exec":
            file = process_file(container.bundle.path, args=["/bin/sh", "-c", script], cwd=cwd)
            call = container.exec(options=["--process", file], check=False, close_fds=False)
        else:
            words = ["/bin/sh", "-c", script]
            call = container.exec(*words, options=["--cwd", cwd], check=False, close_fds=False)
        if "secret of the host" in call.out:
            found.append((cwd, call))
            break
    attack.succeeded(found, found)
