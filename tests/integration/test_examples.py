"""examples/: each of them does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from examples import judge as judging
from examples.judge import Limits, Verdict, judge
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.containers import Runtime

pytestmark = pytest.mark.requires("user-namespaces")

PATIENT = Limits(cpu_seconds=20, wall_seconds=60.0)


@pytest.fixture(autouse=True)
def _only_ocipy(runtime: Runtime) -> None:
    if not runtime.is_ocipy:
        pytest.skip("the runtime under test is no library")
    if not os.access(judging.PYTHON, os.X_OK):
        pytest.skip(f"program:{judging.PYTHON} is not installed")


@pytest.mark.parametrize(
    ("program", "limits", "verdict"),
    [
        ("print(2 * int(input()))", PATIENT, Verdict.ACCEPTED),
        ("print(2 * int(input()) + 1)", PATIENT, Verdict.WRONG_ANSWER),
        ("1 / 0", PATIENT, Verdict.RUNTIME_ERROR),
        ("while True: pass", PATIENT._replace(cpu_seconds=1), Verdict.TIME_LIMIT),
        ("import time; time.sleep(1000)", PATIENT._replace(wall_seconds=1.0), Verdict.TIME_LIMIT),
        ("print('x' * 2_000_000)", PATIENT, Verdict.OUTPUT_LIMIT),
        ("x = bytearray(500_000_000)", PATIENT, Verdict.MEMORY_LIMIT),
    ],
)
def test_the_judge_gives_each_verdict(
    tmp_path: Path, program: str, limits: Limits, verdict: Verdict
) -> None:
    source = tmp_path / "solution.py"
    source.write_text(program)
    tmp_path.chmod(0o755)
    judgement = judge(str(source), b"21\n", b"42\n\n", limits)
    assert judgement.verdict is verdict, judgement


HOSTILE = """
import os, socket
def refused(attempt):
    try:
        attempt()
    except (OSError, MemoryError):
        return
    raise SystemExit(f"allowed: {attempt.__code__.co_consts}")
def fork_bomb():
    children = []
    try:
        while True:
            child = os.fork()
            if not child:
                os.pause() if hasattr(os, "pause") else __import__("signal").pause()
            children.append(child)
    finally:
        assert len(children) < 16, len(children)
        for child in children: os.kill(child, 9); os.waitpid(child, 0)
refused(lambda: open("/solution.py", "w"))
refused(lambda: open("/usr/bin/x", "w"))
refused(lambda: open("/x", "w"))
refused(lambda: os.setuid(0))
refused(lambda: os.listdir("/home"))
refused(lambda: os.listdir("/root"))
refused(lambda: socket.create_connection(("1.1.1.1", 53), 1))
refused(fork_bomb)
assert sorted(p for p in os.listdir("/proc") if p.isdigit()) == ["1"]
print(42)
"""


def test_the_judge_holds_what_is_hostile(tmp_path: Path) -> None:
    source = tmp_path / "solution.py"
    source.write_text(HOSTILE)
    judgement = judge(str(source), b"", b"42", PATIENT)
    assert judgement.verdict is Verdict.ACCEPTED, judgement


def run_example(*args: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": REPOSITORY}
    return subprocess.run(
        [sys.executable, *args], env=environ, cwd=REPOSITORY, capture_output=True, text=True
    )


def test_the_judge_has_a_command_line(tmp_path: Path) -> None:
    for name, text in (("solution.py", "print(input())"), ("in", "7"), ("out", "7\n")):
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in ("solution.py", "in", "out")]
    done = run_example(
        "-m", "examples.judge", files[0], "--input", files[1], "--expected", files[2]
    )
    assert done.stdout.startswith("accepted: "), done
    assert done.returncode == 0


def test_the_fixture_gives_each_test_a_container() -> None:
    done = run_example(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "examples.pytest_container"),
        "examples/tests_with_containers.py",
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_the_build_step_builds(tmp_path: Path) -> None:
    source, output = tmp_path / "src", tmp_path / "out"
    source.mkdir()
    (source / "hello.c").write_text("int puts(const char *); int main(void) { puts(NAME); }\n")
    script = 'cc -DNAME=\\"$(hostname)\\" -o /out/hello hello.c && ! touch /src/new'
    done = run_example(
        *("-m", "examples.build_step", str(source), str(output), "--", "/bin/sh", "-c", script)
    )
    assert done.returncode == 0, done
    assert subprocess.run([output / "hello"], capture_output=True).stdout == b"build\n"
    assert [file.name for file in source.iterdir()] == ["hello.c"]
