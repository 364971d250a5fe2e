"""What the hot commands ask of the kernel, counted: a cost that shows on a busy machine, too.

Each command is carried out under strace; calls are counted by what they are about, and compared
with golden/system_calls.json. A number may be a tenth and three off; calls that fail, and may be
repeated for as long as another process is at it, do not count. More is a regression; far less is
a reason to lower the golden number:

    OCIPY_UPDATE_GOLDEN=1 pytest tests/unit/test_hot_system_calls.py
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bundles import BUSYBOX, Bundle
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parent / "golden" / "system_calls.json"
OCIPY = f"{REPOSITORY}/build/ocipy"

# What a call is about. Others count as "other"; what the interpreter does for itself is in there.
KINDS = {
    "files": {"open", "openat", "openat2", "stat", "newfstatat", "fstat", "access", "readlink"},
    "reading": {"read", "pread64", "getdents64", "lseek"},
    "writing": {"write", "pwrite64", "rename", "renameat", "mkdir", "unlink", "unlinkat", "rmdir"},
    "memory": {"mmap", "munmap", "mprotect", "brk"},
    "processes": {"clone", "clone3", "vfork", "execve", "execveat", "wait4"},
    "mounts": {"mount", "move_mount", "open_tree", "fsconfig", "fsmount", "fsopen", "umount2"},
}
# The pack is read at places far behind its begin; ld.so reads the headers of libraries.
PACK_READ = re.compile(r"^(?:\d+ +)?pread64\(\d+, .*, \d+, (\d{4,})\) ", re.MULTILINE)
# A call that another process interrupted stands there twice: counted where it is complete.
CALL = re.compile(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)(?:\((?!.*<unfinished)| resumed)")


def kind_of(call: str) -> str:
    return next((kind for kind, calls in KINDS.items() if call in calls), "other")


class Traced:
    """A container, and the counts of the calls of each command on it."""

    def __init__(self, directory: str) -> None:
        self.directory, self.id = directory, f"calls-{os.getpid()}"
        busybox = shutil.copy(BUSYBOX, f"{directory}/busybox")
        self.bundle = Bundle(f"{directory}/bundle", busybox, "calls", f"/{self.id}")
        self.bundle.process["args"] = ["/bin/sleep", "1000"]
        self.bundle.write()

    def await_end(self) -> None:
        """Wait until the container's process has ended."""
        state = [OCIPY, "--root", f"{self.directory}/state", "state", self.id]
        done = subprocess.run(state, capture_output=True, check=True)
        try:
            pidfd = os.pidfd_open(json.loads(done.stdout)["pid"])
        except (OSError, ValueError):
            return
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll()
        os.close(pidfd)

    def count(self, *args: str) -> dict[str, int]:
        """Carry out one command; return how many calls of each kind it made, init's included."""
        trace = f"{self.directory}/trace"
        argv = ["strace", "-f", "-o", trace, OCIPY, "--root", f"{self.directory}/state", *args]
        if args[0] == "create":
            # strace waits for the container's process, too, which would be for ever.
            argv.remove("-f")
        null = subprocess.DEVNULL
        with open(f"{self.directory}/errors", "w+") as errors:
            done = subprocess.run(argv, stdin=null, stdout=null, stderr=errors)
            errors.seek(0)
            assert done.returncode == 0, errors.read()
        text = Path(trace).read_text(errors="replace")
        if args[0] == "create":
            text = re.sub(r"^", "1 ", text, flags=re.MULTILINE)
        places = PACK_READ.findall(text)
        assert len(places) >= 3, "where is the pack read?"
        assert len(places) == len(set(places)), f"{args[0]} reads it twice: {places}"
        done_well = [line for line in text.splitlines() if " = -1 E" not in line]
        calls = [match[1] for line in done_well if (match := CALL.match(line))]
        return dict(sorted(Counter(map(kind_of, calls)).items()))


def cgroup_hierarchies() -> int:
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return sum(line.split(" ")[2] in ("cgroup", "cgroup2") for line in mounts)


@pytest.fixture
def traced() -> Iterator[Traced]:
    directory = tempfile.mkdtemp(prefix="ocipy-calls-")
    traced = Traced(directory)
    yield traced
    command = [OCIPY, "--root", f"{directory}/state", "delete", "-f", traced.id]
    subprocess.run(command, check=True)
    shutil.rmtree(directory)


def compare(command: str, counts: dict[str, int]) -> None:
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("OCIPY_UPDATE_GOLDEN"):
        golden[command] = counts
        golden["hierarchies"] = cgroup_hierarchies()
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    known = golden[command]
    more = {
        kind: (known.get(kind, 0), count)
        for kind, count in counts.items()
        if count > known.get(kind, 0) * 1.1 + 3
    }
    less = {
        kind: (count, counts.get(kind, 0))
        for kind, count in known.items()
        if counts.get(kind, 0) < count * 0.7 - 4
    }
    assert not more, f"{command}: more calls than the golden number: {more}"
    assert not less, f"{command}: fewer calls; write the golden numbers anew: {less}"


@pytest.mark.requires("root")
def test_system_calls_of_a_life(traced: Traced) -> None:
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    known, here = golden.get("hierarchies"), cgroup_hierarchies()
    if known not in (None, here):
        pytest.skip(f"{here} cgroup hierarchies are mounted here, and {known} where it was counted")
    compare("create", traced.count("create", "--bundle", traced.bundle.path, traced.id))
    compare("state", traced.count("state", traced.id))
    compare("start", traced.count("start", traced.id))
    compare("exec", traced.count("exec", traced.id, "/bin/true"))
    compare("kill", traced.count("kill", traced.id, "KILL"))
    traced.await_end()
    compare("delete", traced.count("delete", traced.id))
