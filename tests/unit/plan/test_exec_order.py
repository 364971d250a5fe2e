"""Where `exec` enters the pid namespace: docs/decisions/0027."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.facts import CgroupFacts, Hierarchy
from ocipy.plan.exec import ExecRequest, plan_exec
from ocipy.plan.seccomp import SeccompRequest, permits, plan_seccomp
from tests.unit.host_facts import host_facts

ALLOW, ERRNO, LOG = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"
# What engines say of clone: not with flags that make namespaces.
NO_NAMESPACES = [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]


def rule(action: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": action, **more}


def names(seccomp: Any = None, lsms: tuple[str, ...] = (), **process: Any) -> list[str]:
    """Return the names of the steps of an exec from the first join on."""
    config: Any = {"linux": {"namespaces": [{"type": t} for t in ("pid", "mount")]}}
    if seccomp is not None:
        config["linux"]["seccomp"] = seccomp
    asked = ExecRequest("ctr", pid=10, cgroup_paths={"": "/sys/fs/cgroup/ctr"})
    whole: Any = {"args": ["/bin/true"], "cwd": "/", "user": {"uid": 5, "gid": 5}} | process
    cgroup = CgroupFacts(unified=Hierarchy("/sys/fs/cgroup", ["cpu"]))
    plan = plan_exec(config, whole, host_facts(cgroup=cgroup, lsms=lsms), asked).steps
    found = [type(step).__name__ for step in plan]
    return found[found.index("JoinNamespace") :]


def test_nothing_is_left_but_the_program() -> None:
    assert names()[-3:] == ["ForkInit", "NewSession", "Exec"]


def test_with_a_terminal() -> None:
    assert names(terminal=True)[-3:] == ["ForkInit", "ControlTerminal", "Exec"]


@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_after_the_filter(no_new_privileges: bool) -> None:
    found = names({"defaultAction": ALLOW}, noNewPrivileges=no_new_privileges)
    assert found[-3:] == ["ForkInit", "NewSession", "Exec"]
    # Without noNewPrivileges CAP_SYS_ADMIN is there up to the filter: given up before as well.
    between = found[found.index("LoadSeccomp") : -3]
    assert between == (["LoadSeccomp"] if no_new_privileges else ["LoadSeccomp", "SetCapabilities"])


def test_before_a_filter_that_forbids_it() -> None:
    found = names({"defaultAction": ALLOW, "syscalls": [rule(ERRNO, "setsid")]})
    assert found[-5:] == ["ForkInit", "NewSession", "LoadSeccomp", "SetCapabilities", "Exec"]


def test_before_a_filter_with_a_listener_that_forbids_it() -> None:
    profile = {
        "defaultAction": ALLOW,
        "listenerPath": "/run/agent",
        "syscalls": [rule("SCMP_ACT_NOTIFY", "clone")],
    }
    found = names(profile)
    assert found.index("ForkInit") == found.index("LoadSeccomp") - 2
    assert found.index("DropBoundingSet") < found.index("ForkInit")


def test_a_label_is_set_by_the_process_itself() -> None:
    label = "system_u:system_r:container_t:s0"
    found = names({"defaultAction": ALLOW}, lsms=("selinux",), selinuxLabel=label)
    assert found[-7:] == [
        "ForkInit",
        "NewSession",
        "OpenExecLabel",
        "WriteExecLabel",
        "LoadSeccomp",
        "SetCapabilities",
        "Exec",
    ]


@pytest.mark.parametrize(
    "scheduler",
    [
        {"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3},
        {"policy": "SCHED_FIFO", "priority": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
    ],
    ids=["deadline", "reset"],
)
def test_a_policy_that_a_child_does_not_get(scheduler: Any) -> None:
    found = names(scheduler=scheduler)
    assert found.index("ForkInit") < found.index("SetScheduler")


def test_a_policy_that_is_inherited() -> None:
    found = names(scheduler={"policy": "SCHED_FIFO", "priority": 1})
    assert found.index("SetScheduler") < found.index("ForkInit")


def request(default: str, *rules: dict[str, Any]) -> SeccompRequest:
    config: Any = {"linux": {"seccomp": {"defaultAction": default, "syscalls": list(rules)}}}
    asked = plan_seccomp(config, host_facts())
    assert asked is not None
    return asked


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(ALLOW), True),
        (request(LOG), True),
        (request(ERRNO), False),
        (request(ERRNO, rule(ALLOW, "clone")), True),
        (request(ERRNO, rule(ALLOW, "clone", args=NO_NAMESPACES)), True),
        (request(ERRNO, rule(ALLOW, "clone3")), False),
        (request(ALLOW, rule(ERRNO, "clone")), False),
        (request(ALLOW, rule(ERRNO, "clone", args=NO_NAMESPACES)), False),
        (request(ERRNO, rule(ALLOW, "clone"), rule("SCMP_ACT_TRAP", "clone")), False),
    ],
)
def test_permits(asked: SeccompRequest, expected: bool) -> None:
    assert permits(asked, [("clone", (0x8011, 0))]) == expected


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("SCMP_CMP_EQ", 5, True),
        ("SCMP_CMP_EQ", 6, False),
        ("SCMP_CMP_NE", 5, False),
        ("SCMP_CMP_NE", 6, True),
        ("SCMP_CMP_LT", 6, True),
        ("SCMP_CMP_LT", 5, False),
        ("SCMP_CMP_LE", 5, True),
        ("SCMP_CMP_LE", 4, False),
        ("SCMP_CMP_GE", 5, True),
        ("SCMP_CMP_GE", 6, False),
        ("SCMP_CMP_GT", 4, True),
        ("SCMP_CMP_GT", 5, False),
    ],
)
def test_conditions(op: str, value: int, expected: bool) -> None:
    """The argument is 5; of one that is not given, nothing is known."""
    args = [{"index": 1, "value": value, "op": op}]
    allowing, forbidding = rule(ALLOW, "ioctl", args=args), rule(ERRNO, "ioctl", args=args)
    assert permits(request(ERRNO, allowing), [("ioctl", (0, 5))]) == expected
    assert permits(request(ALLOW, forbidding), [("ioctl", (0, 5))]) != expected
    assert not permits(request(ERRNO, allowing), [("ioctl", (0,))])
    assert not permits(request(ALLOW, forbidding), [("ioctl", (0,))])
