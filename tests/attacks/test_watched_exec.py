"""Processes of a container look at each process that exec puts among them, until it is one of them.

CVE-2016-9962 (privileges and descriptors of the host), CVE-2019-5736 (the runtime's binary).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from ocipy.sys.constants import CAPABILITIES
from tests.attacks.tracer import tracer  # noqa: F401
from tests.attacks.verdict import ITERATIONS, against

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container

EXECS = max(10, ITERATIONS // 50)

# Notes what it finds in each process that has not executed its program yet.
WATCH = r"""
own=$(stat -Lc %d:%i /)
while :; do for p in /proc/[0-9]*; do
    read -r name <$p/comm || continue
    case $name in ocipy*|runc*) ;; *) continue ;; esac
    for f in $p/fd/*; do t=$(readlink $f) && echo "${f##*/} $t"; done
    root=$(stat -Lc %d:%i $p/root) && [ $root != $own ] && echo "root"
    echo x >$p/exe && echo "wrote"
done; done 2>/dev/null >>/found
"""


def test_without_ptrace_nothing_is_seen(container: Container) -> None:
    """That the tests below see something with ptrace is how one knows that a watcher can."""
    container.script(f"echo up; {WATCH}")
    container.run("--detach")
    # A descriptor of the caller's, which is nobody's business either.
    directory = os.open("/", os.O_RDONLY)
    try:
        os.set_inheritable(directory, True)
        for _ in range(EXECS):
            container.exec("/bin/true", check=False, close_fds=False)
    finally:
        os.close(directory)
    container.delete("--force")
    with open(f"{container.bundle.rootfs}/found", encoding="utf-8") as file:
        found = file.read().splitlines()
    # The three that the caller has given to the program; they are seen once it is the program.
    assert [line for line in found if line[:2] not in ("0 ", "1 ", "2 ")] == []


@pytest.fixture
def traced(container: Container, tracer: Path) -> Callable[..., str]:  # noqa: F811
    """Return a function that execs into a container which seizes what it can, and what it found."""
    for names in container.process["capabilities"].values():
        names.append("CAP_SYS_PTRACE")
    os.link(tracer, f"{container.bundle.rootfs}/bin/tracer")
    path = f"{container.bundle.rootfs}/found"

    def exec_once() -> str:
        if container.last is None:
            container.up("exec /bin/tracer watch /found")
        container.exec("/bin/true", check=False, close_fds=False)
        with open(path, encoding="utf-8") as file:
            return file.read()

    return exec_once


def masks(found: str) -> list[tuple[int, int]]:
    """Return permitted capabilities and mode of seccomp of each process that was seized."""
    return [(int(c, 16), int(s)) for c, s in re.findall(r"^has (\w+) (-?\d+)$", found, re.M)]


@against("enters-first")
@pytest.mark.runc_deviates("enters the pid namespace with all capabilities")
def test_privileges_of_a_traced_process(
    container: Container, traced: Callable[..., str], attack: Attack
) -> None:
    """Who may trace gets a process as unprivileged as its own, whenever it is seized."""
    own = set(container.process["capabilities"]["permitted"])
    mask = sum(1 << CAPABILITIES.index(name) for name in own)

    def attempt() -> tuple[int, object]:
        return 1, [caps for caps, _ in masks(traced()) if caps & ~mask]

    attack.repeat(attempt, EXECS)


@against("enters-before-its-filter")
@pytest.mark.runc_deviates("loads the filter in the pid namespace")
def test_filter_of_a_traced_process(
    container: Container, traced: Callable[..., str], attack: Attack
) -> None:
    """Nor does it get one that may make system calls which its own filter forbids."""
    container.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["keyctl"], "action": "SCMP_ACT_ERRNO"}],
    }

    def attempt() -> tuple[int, object]:
        return 1, [mode for _, mode in masks(traced()) if mode == 0]

    attack.repeat(attempt, EXECS)


@against("enters-first-with-descriptors")
@pytest.mark.runc_deviates("has pipes to its parent open")
def test_descriptors_of_a_traced_process(traced: Callable[..., str], attack: Attack) -> None:
    """It has only what is the container's, and the socket to ocipy."""
    allowed = re.compile(r"[0-2] .*|\d+ (/|socket:.*|(pid|net|ipc|uts|mnt|cgroup|time):.*)")
    directory = os.open("/tmp", os.O_RDONLY)
    try:
        os.set_inheritable(directory, True)

        def attempt() -> tuple[int, object]:
            seen = re.findall(r"^fd (.*)$", traced(), re.M)
            return 1, [line for line in seen if not allowed.fullmatch(line)]

        attack.repeat(attempt, EXECS)
    finally:
        os.close(directory)
