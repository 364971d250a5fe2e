"""No command waits for ever: docs/lifecycle.md, Deadlines. Each is met by what really holds it up.

The deadlines are short ones (short_deadlines.py), and no test measures time: one that would wait
for ever fails by the time limit of every call.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bundles import without_namespace
from tests.conftest import REPOSITORY
from tests.integration.cgroup_files import PURE_V2
from tests.integration.containers import Call, Container, Runtime, wait_until
from tests.integration.leftovers import cgroup_roots
from tests.integration.short_deadlines import make_launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENT = 120.0


@pytest.fixture(autouse=True)
def short(runtime: Runtime, directory: str) -> Iterator[None]:
    """Let the runtime have short deadlines, but not the one that cleans up."""
    if runtime.program != f"{REPOSITORY}/build/ocipy":
        pytest.skip("the deadlines of this tree's package are tested, not of an installed one")
    patient, runtime.program = runtime.program, make_launcher(directory)
    yield
    runtime.program = patient


def state_of(pid: int) -> str:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: state_of(pid) == "T", "it has stopped", PATIENT)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(name: str) -> Iterator[None]:
    """Freeze the cgroup of that name, in whichever hierarchy has the freezer."""
    if PURE_V2:
        file, words = f"/sys/fs/cgroup/{name}/cgroup.freeze", ("1", "0")
    else:
        (root,) = (root for root in cgroup_roots() if root.endswith("/freezer"))
        file, words = f"{root}/{name}/freezer.state", ("FROZEN", "THAWED")
    with open(file, "w", encoding="ascii") as control:
        control.write(words[0])
    try:
        yield
    finally:
        with open(file, "w", encoding="ascii") as control:
            control.write(words[1])


@contextlib.contextmanager
def parent_cgroup(container: Container) -> Iterator[str]:
    """Let the container's cgroup be in one of ours; return the name of that."""
    name = f"{container.id}above"
    made = []
    for root in cgroup_roots():
        if not PURE_V2 and not root.endswith(("/freezer", "/pids")):
            continue
        os.mkdir(f"{root}/{name}")
        made.append(f"{root}/{name}")
    container.linux["cgroupsPath"] = f"/{name}/{container.id}"
    try:
        yield name
    finally:
        container.delete("--force", check=False)
        for path in made:
            wait_until(lambda path=path: _removed(path), f"{path} is empty", PATIENT)  # type: ignore[misc]


def _removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


# Waits in the kernel for a page that nobody brings, where SIGKILL alone reaches it.
STUCK = """
import ctypes, fcntl, mmap, os, struct
memory = mmap.mmap(-1, 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
fd = ctypes.CDLL(None).syscall({number}, os.O_CLOEXEC)
assert fd >= 0
fcntl.ioctl(fd, 0xC018AA3F, struct.pack("QQQ", 0xAA, 0, 0))  # UFFDIO_API
fcntl.ioctl(fd, 0xC020AA00, struct.pack("QQQQ", address, 4096, 1, 0))  # UFFDIO_REGISTER, missing
print(flush=True)
os.readv(os.open("/dev/zero", os.O_RDONLY), [memory])
"""
USERFAULTFD = {"x86_64": 323, "aarch64": 282}.get(os.uname().machine, 0)


def waits_for_a_page(pid: int) -> bool:
    with open(f"/proc/{pid}/stack", encoding="ascii") as file:
        return "handle_userfault" in file.read()


@contextlib.contextmanager
def stuck_process(name: str) -> Iterator[None]:
    """Put a process that does not freeze into the cgroup of that name."""
    code = STUCK.format(number=USERFAULTFD)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            pytest.skip("no userfaultfd(2) here")
        wait_until(lambda: waits_for_a_page(process.pid), "it is stuck", PATIENT)
        roots = [root for root in cgroup_roots() if PURE_V2 or root.endswith("/freezer")]
        with open(f"{roots[0]}/{name}/cgroup.procs", "w", encoding="ascii") as procs:
            procs.write(str(process.pid))
        yield
    finally:
        process.kill()
        process.communicate()


# -- the freezer


@pytest.mark.skipif(
    not os.path.exists("/proc/self/stack"), reason="this kernel does not say where a process waits"
)
def test_a_process_that_does_not_freeze(container: Container) -> None:
    """The others of its cgroup run on."""
    container.linux["cgroupsPath"] = f"/{container.id}"
    container.up("echo up; while :; do echo tick; sleep 0.02; done")
    with stuck_process(container.id):
        container.verb("pause", check=False).failed("unable to freeze")
        assert container.status == "running"
        container.kill("USR1", "--all", check=False).failed("unable to freeze")
        ticks = container.created.out.count("tick")
        wait_until(lambda: container.created.out.count("tick") > ticks, "it runs on", PATIENT)
    container.verb("pause")
    assert container.status == "paused"


