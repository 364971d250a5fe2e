"""Rules of a seccomp profile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.config.checks import assert_refused, warnings_of

AT = "/linux/seccomp"
SOCKET = {"listenerPath": "/run/agent"}


def profile(*syscalls: Any, **other: Any) -> dict[str, Any]:
    return {AT: {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(syscalls)} | other}


def syscall(action: str, *names: str, **other: Any) -> dict[str, Any]:
    return {"names": list(names), "action": action} | other


def argument(index: int) -> dict[str, Any]:
    return {"index": index, "value": 1, "op": "SCMP_CMP_EQ"}


@pytest.mark.parametrize(
    "action", ["KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ALLOW", "LOG", "NOTIFY"]
)
def test_actions_that_take_no_errno(action: str) -> None:
    name = f"SCMP_ACT_{action}"
    changes = profile(syscall(name, "read", errnoRet=1), **SOCKET)
    assert_refused(changes, f"{AT}/syscalls/0/errnoRet", f"{name} takes no errno")
    if action != "NOTIFY":
        changes = profile(defaultAction=name, defaultErrnoRet=1)
        assert_refused(changes, f"{AT}/defaultErrnoRet", f"{name} takes no errno")


@pytest.mark.parametrize("action", ["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"])
def test_actions_that_take_an_errno(action: str) -> None:
    entry = syscall(action, "read", errnoRet=38)
    assert warnings_of(profile(entry, defaultAction=action, defaultErrnoRet=1)) == []


def test_system_calls() -> None:
    assert warnings_of(profile(syscall("SCMP_ACT_ALLOW", "read", args=[argument(5)]))) == []
    changes = profile(syscall("SCMP_ACT_ALLOW", "read", ""))
    assert_refused(changes, f"{AT}/syscalls/0/names/1", "is empty")
    changes = profile(syscall("SCMP_ACT_ALLOW", "read", args=[argument(0), argument(6)]))
    assert_refused(changes, f"{AT}/syscalls/0/args/1/index", "0 to 5")
    assert_refused(profile(syscall("SCMP_ACT_ALLOW")), f"{AT}/syscalls/0/names", "at least 1 entry")


def test_listener() -> None:
    notify = syscall("SCMP_ACT_NOTIFY", "mount")
    assert warnings_of(profile(notify, **SOCKET, listenerMetadata="x\u0000")) == []
    assert warnings_of(profile(listenerMetadata="")) == []
    metadata = profile(listenerMetadata="x")
    assert_refused(metadata, f"{AT}/listenerMetadata", "listenerMetadata without listenerPath")
    assert_refused(profile(notify), f"{AT}/syscalls/0/action", "needs /linux/seccomp/listenerPath")
    everything = profile(defaultAction="SCMP_ACT_NOTIFY", **SOCKET)
    assert_refused(everything, f"{AT}/defaultAction", "cannot be used as default action")
    sending = profile(syscall("SCMP_ACT_NOTIFY", "mount", "sendmsg"), **SOCKET)
    assert_refused(sending, f"{AT}/syscalls/0/names/1", "cannot be used for the sendmsg syscall")
