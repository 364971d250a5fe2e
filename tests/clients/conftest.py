"""Real clients with the runtime under test: private daemons, private data, nothing left."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.bundles import write_file
from tests.clients import scripts
from tests.clients.engines import ENGINES, Engine
from tests.clients.private_place import private_place

if TYPE_CHECKING:
    from collections.abc import Iterator

_names = itertools.count(1)

# A clone alone has no scripts.
collect_ignore = (
    [] if os.path.isdir(scripts.DIRECTORY) else ["test_scripts.py", "test_scripts_in_vm.py"]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.requires("root"))
            for program in required_programs(item):
                item.add_marker(pytest.mark.requires(f"program:{program}"))


def required_programs(item: pytest.Item) -> tuple[str, ...]:
    callspec = getattr(item, "callspec", None)
    kind = callspec and ENGINES.get(callspec.params.get("engine", ""))
    return kind.programs if kind else ()


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, runtime_program: str) -> Iterator[Engine]:
    """Return each client in turn, started, with an image of busybox; later nothing is left."""
    kind = ENGINES[request.param]
    with private_place(f"oc-{request.param}-") as place:
        write_file(f"{place.rootfs}/etc/noexec", "not a program\n")
        made = kind(place.directory, os.path.abspath(runtime_program), place.tag)
        with made.room:
            made.start(place.rootfs)
            yield made


@pytest.fixture
def name(engine: Engine) -> Iterator[str]:
    """Return the name for a new container; after the test nothing of it is left in the room."""
    yield f"web{next(_names)}"
    deadline = time.monotonic() + 10
    while left := engine.remains():
        assert time.monotonic() < deadline, "left behind:\n" + "\n".join(left)
