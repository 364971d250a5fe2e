"""The scripts in the VM, where all there is to cgroups is version 2: every check a test.

containerd.sh takes 2 to 3 minutes there. TEST_VM=1 adds docker.sh (12) and podman.sh (8). This is a
file of its own because a file is what pytest-xdist gives to a worker.
"""

from __future__ import annotations

import os

import pytest

from tests.clients import scripts

SCRIPTS = ["containerd", "docker", "podman"] if os.environ.get("TEST_VM") else ["containerd"]


@pytest.mark.requires("program:linux.uml", "program:insmod")
@pytest.mark.parametrize(("script", "name"), scripts.checks(*SCRIPTS))
def test_check(
    request: pytest.FixtureRequest, runtime_program: str, script: str, name: str
) -> None:
    scripts.expect_success(request, script, name, in_vm=True)
