"""What plan_create() refuses by itself, and the order that others rely on."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.facts import CgroupFacts
from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan import _generated_steps as steps
from ocipy.plan.create import plan_create
from ocipy.plan.describe import plan_to_json
from ocipy.plan.encode import STRINGS_MAX, encode_plan
from ocipy.plan.request import CreateRequest
from ocipy.schema.accept import accept
from tests.unit.host_facts import host_facts
from tests.unit.plan.test_golden_plans import LAYOUTS, create_plan, read_config


def plan_on(kernel: str) -> None:
    config: Any = read_config("docker-run")
    host = host_facts(kernel=kernel, cgroup=CgroupFacts(), lsms=("apparmor",))
    plan_create(config, host, CreateRequest("c", bundle="/b", rootfs="/b/rootfs"))


@pytest.mark.parametrize("kernel", ["5.12.0", "5.15.0-91-generic", "6.1", "6.18.44-x", "10.0.0"])
def test_kernels_that_are_new_enough(kernel: str) -> None:
    plan_on(kernel)


@pytest.mark.parametrize("kernel", ["5.11.22", "4.19.0-27-amd64", "3.10.0-1160.el7.x86_64"])
def test_kernels_that_are_too_old(kernel: str) -> None:
    with pytest.raises(UnsupportedError, match=r"too old: ocipy needs 5\.12 or later"):
        plan_on(kernel)


def test_a_profile_is_loaded_right_before_the_program() -> None:
    """So that it need not allow what ocipy-init does."""
    *_, load, capabilities, last = create_plan("docker-run", "v2").steps
    assert isinstance(load, steps.LoadSeccomp)
    assert isinstance(capabilities, steps.SetCapabilities)
    assert isinstance(last, steps.Exec)


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("in_cgroup", [False, True])
def test_an_init_that_no_cgroup_names_waits_until_its_record_does(
    joined: bool, in_cgroup: bool
) -> None:
    config: Any = read_config("docker-join" if joined else "docker-run")
    facts = LAYOUTS["v2"] if in_cgroup else CgroupFacts()
    host = host_facts(cgroup=facts, lsms=("apparmor",))
    paths = {"": "/sys/fs/cgroup/c"} if in_cgroup else {}
    request = CreateRequest("c", bundle="/b", rootfs="/b/rootfs", cgroup_paths=paths)
    plan = plan_create(config, host, request).steps
    last_clone = max(
        i for i, step in enumerate(plan) if isinstance(step, steps.SpawnInit | steps.ForkInit)
    )
    assert isinstance(plan[last_clone + 1], steps.AwaitHost) is not in_cgroup


def test_more_strings_than_init_reads() -> None:
    step = steps.Exec("/process/args", argv=["x"] * STRINGS_MAX, env=[])
    with pytest.raises(ConfigError, match="more than 1048576 strings") as caught:
        encode_plan([step], {})
    assert caught.value.pointer == "/process/args"


def test_fields_for_windows_change_nothing() -> None:
    """Spec (config.md): commandLine is "ignored on Linux", username is for Windows."""
    config: Any = read_config("docker-run")
    host = host_facts(cgroup=CgroupFacts(), lsms=("apparmor",))

    def plan() -> object:
        assert not accept(config, "")
        request = CreateRequest("c", bundle="/b", rootfs="/b/rootfs")
        return plan_to_json(plan_create(config, host, request).steps)

    before = plan()
    config["process"]["commandLine"] = "cmd.exe /c dir"
    config["process"]["user"]["username"] = "ContainerUser"
    assert plan() == before
