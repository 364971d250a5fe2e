"""Engines of many machines, each node in a room of its own."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.bundles import write_file
from tests.clients.private_place import private_place
from tests.clusters.cri import Node
from tests.clusters.swarm import SwarmNode

if TYPE_CHECKING:
    from collections.abc import Iterator

# Three dockerds and their services take minutes: `make test-clusters`.
collect_ignore = [] if os.environ.get("TEST_CLUSTERS") else ["test_swarm.py"]

_names = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.requires("root", "veth", "overlay"))
            kind = SwarmNode if "swarm" in item.path.name else Node
            for program in kind.programs:
                item.add_marker(pytest.mark.requires(f"program:{program}"))


@pytest.fixture(scope="module")
def node(runtime_program: str) -> Iterator[Node]:
    """Return a node with the images of busybox and of the pods' first process."""
    with private_place("oc-cri-") as place:
        os.mkdir(f"{place.rootfs}/volume")
        write_file(f"{place.rootfs}/volume/inside", "from the image\n")
        write_file(f"{place.rootfs}/etc/noexec", "not a program\n")
        made = Node(place.directory, os.path.abspath(runtime_program), place.tag)
        with made.room:
            made.start(place.rootfs)
            try:
                yield made
            finally:
                made.channel.close()


@pytest.fixture
def name(node: Node) -> Iterator[str]:
    """Return a name for a pod; after the test all pods are removed, and nothing is left."""
    yield f"pod{next(_names)}"
    node.remove_all()
    deadline = time.monotonic() + 30
    while left := node.remains():
        assert time.monotonic() < deadline, "left behind:\n" + "\n".join(left)
        time.sleep(0.1)
