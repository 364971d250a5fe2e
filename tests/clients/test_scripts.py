"""docker.sh, podman.sh and containerd.sh on this host: every check a test."""

from __future__ import annotations

import pytest

from tests.clients import scripts


@pytest.mark.parametrize(("script", "name"), scripts.checks("docker", "podman", "containerd"))
def test_check(
    request: pytest.FixtureRequest, runtime_program: str, script: str, name: str
) -> None:
    scripts.expect_success(request, script, name, in_vm=False)
