"""Tests that use the fixture of pytest_container.py: none of them sees what another has done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.pytest_container import Sandbox


@pytest.mark.parametrize("name", ["first", "second"])
def test_starts_from_nothing(sandbox: Sandbox, name: str) -> None:
    assert sandbox.sh("ls /srv") == ""
    sandbox.sh(f"echo {name} > /srv/file; hostname {name} 2>/dev/null || true")
    assert sandbox.sh("cat /srv/file") == f"{name}\n"


def test_the_host_is_out_of_reach(sandbox: Sandbox) -> None:
    assert not sandbox.run("/bin/sh", "-c", "echo gone > /usr/bin/env").exit.succeeded
    assert sandbox.sh("ls /sys/class/net").split() == ["lo"]


def test_talks(sandbox: Sandbox) -> None:
    done = sandbox.run("/bin/sh", "-c", "tr a-z A-Z; exit 3", input="hello")
    assert (done.stdout, done.exit.status) == (b"HELLO", 3)
