"""`run --record-seccomp FILE`: the profile that it writes allows what was done, and no more."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.integration.containers import Call
from tests.integration.system_calls import call_program, caller

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.containers import Container

__all__ = ["call_program", "caller"]
pytestmark = [
    pytest.mark.requires("seccomp"),
    pytest.mark.runc_deviates("records nothing", run=False),
]

# Each system call waits for Python.
SECONDS = 240


@pytest.fixture
def file(directory: str) -> str:
    return f"{directory}/profile.json"


def record(container: Container, file: str, status: int = 0) -> Call:
    call = container.run("--record-seccomp", file, check=False, timeout=SECONDS)
    assert call.status == status, call
    return call


def profile(file: str) -> dict[str, Any]:
    with open(file, encoding="utf-8") as opened:
        value: dict[str, Any] = json.load(opened)
    return value


def names(file: str) -> set[str]:
    (rule,) = profile(file)["syscalls"]
    assert rule["action"] == "SCMP_ACT_ALLOW"
    return set(rule["names"])


BUSYBOX = """
mkdir /tmp/d; echo text > /tmp/d/file; ln -s file /tmp/d/link; cat /tmp/d/link | grep text
(sleep 0.01; echo child) & wait; kill -0 $$; trap 'echo trapped' USR1; kill -USR1 $$; id -u
"""


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_busybox(container: Container, file: str, no_new_privileges: bool) -> None:
    container.process["noNewPrivileges"] = no_new_privileges
    container.script(BUSYBOX)
    recorded = record(container, file)
    assert recorded.out.split() == ["text", "child", "trapped", "0"]
    found = names(file)
    assert {"execve", "mkdir", "symlink", "wait4", "exit_group", "rt_sigreturn"} <= found
    assert not {"mount", "ptrace", "socket", "sendmsg", "unshare"} & found
    # In force, the same program does the same; and no other.
    container.linux["seccomp"] = profile(file)
    assert container.run(timeout=SECONDS).out == recorded.out
    container.script("hostname other || echo refused")
    assert container.run(check=False, timeout=SECONDS).out == "refused\n"


PYTHON = """
import os, subprocess, tempfile, threading
done = []
threads = [threading.Thread(target=lambda: done.append(sum(range(1000)))) for _ in range(4)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
with tempfile.NamedTemporaryFile() as file: file.write(b'x'); file.flush()
print(len(done), subprocess.check_output(['/bin/busybox', 'echo', 'child']), os.getppid())
"""


def test_python(container: Container, file: str, directory: str) -> None:
    """A real interpreter, with threads and children, in a root made of the host's libraries."""
    rootfs = container.bundle.rootfs
    for path in ("usr", "lib", "lib64"):
        if os.path.isdir(f"/{path}"):
            os.makedirs(f"{rootfs}/{path}", exist_ok=True)
            container.bundle.add_mount(f"/{path}", "bind", f"/{path}", "rbind", "ro")
    python = os.path.realpath(shutil.which("python3", path="/usr/bin:/bin") or sys.executable)
    if not python.startswith("/usr/"):
        pytest.skip(f"no interpreter below /usr: {python}")
    container.args(python, "-I", "-S", "-c", PYTHON)
    recorded = record(container, file)
    assert recorded.out == "4 b'child\\n' 0\n"
    assert {"futex", "clone", "clone3"} & names(file)
    container.linux["seccomp"] = profile(file)
    assert container.run(timeout=SECONDS).out == recorded.out


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 is x86")
def test_32_bit_calls(container: Container, call_program: Path, file: str) -> None:
    for name in ("call", "call32"):
        shutil.copy(call_program, f"{container.bundle.rootfs}/bin/{name}")
    container.args("/bin/call32", "24")
    if record(container, file).out != "0\n":
        pytest.skip("this kernel has no 32-bit system calls")
    assert set(profile(file)["architectures"]) == {"SCMP_ARCH_X86", "SCMP_ARCH_X86_64"}
    assert "getuid" in names(file)
    container.linux["seccomp"] = profile(file)
    assert container.run(timeout=SECONDS).out == "0\n"


def test_recording_again_adds(container: Container, file: str) -> None:
    container.args("/bin/true")
    record(container, file)
    first = names(file)
    container.args("/bin/mkdir", "/made")
    record(container, file)
    assert names(file) >= first | {"mkdir"}


def test_the_own_profile_stays_in_force_and_is_explained(
    container: Container, call_program: Path, file: str
) -> None:
    shutil.copy(call_program, f"{container.bundle.rootfs}/bin/call")
    container.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
            {"names": ["sync"], "action": "SCMP_ACT_KILL_PROCESS"},
        ],
    }
    container.script("call personality 0; call sync; echo status $?")
    call = record(container, file)
    assert call.out.split()[0] == "-28"
    assert "status 137" in call.out
    assert "refused personality (no space left on device (ENOSPC)), 1 times" in call.message
    assert "refused sync (killed), 1 times" in call.message
    assert not {"personality", "sync"} & names(file)


