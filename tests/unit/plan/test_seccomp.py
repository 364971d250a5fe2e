"""Profiles to requests; what the filter then does is asked in tests/unit/spawn/test_seccomp.py."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.errors import UnsupportedError
from ocipy.plan.seccomp import (
    FLAGS,
    NEW_LISTENER,
    SPEC_ALLOW,
    TSYNC,
    TSYNC_ESRCH,
    WAIT_KILLABLE_RECV,
    SeccompRequest,
    plan_seccomp,
)
from tests.unit.host_facts import host_facts

NOTIFY = {"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}


def plan(kernel: str = "6.12.0", **profile: Any) -> SeccompRequest:
    config: Any = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"} | profile}}
    request = plan_seccomp(config, host_facts(kernel=kernel))
    assert request is not None
    return request


def test_no_profile() -> None:
    assert plan_seccomp({"ociVersion": "1.0.0"}, host_facts()) is None
    assert plan_seccomp({"ociVersion": "1.0.0", "linux": {}}, host_facts()) is None


def test_normal_form() -> None:
    request = plan(
        architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X86"],
        syscalls=[
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 1, "value": 7, "valueTwo": 9, "op": "SCMP_CMP_EQ"}],
            }
        ],
    )
    assert request.program == (
        0x00050001,
        (0x40000003, 0xC000003E),
        ((0x7FFF0000, ("clone",), ((1, 4, 7, 0),)),),
    )
    assert not request.has_listener


def test_spec_allow_is_the_default_of_flags_and_can_be_taken_away() -> None:
    assert plan().seccomp_flags == SPEC_ALLOW
    assert plan(flags=[]).seccomp_flags == 0


@pytest.mark.parametrize("name", FLAGS)
def test_flags(name: str) -> None:
    with_listener = plan(flags=[name], syscalls=[NOTIFY], listenerPath="/agent").seccomp_flags
    assert with_listener & FLAGS[name]
    assert with_listener & NEW_LISTENER


def test_how_to_wait_means_nothing_without_notifications() -> None:
    flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_LOG"]
    assert plan(flags=flags).seccomp_flags == FLAGS["SECCOMP_FILTER_FLAG_LOG"]


def test_tsync_with_a_listener_needs_tsync_esrch() -> None:
    flags = ["SECCOMP_FILTER_FLAG_TSYNC"]
    assert plan(flags=flags).seccomp_flags == TSYNC
    request = plan(flags=flags, syscalls=[NOTIFY], listenerPath="/agent")
    assert request.seccomp_flags == TSYNC | TSYNC_ESRCH | NEW_LISTENER


def test_a_flag_that_the_kernel_lacks() -> None:
    profile: Any = {
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls": [NOTIFY],
        "listenerPath": "/agent",
    }
    with pytest.raises(UnsupportedError, match=r"Linux 5\.10\.0-28-amd64 lacks") as caught:
        plan("5.10.0-28-amd64", **profile)
    assert caught.value.pointer == "/linux/seccomp/flags/1"
    assert plan("5.19-rc1", **profile).seccomp_flags & WAIT_KILLABLE_RECV


def test_listener() -> None:
    request = plan(syscalls=[NOTIFY], listenerPath="/run/agent", listenerMetadata="MKNOD")
    assert request.has_listener
    assert (request.listener_path, request.listener_metadata) == ("/run/agent", "MKNOD")


def test_listener_path_is_ignored_without_notifications() -> None:
    request = plan(listenerPath="/run/agent", listenerMetadata="x")
    assert not request.has_listener
    assert request.listener_path == ""
