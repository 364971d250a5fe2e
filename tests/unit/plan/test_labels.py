"""AppArmor profiles and SELinux labels: written where the host has the module, else refused."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.errors import UnsupportedError
from ocipy.plan._generated_steps import OpenExecLabel, WriteExecLabel
from ocipy.plan.process import plan_label
from tests.unit.host_facts import host_facts

PROFILE, LABEL = "docker-default", "system_u:system_r:container_t:s0:c1,c2"


def plan(lsms: tuple[str, ...], **process: Any) -> tuple[Any, Any]:
    given: Any = {"cwd": "/", "args": ["x"], **process}
    return plan_label(given, host_facts(lsms=lsms), "/process")


def test_apparmor() -> None:
    source = "/process/apparmorProfile"
    opening, writing = plan(("apparmor",), apparmorProfile=PROFILE)
    # apparmor(7): "exec PROFILE" is for the next execve(2).
    assert opening == [OpenExecLabel(source, attribute="attr/apparmor/exec")]
    assert writing == [WriteExecLabel(source, label=f"exec {PROFILE}", place="start")]


def test_selinux() -> None:
    source = "/process/selinuxLabel"
    opening, writing = plan(("selinux",), selinuxLabel=LABEL)
    assert opening == [OpenExecLabel(source, attribute="attr/exec")]
    assert writing == [WriteExecLabel(source, label=LABEL, place="start")]


def test_none_or_an_empty_one_is_asked_for() -> None:
    assert plan(("apparmor", "selinux")) == ([], [])
    assert plan((), apparmorProfile="", selinuxLabel="") == ([], [])


@pytest.mark.parametrize("field", ["apparmorProfile", "selinuxLabel"])
def test_a_host_without_the_module(field: str) -> None:
    other = "selinux" if field == "apparmorProfile" else "apparmor"
    with pytest.raises(UnsupportedError, match="is not active on this host") as caught:
        plan((other,), **{field: PROFILE})
    assert caught.value.pointer == f"/process/{field}"
