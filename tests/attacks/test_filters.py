"""Seccomp: a filter is loaded whatever the container does, and it is the one of the config."""

from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING

import pytest

from tests.attacks.verdict import against

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container, Runtime

# An errno that no kernel answers with.
ODD = 1234
IO_URING = ("io_uring_setup", "io_uring_enter", "io_uring_register")
ALLOW_ALL = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
OTHER_USER = 12345


def forbid(container: Container, *names: str) -> None:
    container.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": ODD}],
    }


@against("filter-not-loaded")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_io_uring(
    container: Container, caller: Callable[..., str], attack: Attack, verb: str
) -> None:
    """What a profile forbids cannot be had through io_uring, as it forbids that, too."""
    forbid(container, *IO_URING)
    commands = ["call 425 1 0", "call 426 1 0", "call 427 1 0"]
    if verb == "run":
        answers = caller(*commands).split()
    else:
        container.up()
        answers = container.exec("/bin/sh", "-c", "; ".join(commands)).out.split()
    attack.succeeded(answers != [f"-{ODD}"] * 3, answers)


@against("filters-of-others")
def test_a_filter_that_somebody_has_put_there(
    container: Container,
    runtime: Runtime,
    caller: Callable[..., str],
    attack: Attack,
    directory: str,
) -> None:
    """The cache of compiled filters belongs to another user, who has made one that allows all."""
    forbid(container, "getpriority")
    root = runtime.global_options[1]
    # What the entry is called is no secret: a first run, elsewhere, shows it.
    runtime.global_options[1] = f"{directory}/elsewhere"
    assert caller("call getpriority") == f"-{ODD}"
    names = os.listdir(f"{directory}/elsewhere/.@seccomp")
    runtime.global_options[1] = root
    os.makedirs(f"{root}/.@seccomp")
    os.chmod(f"{root}/.@seccomp", 0o777)
    os.chown(f"{root}/.@seccomp", OTHER_USER, OTHER_USER)
    for name in names:
        with open(f"{root}/.@seccomp/{name}", "wb") as file:
            file.write(hashlib.sha256(ALLOW_ALL).digest() + ALLOW_ALL)
        os.chown(f"{root}/.@seccomp/{name}", OTHER_USER, OTHER_USER)
    answer = caller("call getpriority")
    attack.succeeded(answer != f"-{ODD}", answer)
