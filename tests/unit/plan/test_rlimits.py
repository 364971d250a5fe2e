"""Who sets the limits of a process: init, or the host where it has a user namespace of its own."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.plan._generated_steps import SetRlimit, SetRlimitFromOutside
from ocipy.plan.process import plan_rlimits
from ocipy.sys.constants import CAP_SYS_RESOURCE
from tests.unit.host_facts import host_facts

PROCESS: Any = {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}]}


@pytest.mark.parametrize(
    ("own", "capable", "outside"),
    [(False, True, False), (True, False, False), (True, True, True)],
)
def test_the_host_sets_them_where_only_it_can_raise_them(
    own: bool, capable: bool, outside: bool
) -> None:
    host = host_facts(capabilities=1 << CAP_SYS_RESOURCE if capable else 0)
    by_init, by_host = plan_rlimits(PROCESS, host, "/process", own_user_namespace=own)
    [step] = by_host if outside else by_init
    assert (by_init if outside else by_host) == []
    assert isinstance(step, SetRlimitFromOutside if outside else SetRlimit)
    assert (step.source, step.soft, step.hard) == ("/process/rlimits/0", 1, 2)
