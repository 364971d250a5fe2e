"""Hooks that init runs: the steps they become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocipy.plan import _generated_steps as steps
from ocipy.plan.hooks import plan_container_hooks
from ocipy.plan.request import CreateRequest

if TYPE_CHECKING:
    from typing import Any

PLACE = {"createContainer": "init", "startContainer": "start"}


def plan(kind: str, hook: dict[str, Any]) -> steps.RunHook:
    config: Any = {
        "process": {"cwd": "/", "args": ["true"], "env": ["LD_PRELOAD=/of/the/image.so"]},
        "hooks": {kind: [hook]},
    }
    request = CreateRequest("id", bundle="/b", rootfs="/b/rootfs", oci_state={"id": "id"})
    [step] = plan_container_hooks(config, request, kind, "creating")
    assert isinstance(step, steps.RunHook)
    return step


@pytest.mark.parametrize("kind", PLACE)
def test_without_an_environment_of_its_own_a_hook_has_none(kind: str) -> None:
    """CVE-2025-23266: never that of the image, whose LD_PRELOAD a host program would obey."""
    assert plan(kind, {"path": "/hook"}).env == []


@pytest.mark.parametrize("kind", PLACE)
def test_an_environment_of_its_own_is_all_it_has(kind: str) -> None:
    step = plan(kind, {"path": "/hook", "env": ["A=1"]})
    assert step.env == ["A=1"]
    assert step.place == PLACE[kind]


def test_the_pid_is_left_to_init() -> None:
    step = plan("createContainer", {"path": "/hook"})
    assert step.state_before_pid.endswith('"pid":')
    assert step.state_after_pid == "}"