def test_exit_status_and_signals(container: Container, file: str) -> None:
    container.script("exit 7")
    record(container, file, status=7)
    container.script("kill -TERM $$; kill -KILL $$; sleep 100")
    container.process["args"] = ["/bin/sh", "-c", "sh -c 'kill -KILL $$'; exit $?"]
    record(container, file, status=137)


def failing(container: Container, file: str, function: str, error: str) -> Call:
    """Run with a recorder of which one function fails."""
    program = f"""
import sys
from ocipy import cli
from ocipy.observe import seccomp_record
def fail(*_): raise {error}
seccomp_record.{function} = fail
cli.main(sys.argv[1:])
"""
    words = [*container.runtime.global_options, "run", "--record-seccomp", file]
    words += ["--bundle", container.bundle.path, container.id]
    call = Call([sys.executable, "-c", program, *words], container.runtime.directory)
    call.begin(cwd=REPOSITORY)
    return call.wait(SECONDS)


@pytest.mark.parametrize("function", ["Recorder._answer", "Recorder._find_listener"])
def test_a_recorder_that_fails_ends_the_container(
    container: Container, file: str, function: str
) -> None:
    """Nobody else would ever answer the container's system calls."""
    container.script("echo never; sleep 1000")
    container.bundle.write()
    call = failing(container, file, function, "OSError(24, '')")
    assert call.status, call
    assert "recording ended early, and the container with it: too many" in call.err
    assert "Traceback" not in call.err, call
    assert not container.runtime.holds(container.id)


def test_a_recorder_that_cannot_start(container: Container, file: str) -> None:
    container.bundle.write()
    call = failing(container, file, "Thread.start", "RuntimeError('no new thread')")
    call.failed("cannot record system calls: no new thread")
    assert not container.runtime.holds(container.id)


def test_what_cannot_be_recorded(container: Container, directory: str, file: str) -> None:
    container.run("--record-seccomp", file, "--detach", check=False).failed("needs the foreground")
    with open(file, "w", encoding="utf-8") as opened:
        opened.write("root:x:0:0\n")
    container.run("--record-seccomp", file, check=False).failed("is no recorded profile")
    with open(file, encoding="utf-8") as opened:
        assert opened.read() == "root:x:0:0\n"
    container.run("--record-seccomp", directory, check=False).failed("is no file")
    os.mkfifo(f"{directory}/fifo")
    container.run("--record-seccomp", f"{directory}/fifo", check=False).failed("is no file")
    container.run("--record-seccomp", f"{directory}/no/file", check=False).failed("cannot write")
    container.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": f"{directory}/socket",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    }
    call = container.run("--record-seccomp", f"{directory}/other", check=False)
    call.failed("a listener cannot be recorded", "/linux/seccomp/syscalls/0/action")
    assert not container.runtime.holds(container.id)


def test_a_death_by_seccomp_is_explained(container: Container, call_program: Path) -> None:
    shutil.copy(call_program, f"{container.bundle.rootfs}/bin/call")
    container.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    container.args("/bin/call", "personality", "0")
    call = container.run(check=False)
    assert call.status == 128 + 31
    # With an audit daemon, or a kernel without audit, the kernel's log does not say which.
    assert "for the system call personality" in call.message or "does not say which" in call.message
    assert "--record-seccomp" in call.message
    container.script("/bin/call personality 0; exit $?")
    call = container.run(check=False)
    assert call.status == 128 + 31
    assert "a shell whose child was ended" in call.message
    container.up()
    call = container.exec("/bin/call", "personality", "0", check=False)
    assert call.status == 128 + 31
    assert "--record-seccomp" in call.message


def test_nothing_of_it_is_loaded_without_the_option() -> None:
    golden = f"{REPOSITORY}/tests/unit/golden/imports/run.txt"
    with open(golden, encoding="utf-8") as opened:
        loaded = opened.read().split()
    assert not [name for name in loaded if "record" in name and "observe" in name]
    assert not [name for name in loaded if "tracing" in name or "trace" in name]


def test_exec(container: Container, file: str) -> None:
    container.up()
    options = ("--record-seccomp", file)
    call = container.exec("mkdir", "/made", options=options, timeout=SECONDS)
    assert call.out == ""
    assert "mkdir" in names(file)
    container.exec("sh", "-c", "exit 7", options=options, check=False, timeout=SECONDS)
    assert {"mkdir", "execve"} <= names(file)
    refused = container.exec("true", options=(*options, "--detach"), check=False)
    refused.failed("needs the foreground", status=255)