# -- the lock


@pytest.mark.parametrize(
    "words", [("start",), ("pause",), ("update", "--pids-limit", "9"), ("delete",)], ids=" ".join
)
def test_a_command_whose_container_another_one_holds(
    container: Container, words: tuple[str, ...]
) -> None:
    container.script("exec sleep 1000").create()
    with open(f"{container.runtime.root}/{container.id}/lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        call = container.verb(*words, check=False)
        call.failed(f"container {container.id} is busy: another ocipy command")
    assert container.status == "created"


def test_a_lock_of_a_dead_command_is_nobodys(container: Container) -> None:
    container.script("exec sleep 1000").create()
    path = f"{container.runtime.root}/{container.id}/lock"
    holder = subprocess.Popen(
        ["flock", path, "sh", "-c", "echo; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    container.start(check=False).failed("is busy")
    holder.kill()
    holder.communicate()
    # Its shell still has the lock, until it reads that nobody writes any more.
    wait_until(lambda: container.start(check=False).status == 0, "start", PATIENT)


def hang_in_poststart(container: Container) -> str:
    """Let a poststart hook hang; return the file that has the pids of it and of its child."""
    path = f"{container.bundle.path}/hook"
    script = f"sleep 1000 & echo $$ $! > {path}.new; mv {path}.new {path}; wait"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}
    container.config["hooks"] = {"poststart": [hook]}
    return path


@pytest.mark.parametrize("verb", ["start", "run"])
def test_delete_force_during_a_start_that_sits_in_a_poststart_hook(
    container: Container, verb: str
) -> None:
    path = hang_in_poststart(container)
    container.script("exec sleep 1000").bundle.write()
    if verb == "start":
        container.create()
        call = container.runtime.begin("start", container.id)
    else:
        words = ("--detach", "--bundle", container.bundle.path, container.id)
        call = container.runtime.begin("run", *words)
    wait_until(lambda: os.path.exists(path), "the hook", PATIENT)
    container.delete("--force")
    call.wait(PATIENT)
    assert call.status == 128 + signal.SIGTERM, call
    assert "interrupted by signal 15" in call.err
    with open(path, encoding="ascii") as file:
        for pid in map(int, file.read().split()):
            wait_until(lambda pid=pid: not alive(pid), "the end of the hook", PATIENT)  # type: ignore[misc]


@pytest.mark.parametrize("ended_by", ["SIGTERM", "delete"])
def test_a_foreground_run_that_sits_in_a_poststart_hook(
    container: Container, ended_by: str
) -> None:
    """The program is there already: it gets the signal, and the hook is not waited for then."""
    path = hang_in_poststart(container)
    trap = "trap 'echo told; exit 3' TERM; " if ended_by == "SIGTERM" else ""
    container.script(f"{trap}echo up; while :; do sleep 0.1; done").bundle.write()
    call = container.runtime.begin("run", "--bundle", container.bundle.path, container.id)
    wait_until(lambda: os.path.exists(path) and "up" in call.out, "the hook", PATIENT)
    if ended_by == "delete":
        container.delete("--force")
    else:
        call.process.terminate()
    call.wait(PATIENT)
    assert call.status == 128 + signal.SIGTERM, call
    assert "interrupted by signal 15" in call.err
    assert ("told" in call.out) == (ended_by == "SIGTERM")
    assert not container.runtime.holds(container.id)
    with open(path, encoding="ascii") as file:
        for pid in map(int, file.read().split()):
            wait_until(lambda pid=pid: not alive(pid), "the end of the hook", PATIENT)  # type: ignore[misc]


THREADED = """
import os, subprocess, sys, threading, time
from ocipy.errors import HookError
from ocipy.spawn.hooks import run_hooks
path = sys.argv[1]
script = f"sleep 1000 & setsid sh -c 'sleep 1000 & wait' & echo > {path}; wait"
hook = {"path": "/bin/sh", "args": ["sh", "-c", script], "timeout": 1}
errors = []
def work():
    try:
        run_hooks({"hooks": {"poststart": [hook]}}, "poststart", {"bundle": "/"})
    except HookError as error:
        errors.append(error)
thread = threading.Thread(target=work)
thread.start()
while not os.path.exists(path):
    time.sleep(0.01)
other = subprocess.Popen(["sleep", "1000"])
thread.join()
print(errors, other.poll(), flush=True)
os.execv("/bin/sh", ["sh", "-c", f"cat /proc/{os.getpid()}/task/*/children; kill {other.pid}"])
"""


def test_a_hook_in_a_program_with_threads(directory: str) -> None:
    """What other threads have started meanwhile is not the hook's, and lives."""
    call = Call([sys.executable, "-c", THREADED, f"{directory}/up"], directory)
    call.begin(cwd=REPOSITORY)
    call.wait(PATIENT).succeeded()
    errors, children = call.out.splitlines()
    assert "ran past its timeout of 1s and was killed" in errors
    assert errors.endswith(" None")
    # The other child, and cat.
    assert len(children.split()) == 2, call


def alive(pid: int) -> bool:
    try:
        return state_of(pid) not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_other_commands_during_such_a_start_name_it(container: Container) -> None:
    path = hang_in_poststart(container)
    container.script("exec sleep 1000").create()
    call = container.runtime.begin("start", container.id)
    wait_until(lambda: os.path.exists(path), "the hook", PATIENT)
    pid = call.process.pid
    container.verb("pause", check=False).failed(f"another ocipy command (start), process {pid}")
    assert container.status == "running"
    container.delete("--force")
    call.wait(PATIENT)


# -- processes that do not end


def test_delete_force_of_what_cannot_be_killed_says_what_holds_it(container: Container) -> None:
    """An `exec` that is stopped does not reap its process, and the first of a pid namespace ends
    after all others: the kernel waits for as long as somebody has that `exec` stopped."""
    pid = container.up()
    call = container.runtime.begin("exec", container.id, "/bin/sh", "-c", "echo on; sleep 1000")
    wait_until(lambda: "on" in call.out, "exec", PATIENT)
    with stopped(call.process.pid):
        for _ in range(2):
            refused = container.delete("--force", check=False)
            refused.failed(f"container init still running: process {pid} (sleep, state ")
            assert "has not ended 0.5 seconds after SIGKILL" in refused.err, refused
        assert f"its parent is process {call.process.pid}" in refused.err, refused
        assert container.runtime.holds(container.id), "it can be tried again"
    call.wait(PATIENT)
    container.delete("--force")
    assert not container.runtime.holds(container.id)


@pytest.mark.skipif(PURE_V2, reason="in cgroup v2 a frozen process can be killed")
def test_delete_force_of_what_a_frozen_parent_holds(container: Container) -> None:
    with parent_cgroup(container) as above:
        pid = container.up()
        with frozen(above):
            refused = container.delete("--force", check=False)
            refused.failed(f"process {pid} (sleep, state ", "a frozen process does not end", above)
        container.delete("--force")


@pytest.mark.skipif(PURE_V2, reason="in cgroup v2 a frozen process can be killed")
def test_a_cgroup_that_does_not_become_empty(container: Container) -> None:
    """Its processes outlive init where they are in a pid namespace that others are in, too."""
    without_namespace(container.config, "pid")
    with parent_cgroup(container) as above:
        pid = container.up("sleep 1000 & echo up; exec sleep 1000")
        with frozen(above):
            # Only init ends: whoever is traced can be told to, frozen or not.
            refused = container.delete("--force", check=False)
            refused.failed("(sleep, state ", "in its cgroup", "a frozen process does not end")
            assert str(pid) in refused.err
        container.delete("--force")


# -- frozen cgroups


def test_create_in_a_frozen_cgroup(container: Container) -> None:
    with parent_cgroup(container) as above, frozen(above):
        call = container.create(check=False)
        call.failed("the cgroup above it", above, "is frozen", "thaw it")
        assert not container.runtime.holds(container.id)


@pytest.mark.parametrize("verb", ["start", "exec"])
def test_start_and_exec_in_a_frozen_cgroup(container: Container, verb: str) -> None:
    with parent_cgroup(container) as above:
        container.script("exec sleep 1000").create()
        if verb == "exec":
            container.start()
        with frozen(above):
            if verb == "start":
                call = container.start(check=False)
                call.failed(above, "is frozen", "thaw it")
            else:
                call = container.exec("/bin/true", check=False)
                call.failed(above, "is frozen", "thaw it", status=255)
        assert container.status == ("created" if verb == "start" else "running")
        container.delete("--force")


def test_exec_that_was_asked_to_wait_for_resume_ends_with_the_container(
    container: Container,
) -> None:
    """--ignore-paused means that it waits; `delete --force` ends that."""
    container.up()
    container.verb("pause")
    call = container.runtime.begin("exec", "--ignore-paused", container.id, "/bin/true")
    children = f"/proc/{call.process.pid}/task/{call.process.pid}/children"

    def has_child() -> bool:
        with open(children, encoding="ascii") as file:
            return bool(file.read())

    wait_until(has_child, "it has made its process", PATIENT)
    container.delete("--force")
    call.wait(PATIENT)
    assert call.status not in (0, None), call


# -- sockets and fifos


@contextlib.contextmanager
def deaf_socket(path: str) -> Iterator[str]:
    """Listen, and never accept: the queue is full."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    waiting = []
    try:
        while True:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            try:
                waiting[-1].connect(path)
            except BlockingIOError:
                break
        yield path
    finally:
        for each in (listener, *waiting):
            each.close()


def test_a_console_socket_on_which_nobody_accepts(container: Container, directory: str) -> None:
    container.process["terminal"] = True
    with deaf_socket(f"{directory}/console") as path:
        call = container.create("--console-socket", path, check=False)
        call.failed("cannot send the terminal", path)
    assert not container.runtime.holds(container.id)


def test_a_console_socket_from_which_nobody_reads(container: Container, directory: str) -> None:
    """What is sent waits in the socket; create does not."""
    container.process["terminal"] = True
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{directory}/console")
    listener.listen(1)
    with listener:
        container.create("--console-socket", f"{directory}/console")
        container.delete("--force")


@pytest.mark.requires("seccomp")
def test_a_seccomp_agent_that_does_not_accept(container: Container, directory: str) -> None:
    with deaf_socket(f"{directory}/agent") as path:
        container.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": path,
            "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_NOTIFY"}],
        }
        container.create(check=False).failed("pass the seccomp listener", path)
    assert not container.runtime.holds(container.id)


def test_a_log_that_nobody_reads(container: Container, directory: str) -> None:
    fifo = f"{directory}/log"
    os.mkfifo(fifo)
    container.runtime.global_options += ["--log", fifo]
    container.create(check=False).failed(f"cannot open the log {fifo}: nobody reads this fifo")
    container.runtime.global_options[-1] = f"{directory}/file"
    assert not container.runtime.holds(container.id)


def test_a_log_whose_reader_has_no_room(container: Container, directory: str) -> None:
    """The record is lost, the command is not."""
    fifo = f"{directory}/log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 65536)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x")
        runtime = container.runtime
        call = runtime.call("--log", fifo, "start", "nosuch")
        call.failed("does not exist")
    finally:
        os.close(reader)
        os.close(writer)


def test_fifos_that_nobody_reads_or_writes(container: Container, directory: str) -> None:
    """Where a file is named, and a fifo is there, opening it would wait for the other end."""
    fifo = f"{directory}/fifo"
    os.mkfifo(fifo)
    for option in ("--pid-file", "--trace"):
        container.create(option, fifo, check=False).failed("fifo: no such device")
    for kind in ("network", "ipc"):
        without_namespace(container.config, kind)
        container.linux["namespaces"].append({"type": kind, "path": fifo})
        container.create(check=False).failed(f"{kind} namespace", fifo)
        without_namespace(container.config, kind)
    assert not container.runtime.holds(container.id)


def test_start_of_an_init_that_is_dead(container: Container) -> None:
    """The fifo has no reader any more."""
    container.script("exec sleep 1000").create()
    pid = container.pid
    os.kill(pid, signal.SIGKILL)
    container.wait(pid)
    container.start(check=False).failed("cannot start a container that has stopped")


# -- hooks


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer", "startContainer"])
def test_a_hook_that_runs_past_its_timeout(container: Container, kind: str) -> None:
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "exec sleep 1000"], "timeout": 1}
    hook["env"] = ["PATH=/bin:/usr/bin"]
    container.config["hooks"] = {kind: [hook]}
    container.script("exec sleep 1000")
    if kind == "startContainer":
        container.create()
        container.start(check=False).failed("ran past its timeout of 1s and was killed")
    else:
        container.create(check=False).failed("ran past its timeout of 1s and was killed")
    assert not container.runtime.holds(container.id)


@pytest.mark.parametrize("kind", ["createContainer", "startContainer"])
def test_a_hook_without_a_timeout_is_ended_by_delete_force(container: Container, kind: str) -> None:
    path = f"{container.bundle.path}/hook"
    # createContainer runs before pivot_root, startContainer in the container's own root.
    where = path if kind == "createContainer" else "/hook"
    seen = path if kind == "createContainer" else f"{container.bundle.rootfs}/hook"
    hook = {
        "path": "/bin/sh",
        "args": ["sh", "-c", f"echo > {where}; exec sleep 1000"],
        "env": ["PATH=/bin:/usr/bin"],
    }
    container.config["hooks"] = {kind: [hook]}
    container.script("exec sleep 1000").bundle.write()
    if kind == "createContainer":
        call = container.runtime.begin("create", "--bundle", container.bundle.path, container.id)
    else:
        container.create()
        call = container.runtime.begin("start", container.id)
    wait_until(lambda: os.path.exists(seen), "the hook", PATIENT)
    container.delete("--force")
    call.wait(PATIENT)
    assert call.status not in (0, None), call
    assert not container.runtime.holds(container.id)
