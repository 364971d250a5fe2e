"""Generated configs, really created, started and deleted; or refused, and nothing left behind."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, note
from hypothesis import strategies as st

from tests.integration import leftovers
from tests.property.configs import Configs
from tests.property.conftest import COUNTS, seeded, sized
from tests.property.faults import RULES, broken, structural

if TYPE_CHECKING:
    from tests.integration.containers import Call, Container

RUNNABLE = Configs(runnable=True).whole()

# What a machine may lack: a controller, a budget, a module. It may then be refused, by its name.
UP_TO_THE_HOST = (
    "/linux/resources",
    "/linux/seccomp",
    "/linux/memoryPolicy",
    "/linux/namespaces",
    "/linux/personality",
    "/linux/timeOffsets",
    "/process/oomScoreAdj",
    "/process/rlimits",
    "/process/scheduler",
    "/process/ioPriority",
)
BUG = ("unexpected error", "Traceback", "bug in ocipy")


def is_clean(call: Call) -> Call:
    """Assert that whatever a call says, it is no accident; return it."""
    for words in BUG:
        assert words not in call.err, call
    return call


def placed(container: Container, config: dict[str, Any]) -> None:
    """Let the container be made of this config, in a cgroup that its test finds again."""
    config = copy.deepcopy(config)
    linux = config.get("linux")
    path = linux.get("cgroupsPath") if isinstance(linux, dict) else None
    # Unless it is what is wrong with the config.
    if isinstance(path, str) and ".." not in path:
        config["linux"]["cgroupsPath"] = f"/{container.id}"
    container.bundle.config = config


def nothing_is_left(container: Container) -> None:
    assert leftovers.describe_after(container.id, container.runtime.root, 60) == []


@seeded
@sized("PROPERTY_RUNS", 6)
@given(config=RUNNABLE, ending=st.sampled_from(["run", "start", "delete"]))
def test_a_valid_config_is_run(container: Container, config: dict[str, Any], ending: str) -> None:
    placed(container, config)
    note(json.dumps(container.config))
    if ending == "run":
        call = is_clean(container.run(check=False))
        made = call.status == 0
    else:
        call = is_clean(container.create(check=False))
        made = call.status == 0
        if made:
            assert container.status == "created"
            if ending == "start":
                pid = container.pid
                is_clean(container.start())
                assert container.wait(pid) == 0
                assert container.status == "stopped"
            is_clean(container.delete())
    if made:
        COUNTS["life cycles of generated configs"] += 1
    else:
        assert call.status == 1, call
        assert any(f"{place}" in call.message for place in UP_TO_THE_HOST), call
        COUNTS["generated configs that this host refuses, by name"] += 1
    nothing_is_left(container)


@seeded
@sized("PROPERTY_REFUSALS", 6)
@given(data=st.data(), config=RUNNABLE)
def test_an_invalid_config_leaves_nothing(
    container: Container, data: st.DataObject, config: dict[str, Any]
) -> None:
    if data.draw(st.booleans()):
        wrong, pointer = data.draw(structural(config))
    else:
        wrong, pointer = broken(config, data.draw(st.sampled_from(RULES)))
    placed(container, wrong)
    note(json.dumps(container.config))
    verb = data.draw(st.sampled_from(["create", "run"]))
    is_clean(container.is_rejected(pointer, verb=verb))
    COUNTS["invalid configs refused by create and run"] += 1
    nothing_is_left(container)
