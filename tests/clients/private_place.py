"""Where a client under test keeps all that is its own; afterwards nothing of it is left."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from tests.bundles import BUSYBOX, build_rootfs
from tests.clients.room import wait_until
from tests.integration import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator


class PrivatePlace:
    """Attributes:
    directory: new, with a short path, as sockets want it.
    tag: its name, which all names of the client's carry.
    rootfs: a root file system in it, to make an image of.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.tag = os.path.basename(directory)
        self.rootfs = f"{directory}/rootfs"
        os.chmod(directory, 0o755)
        build_rootfs(self.rootfs, shutil.copy2(BUSYBOX, f"{directory}/busybox"))


@contextlib.contextmanager
def private_place(prefix: str) -> Iterator[PrivatePlace]:
    """Give a place to work in; the client must have ended before this does.

    Raises:
        AssertionError: something with the tag is left, beside the clients' own cgroups.
    """
    directory = tempfile.mkdtemp(prefix=prefix)
    tag = os.path.basename(directory)
    try:
        yield PrivatePlace(directory)
        remove_parent_cgroups(tag)
        left = leftovers.describe_after(tag, f"{directory}/nothing")
        assert not left, "left behind:\n" + "\n".join(left)
    finally:
        leftovers.remove(tag)
        shutil.rmtree(directory)


def remove_parent_cgroups(tag: str) -> None:
    """Remove the clients' parent cgroup, and podman's for conmon, but no container's."""
    for root in leftovers.cgroup_roots():
        for path in (f"{root}/{tag}/conmon", f"{root}/{tag}"):
            if os.path.isdir(path):
                # Their processes died with the room; the kernel needs a moment to take them out.
                wait_until(functools.partial(is_removed, path), f"{path} can be removed", 5)


def is_removed(cgroup: str) -> bool:
    try:
        os.rmdir(cgroup)
    except OSError:
        return False
    return True
