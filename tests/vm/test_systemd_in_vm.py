"""tests/integration/test_systemd_*.py in the VM, where systemd is process 1, with D-Bus and logind.

With TEST_VM=1, as in `make test-vm`: each file takes minutes there. Those that can be are run with
runc, too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.clients.scripts import VM
from tests.conftest import REPOSITORY

SECONDS = 1500
# What the VM says before the tests begin: without it, there was no VM.
UP = "the VM is up"

pytestmark = [
    pytest.mark.requires("root", "program:linux.uml", "program:insmod", "program:busctl"),
    pytest.mark.skipif(
        not os.path.exists(VM), reason="the VM's script is not beside the repository"
    ),
    pytest.mark.skipif(
        not os.environ.get("TEST_VM"), reason="only with TEST_VM=1 (make test-vm): minutes each"
    ),
]


def run_in_vm(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [VM, "-s", "-m", "2048", "-t", str(SECONDS), *command],
        cwd=REPOSITORY,
        # Nothing that is done to the machine in there lasts.
        env=os.environ
        | {"PATH": f"{REPOSITORY}/tests/vm:{os.environ['PATH']}", "DISPOSABLE": "1"}
        | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def run_tests(runtime: str, *words: str) -> None:
    """Run pytest in the VM; skip where the VM itself does not come up."""
    options = ["-q", "--no-header", "--tb=short", "--color=no", "-rfEs", "-p", "no:cacheprovider"]
    begin = f'echo {UP}; exec "$@"'
    command = [sys.executable, "-m", "pytest", *options, *words]
    done = run_in_vm("sh", "-c", begin, "sh", *command, RUNTIME=runtime)
    if UP not in done.stdout:
        pytest.skip(f"the VM does not boot here: {done.stdout.strip()[-500:]}")
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout[-20_000:]}"
    assert re.search(r"\d+ passed", done.stdout), done.stdout
    assert "systemd: " not in done.stdout, f"skipped in the VM:\n{done.stdout}"


@pytest.mark.parametrize(
    "name",
    [
        "test_systemd_cgroup.py",
        "test_systemd_user.py",
        "test_systemd_podman.py",
        "test_systemd_docker.py",
    ],
)
def test_file(name: str, runtime_program: str) -> None:
    run_tests(runtime_program, f"tests/integration/{name}")


@pytest.mark.requires("program:runc")
def test_driver_of_runc() -> None:
    """Are the tests right? runc passes them, but for those that compare it with itself."""
    words = ["-k", "not side_by_side", "tests/integration/test_systemd_cgroup.py"]
    run_tests("/usr/sbin/runc", *words)
