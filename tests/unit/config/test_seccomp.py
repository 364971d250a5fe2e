"""The rules of config-linux.md#seccomp that a schema cannot say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.config.faults import linux_faults

NOTIFY = {"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}


def faults(**profile: Any) -> dict[str, str]:
    return linux_faults(seccomp={"defaultAction": "SCMP_ACT_ERRNO"} | profile)


def only_fault(pointer: str, text: str, **profile: Any) -> None:
    ((found, message),) = faults(**profile).items()
    assert found == f"/linux/seccomp{pointer}"
    assert text in message


@pytest.mark.parametrize("action", ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP", "ALLOW", "LOG"])
def test_an_errno_for_an_action_that_has_none(action: str) -> None:
    name = f"SCMP_ACT_{action}"
    only_fault("/defaultErrnoRet", f"{name} takes no errno", defaultAction=name, defaultErrnoRet=1)
    rule = {"names": ["read"], "action": name, "errnoRet": 0}
    only_fault("/syscalls/0/errnoRet", f"{name} takes no errno", syscalls=[rule])


def test_an_errno_for_an_action_that_has_one() -> None:
    rules = [
        {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4095},
        {"names": ["write"], "action": "SCMP_ACT_TRACE", "errnoRet": 65535},
    ]
    assert not faults(defaultErrnoRet=0, syscalls=rules)


def test_an_errno_that_the_kernel_would_cut_down() -> None:
    only_fault("/defaultErrnoRet", "4096 is larger than 4095", defaultErrnoRet=4096)
    trace = {"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 65536}
    only_fault("/syscalls/0/errnoRet", "65536 is larger than 65535", syscalls=[trace])


def test_a_system_call_without_a_name() -> None:
    empty = {"names": ["read", ""], "action": "SCMP_ACT_ALLOW"}
    only_fault("/syscalls/0/names/1", "empty", syscalls=[empty])


def test_an_argument_that_no_system_call_has() -> None:
    args = [{"index": index, "value": 0, "op": "SCMP_CMP_EQ"} for index in (0, 5, 6)]
    rule = {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args}
    only_fault("/syscalls/0/args/2/index", "6 is not in the range 0 to 5", syscalls=[rule])


def test_metadata_without_a_listener() -> None:
    only_fault("/listenerMetadata", "without listenerPath", listenerMetadata="x")
    assert not faults(listenerMetadata="x", listenerPath="/agent")


def test_notifications_that_nobody_could_get() -> None:
    only_fault("/syscalls/0/action", "needs /linux/seccomp/listenerPath", syscalls=[NOTIFY])
    assert not faults(syscalls=[NOTIFY], listenerPath="/agent")


def test_notifications_that_would_stop_the_handing_over() -> None:
    rule = {"names": ["read", "write", "sendmsg"], "action": "SCMP_ACT_NOTIFY"}
    only_fault("/syscalls/0/names/2", "sendmsg", syscalls=[rule], listenerPath="/agent")
    notify = {"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/agent"}
    only_fault("/defaultAction", "cannot be used as default action", **notify)
