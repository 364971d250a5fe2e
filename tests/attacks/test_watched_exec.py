"""Processes of a container look at each process that exec puts among them, until it is one of them.

CVE-2016-9962 (descriptors of the host), CVE-2019-5736 (the runtime's binary).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.containers import Container

FEW_EXECS, MOST_EXECS = 15, 300

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


def watched(container: Container, wanted: str = "") -> list[str]:
    """Run the watcher, and exec until it has seen `wanted` or, without that, a few times.

    Returns what it found, a line each.
    """
    container.script(f"echo up; {WATCH}")
    container.run("--detach")
    path = f"{container.bundle.rootfs}/found"
    found = ""
    # A descriptor of the caller's, which is nobody's business either.
    directory = os.open("/", os.O_RDONLY)
    try:
        os.set_inheritable(directory, True)
        for _ in range(MOST_EXECS if wanted else FEW_EXECS):
            container.exec("/bin/true", check=False, close_fds=False)
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    found = file.read()
            if wanted and wanted in found:
                break
    finally:
        os.close(directory)
    container.delete("--force")
    assert wanted in found
    return found.splitlines()


def test_without_ptrace_nothing_is_seen(container: Container) -> None:
    found = watched(container)
    # The three that the caller has given to the program; they are seen once it is the program.
    assert [line for line in found if line[:2] not in ("0 ", "1 ", "2 ")] == []


@pytest.mark.runc_deviates("has pipes to its parent open")
def test_with_ptrace_nothing_of_the_host_is_there(container: Container) -> None:
    """Who may trace root's processes sees init: which has only what is the container's."""
    for names in container.process["capabilities"].values():
        names.append("CAP_SYS_PTRACE")
    allowed = re.compile(r"[0-2] .*|\d+ (/|socket:.*|(pid|net|ipc|uts|mnt|cgroup|time):.*)")
    found = watched(container, "socket:")
    assert [line for line in found if not allowed.fullmatch(line)] == []
