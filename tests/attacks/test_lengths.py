"""CVE-2021-43784: a length that wraps in what init is given; what comes behind it then is obeyed.

In runc it was a length of 16 bits in the netlink attributes of its bootstrap data, and what did not
fit into it was taken for further attributes: fewer namespaces, another id map. Here it is the plan
(docs/plan-format.md). Each kind of value in it is made longer than 2^16 by a config.json. No config
can make one of 2^32 (a plan has 16 MiB at most): such lengths are put into a plan's bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ocipy.plan import _generated_steps as steps
from ocipy.plan.encode import encode_plan
from tests.attacks.verdict import against
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container

# Around 2^16; the last is the longest that execve(2) takes: MAX_ARG_STRLEN, with its NUL.
LENGTHS = (65535, 65536, 65537, 131071)
COUNTS = (65535, 65536, 65539)


@pytest.fixture
def plain(container: Container) -> Container:
    container.linux["namespaces"] = [{"type": "pid"}, {"type": "mount"}]
    container.config.pop("hostname")
    return container


@against("lengths-of-16-bits")
def test_strings(plain: Container, attack: Attack) -> None:
    """A variable and an argument of `run`, and of `exec`."""
    wrong = []
    env = list(plain.process["env"])
    process = f"{plain.bundle.path}/process.json"
    for length in LENGTHS:
        plain.process["env"] = [*env, "V=" + "v" * (length - 2)]
        plain.args("/bin/sh", "-c", "echo ${#V} ${#1}; [ ! $2 ] || sleep 1000", "sh", "a" * length)
        wanted = [str(length - 2), str(length)]
        seen = plain.run().out.split()
        if seen != wanted:
            wrong.append((wanted, seen))
        with open(process, "w", encoding="utf-8") as file:
            json.dump(plain.process, file)
        plain.process["env"] = env
        plain.up()
        seen = plain.exec(options=["--process", process]).out.split()
        if seen != wanted:
            wrong.append((wanted, seen))
        plain.delete("--force")
    attack.succeeded(wrong, wrong)


@against("lengths-of-16-bits")
def test_lists(plain: Container, attack: Attack) -> None:
    wrong = []
    env = list(plain.process["env"])
    for count in COUNTS:
        plain.process["env"] = [*env, *(f"V{i}=" for i in range(count - len(env)))]
        plain.args("/bin/cat", "/proc/self/environ")
        seen = plain.run(check=False).out.count("V")
        if seen != count - len(env):
            wrong.append((count - len(env), seen))
        plain.process["env"] = env
        plain.args("/bin/echo", *["a"] * (count - 1))
        seen = plain.run(check=False).out.count("a")
        if seen != count - 1:
            wrong.append((count - 1, seen))
    attack.succeeded(wrong, wrong)


@against("lengths-of-16-bits")
def test_groups(plain: Container, attack: Attack) -> None:
    """Four bytes each: with 2^14 and two more of them, two would be left."""
    plain.process["user"]["additionalGids"] = list(range(100000, 100000 + (1 << 14) + 2))
    plain.script("grep ^Groups /proc/self/status | wc -w")
    out = plain.run().out.strip()
    attack.succeeded(out != str(1 + (1 << 14) + 2), out)


@against("lengths-of-16-bits")
def test_paths(plain: Container, attack: Attack) -> None:
    """A path that no kernel takes is refused, and no shorter one is taken in its place."""
    plain.bundle.add_mount("/mnt" + "/x" * (1 << 15), "tmpfs", "tmpfs")
    plain.script("grep -c ' /mnt ' /proc/self/mountinfo; true")
    call = plain.run(check=False)
    if call.status != 0:
        assert "ENAMETOOLONG" in call.err, call.err[-300:]
    attack.succeeded(call.status == 0 and call.out == "1\n", call.out)


@against("lengths-of-16-bits")
@pytest.mark.requires("user-namespaces")
def test_id_maps(plain: Container, attack: Attack) -> None:
    """The text of the map has 2^16 bytes and one line more; the kernel takes 340 lines at most."""
    lines = [(0, 100000, 1000), *((1000 + i, 101000 + i, 1) for i in range(4680))]
    lines.append((10000, 1100000, 1))
    text = "".join("{} {} {}\n".format(*line) for line in lines)
    assert len(text) == (1 << 16) + len("0 100000 1000\n")
    plain.linux["namespaces"].append({"type": "user"})
    plain.linux["uidMappings"] = [
        dict(zip(("containerID", "hostID", "size"), line, strict=True)) for line in lines
    ]
    plain.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1000}]
    mounts = [m for m in plain.config["mounts"] if m["type"] not in ("sysfs", "mqueue")]
    plain.config["mounts"] = mounts
    plain.script("wc -l </proc/self/uid_map")
    call = plain.run(check=False)
    if call.status != 0:
        assert "/linux/uidMappings" in call.err, call.err[-300:]
        assert "EINVAL" in call.err, call.err[-300:]
    attack.succeeded(call.status == 0 and call.out.strip() == "1", call.out)


@pytest.fixture
def refused(runtime_program: str, attack: Attack, tmp_path: Path) -> Callable[[str, int], object]:
    """Return a function that gives init a plan with a false length; it returns what is wrong then.

    The plan must be refused as a whole, and its first step not have run.
    """
    tree = Path(runtime_program).parent / "tree" if attack.is_weakened else Path(REPOSITORY)
    init = str(tree / "ocipy" / "_native" / "ocipy-init")

    def refused(kind: str, length: int) -> object:
        target = tmp_path / "made"
        target.mkdir()
        plan = bytearray(
            encode_plan(
                [
                    steps.OpenRoot("", path=str(target)),
                    steps.MakeSymlink("", path="/link", content="x"),
                    steps.Exec("", argv=["needle"], env=[]),
                ],
                {},
            )
        )
        at = plan.index(b"\6\0\0\0needle\0")
        at -= 4 if kind == "list" else 0
        plan[at : at + 4] = length.to_bytes(4, "little")
        (tmp_path / "plan").write_bytes(plan)
        with open(tmp_path / "plan", "rb") as plan_file, open("/dev/null", "r+b") as sync:
            fds = [plan_file.fileno(), sync.fileno()]
            command = [init, *map(str, fds)]
            status = subprocess.run(command, pass_fds=fds, timeout=120, check=False).returncode
        # Killed by a signal: it has read or written where nothing of the plan is.
        made = os.path.islink(target / "link")
        return (status, made) != (1, False) and (status, made)

    return refused


@against("lengths-of-32-bits")
@pytest.mark.parametrize("kind", ["string", "list"])
def test_the_length_that_wraps_in_32_bits(
    attack: Attack, refused: Callable[[str, int], object], kind: str
) -> None:
    attack.succeeded(refused(kind, 0xFFFFFFFF))


@pytest.mark.parametrize("kind", ["string", "list"])
@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x80000000, 0x7FFFFFFF, 0x10006, 0xFFFF, 7, 5])
def test_other_lengths_that_are_false(
    attack: Attack, refused: Callable[[str, int], object], kind: str, length: int
) -> None:
    attack.succeeded(refused(kind, length))
