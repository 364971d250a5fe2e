"""Attacks are integration tests, with their fixtures and their check that nothing is left."""

from __future__ import annotations

import os

import pytest

from tests.integration.conftest import (  # noqa: F401
    busybox,
    container,
    directory,
    make_container,
    runtime,
    subreaper,
    tag,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.requires("root"))
