"""tests/integration in the VM, where all there is to cgroups is version 2; each file is a test.

Here run the files that are about cgroups; TEST_VM=1, as in `make test-vm`, adds all the others. One
emulated CPU makes them five to ten times slower than on the host, so that takes half an hour.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
import sys

import pytest

from tests.clients.scripts import VM
from tests.conftest import REPOSITORY

SECONDS = 1200
ABOUT_CGROUPS = ["test_cgroup_placement.py", "test_pause.py", "test_all_processes.py"]
# It compiles, which takes longer there than all the rest.
NOT_THERE = ["test_sanitized_init.py"]


def files() -> list[str]:
    if not os.environ.get("TEST_VM"):
        return ABOUT_CGROUPS
    found = glob.glob(f"{REPOSITORY}/tests/integration/test_*.py")
    return sorted({os.path.basename(path) for path in found} - set(NOT_THERE))


@pytest.mark.requires("root", "program:linux.uml", "program:insmod")
@pytest.mark.skipif(not os.path.exists(VM), reason="the VM's script is not beside the repository")
@pytest.mark.parametrize("name", files())
def test_file(name: str, runtime_program: str) -> None:
    command = [VM, "-m", "2048", "-t", str(SECONDS), sys.executable, "-m", "pytest", "-q"]
    options = ["--no-header", "--tb=short", "--color=no", "-rfE", "-p", "no:cacheprovider"]
    environment = os.environ | {
        "PATH": f"{REPOSITORY}/tests/vm:{os.environ['PATH']}",
        "RUNTIME": runtime_program,
    }
    done = subprocess.run(
        [*command, *options, f"tests/integration/{name}"],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    # pytest's 5 says that no test was collected.
    assert done.returncode in (0, 5), f"status {done.returncode}\n{done.stdout[-20_000:]}"
    assert re.search(r"\d+ (passed|skipped)|no tests ran", done.stdout), done.stdout
