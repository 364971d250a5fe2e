"""Rules of a process, in a config and on its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ocipy.config.process import accept_process
from ocipy.errors import ConfigError, ConfigFaults, UnsupportedError
from ocipy.schema.accept import accept
from tests.unit.config.checks import DROP, assert_refused, config_with, faults_of, warnings_of

GOLDEN = Path(__file__).parent.parent / "golden" / "processes"


@pytest.mark.parametrize("cwd", ["", "tmp", "./x", "~"])
def test_cwd_is_absolute(cwd: str) -> None:
    assert_refused({"/process/cwd": cwd}, "/process/cwd", "cwd must be an absolute path")


def test_args_are_not_empty() -> None:
    assert_refused({"/process/args": []}, "/process/args", "args must not be empty")
    assert_refused({"/process/args": DROP}, "/process", "args must not be empty")
    assert warnings_of({"/process/args": [""]}) == [], "execve is to say that there is no such file"


def test_environment() -> None:
    assert warnings_of({"/process/env": ["A=", "A=b=c", "A=x"]}) == []
    assert_refused({"/process/env": ["A=1", "B"]}, "/process/env/1", '"B": it has no "="')
    assert_refused({"/process/env": ["=x"]}, "/process/env/0", "its name is empty")


def test_a_long_secret_is_not_told() -> None:
    [(_, sentence)] = faults_of({"/process/env": ["x" * 100 + "secret"]})
    assert "secret" not in sentence


def test_ids() -> None:
    largest = {"uid": 4294967294, "gid": 4294967294, "additionalGids": [4294967294], "umask": 511}
    assert warnings_of({"/process/user": largest}) == []
    wrong = {"uid": 4294967295, "gid": 4294967295, "additionalGids": [0, 4294967295], "umask": 512}
    assert [pointer for pointer, _ in faults_of({"/process/user": wrong})] == [
        "/process/user/uid",
        "/process/user/gid",
        "/process/user/additionalGids/1",
        "/process/user/umask",
    ]
    many = {"uid": 0, "gid": 0, "additionalGids": [1] * 65536}
    assert warnings_of({"/process/user": many}) == []
    many["additionalGids"] = [1] * 65537
    assert_refused({"/process/user": many}, "/process/user/additionalGids", "at most 65536")


@pytest.mark.parametrize(("given", "missing"), [("uid", "gid"), ("gid", "uid")])
def test_missing_ids(given: str, missing: str) -> None:
    """Root would be what nobody has asked for; without a user it is what a container starts as."""
    sentence = f'the required field "{missing}" is missing'
    assert_refused({"/process/user": {given: 1}}, "/process/user", sentence)
    assert warnings_of({"/process/user": DROP}) == []


def test_console_size_is_ignored_without_a_terminal() -> None:
    size = {"/process/consoleSize": {"height": 65536, "width": 65535}}
    assert warnings_of(size) == []
    pointer = "/process/consoleSize/height"
    assert_refused(size | {"/process/terminal": True}, pointer, "0 to 65535")


@pytest.mark.parametrize(
    ("name", "soft", "hard", "pointer", "sentence"),
    [
        ("RLIMIT_NOFILES", 1, 1, "type", 'no limit "RLIMIT_NOFILES"'),
        ("RLIMIT_CPU", 2, 1, "soft", "above the hard one"),
    ],
)
def test_rlimits(name: str, soft: int, hard: int, pointer: str, sentence: str) -> None:
    entry = {"type": name, "soft": soft, "hard": hard}
    assert_refused({"/process/rlimits": [entry]}, f"/process/rlimits/0/{pointer}", sentence)


def test_no_rlimit_twice() -> None:
    entry = {"type": "RLIMIT_CPU", "soft": 1, "hard": 18446744073709551615}
    assert warnings_of({"/process/rlimits": [entry]}) == []
    pointer = "/process/rlimits/1/type"
    assert_refused({"/process/rlimits": [entry, entry]}, pointer, "a second entry for RLIMIT_CPU")


def test_unknown_capabilities_are_worth_a_warning_each() -> None:
    sets = {"bounding": ["CAP_CHOWN", "CAP_SYS_ADMN"], "effective": ["CAP_SYS_ADMN", "chown"]}
    warnings = warnings_of({"/process/capabilities": sets})
    assert [pointer for pointer, _ in warnings] == [
        "/process/capabilities/bounding/1",
        "/process/capabilities/effective/1",
    ]
    assert 'did you mean "CAP_SYS_ADMIN"?' in warnings[0][1]


@pytest.mark.parametrize("score", [-1001, 1001])
def test_oom_score_adj(score: int) -> None:
    assert_refused({"/process/oomScoreAdj": score}, "/process/oomScoreAdj", "-1000 to 1000")
    assert warnings_of({"/process/oomScoreAdj": score // abs(score) * 1000}) == []


@pytest.mark.parametrize(
    ("scheduler", "pointer"),
    [
        ({"policy": "SCHED_OTHER", "nice": 20}, "/nice"),
        ({"policy": "SCHED_BATCH", "nice": -21}, "/nice"),
        ({"policy": "SCHED_OTHER", "priority": 1}, "/priority"),
        ({"policy": "SCHED_FIFO"}, ""),
        ({"policy": "SCHED_RR", "priority": 100}, "/priority"),
        ({"policy": "SCHED_IDLE", "runtime": 5000}, "/runtime"),
        ({"policy": "SCHED_FIFO", "priority": 1, "period": 5000}, "/period"),
        ({"policy": "SCHED_DEADLINE"}, ""),
        ({"policy": "SCHED_DEADLINE", "runtime": 1023, "deadline": 5000}, ""),
        ({"policy": "SCHED_DEADLINE", "runtime": 6000, "deadline": 5000}, ""),
        ({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 5000, "period": 4000}, ""),
    ],
)
def test_schedulers_that_cannot_be(scheduler: Any, pointer: str) -> None:
    assert_refused({"/process/scheduler": scheduler}, f"/process/scheduler{pointer}", "")


def test_schedulers_that_can_be() -> None:
    for scheduler in (
        {"policy": "SCHED_OTHER", "nice": -20},
        {"policy": "SCHED_BATCH", "nice": 19, "priority": 0},
        {"policy": "SCHED_FIFO", "priority": 99, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
        {"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 5000},
        {"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 5000, "period": 5000},
    ):
        assert warnings_of({"/process/scheduler": scheduler}) == []


def test_no_kernel_has_sched_iso() -> None:
    config = config_with({"/process/scheduler": {"policy": "SCHED_ISO"}})
    with pytest.raises(UnsupportedError, match="SCHED_ISO"):
        accept(config, "")


def test_io_priority() -> None:
    pointer = "/process/ioPriority"
    for priority in (0, 7):
        assert warnings_of({pointer: {"class": "IOPRIO_CLASS_BE", "priority": priority}}) == []
    for priority in (-1, 8):
        changes = {pointer: {"class": "IOPRIO_CLASS_BE", "priority": priority}}
        assert_refused(changes, f"{pointer}/priority", "0 to 7")
    missing = 'the required field "priority" is missing'
    assert_refused({pointer: {"class": "IOPRIO_CLASS_BE"}}, pointer, missing)


def test_exec_cpu_affinity() -> None:
    pointer = "/process/execCPUAffinity"
    assert warnings_of({pointer: {"initial": "0-3, 7", "final": ""}}) == []
    assert_refused({pointer: {"initial": "3-1"}}, f"{pointer}/initial", "runs backwards")
    assert_refused({pointer: {"final": "1-"}}, f"{pointer}/final", "neither a number nor a range")


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_what_engines_send_to_exec(path: Path) -> None:
    text = path.read_text()
    assert accept_process(json.loads(text), text) == []


def test_a_process_on_its_own() -> None:
    value: Any = {"cwd": "x", "args": [], "noNewPriviliges": True}
    with pytest.raises(ConfigFaults) as caught:
        accept_process(value, json.dumps(value))
    assert [fault.pointer for fault in caught.value.faults] == ["/cwd", "/args"]
    with pytest.raises(ConfigError, match='required field "cwd" is missing'):
        accept_process({"args": ["sh"]}, "")
    value = {"cwd": "/", "args": ["a\0b"]}
    with pytest.raises(ConfigError, match="NUL") as one:
        accept_process(value, json.dumps(value))
    assert one.value.pointer == "/args/0"
