"""A sample of the walk, and that it would notice what it is for. `make faults` walks everything."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.faults import planted
from tests.faults.build import build
from tests.faults.walk import DIRECTORIES, clear_dead_walks
from tests.faults.world import World

CONTROLLERS = [f"controller:{name}" for name in ("cpu", "cpuset", "memory", "pids")]
pytestmark = pytest.mark.requires(
    *("root", "veth", "seccomp", "user-namespaces", "time-namespaces"), *CONTROLLERS
)

# An undisturbed life, and a step of init that every plan has; the production init runs the first.
IGNORED = """
import sys
sys.path[:0] = [{repository!r}]
from ocipy.spawn import launch
encode = launch.encode_plan
def encode_plan(plan, fds, flags=0):
    at = next(i for i, step in enumerate(plan) if step.place == "init")
    return encode(plan, fds, flags | 1 << 8 | 5 << 13 | at << 20)
launch.encode_plan = encode_plan
from ocipy.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("faults")
    build(directory)
    return directory


def begin(tree: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.walk", str(tree), *words],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_sample_of_every_kind_of_every_verb_and_bundle(tree: Path) -> None:
    walks = [begin(tree, "--each", "1", "--part", f"{part}/2") for part in (1, 2)]
    outputs = [walk.communicate()[0] for walk in walks]
    for walk, output in zip(walks, outputs, strict=True):
        assert walk.returncode == 0, output
    found = [re.search(r"^(\d+) cases", output, re.MULTILINE) for output in outputs]
    assert sum(int(match[1]) for match in found if match) > 300, outputs


@pytest.mark.parametrize("kind", planted.KINDS)
def test_the_walk_notices_what_is_left(tree: Path, kind: str) -> None:
    """Beside a fault that changes nothing: the container runs before and after it."""
    words = ("--bundle", "minimal", "--verb", "pause", "--each", "1", "--rest", "0.5")
    walk = begin(tree, *words, "--plant", kind)
    output = walk.communicate()[0]
    assert walk.returncode == 1, output
    assert ("state says stopped" if kind == "lie" else f"{kind} left") in output
    # A case that fails does not end the walk: there is one of each kind of fault. One of these has
    # ended the container, so that `stopped` is no lie.
    assert output.count("minimal: pause: host ") >= (3 if kind == "lie" else 4), output
    assert re.search(r"^4 cases in \d+ s, \d+ problems$", output, re.MULTILINE), output


def test_a_walk_without_a_plant_notices_nothing(tree: Path) -> None:
    walk = begin(tree, "--bundle", "minimal", "--verb", "pause", "--each", "1")
    output = walk.communicate()[0]
    assert walk.returncode == 0, output


def descendants(pid: int) -> dict[int, str]:
    """Return the processes below one, with their command lines."""
    found: dict[int, str] = {}
    children = ""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    for child in map(int, children.split()):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found[child] = Path(f"/proc/{child}/cmdline").read_text()
        found |= descendants(child)
    return found


@pytest.mark.parametrize("killed", ["walk", "parent"])
def test_nothing_outlives_a_walk_that_is_killed(tree: Path, killed: str) -> None:
    walk = begin(tree, "--bundle", "minimal", "--verb", "pause")
    assert walk.stdout is not None
    assert "cases" in walk.stdout.readline()
    below = descendants(walk.pid)
    inner = next(pid for pid, words in below.items() if "tests.faults.walk" in words)
    assert any("listener.bind" in words for words in below.values()), below
    held = [os.pidfd_open(pid) for pid in below if os.path.exists(f"/proc/{pid}")]
    os.kill(inner if killed == "walk" else walk.pid, signal.SIGKILL)
    # End of file: whoever could write to it is gone, what was started meanwhile included.
    walk.communicate()
    for pidfd in held:
        assert select.select([pidfd], [], [], 90)[0], below
        os.close(pidfd)
    # Files and cgroups stay, for the next walk to take away.
    tag = f"oci{walk.pid:x}faults"
    clear_dead_walks()
    assert not World(tag, "", "", ()).cgroups()
    assert not os.path.exists(f"{tempfile.gettempdir()}/{DIRECTORIES}{walk.pid:x}")


def test_the_init_of_every_other_build_has_no_switch(tree: Path, tmp_path: Path) -> None:
    """The same plan, with the same bits: one init fails, and the other does not even look."""
    from tests.bundles import BUSYBOX, Bundle

    os.chmod(tmp_path, 0o755)
    name = f"oci{os.getpid():x}noswitch"
    busybox = shutil.copy2(BUSYBOX, tmp_path / "busybox")
    bundle = Bundle(str(tmp_path / "bundle"), str(busybox), "faults", f"/{name}")
    bundle.write()
    for package, status in ((REPOSITORY, 0), (str(tree), 1)):
        done = subprocess.run(
            [sys.executable, "-c", IGNORED.format(repository=package)]
            + ["--root", str(tmp_path / "state"), "run", "--bundle", bundle.path, name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
    assert "(EIO)" in done.stderr
