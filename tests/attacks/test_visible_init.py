"""ocipy-init seen from inside: its program, descriptors, root, memory, while it waits for `start`.

CVE-2019-5736: a container that gets hold of the runtime's program overwrites it on the host.
CVE-2016-9962: one that gets hold of the process has its descriptors.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.attacks.tracer import tracer  # noqa: F401
from tests.attacks.verdict import against
from tests.bundles import with_namespace
from tests.integration.containers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container, Runtime


def started(container: Container) -> int:
    """Run it; return its pid. Not by `create`: a weakened build does not know its own init."""
    container.script("echo up; exec sleep 1000")
    call = container.run("--detach")
    wait_until(lambda: call.out == "up\n", "the container runs")
    return container.pid


def end(container: Container) -> None:
    """Delete a container whose zombie would keep the pid namespace that it has joined."""
    pid = container.pid
    container.delete("--force")
    if pid:
        container.wait(pid)


def pid_inside(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return next(int(line.split()[-1]) for line in status if line.startswith("NSpid:"))


@pytest.fixture
def hostile(container: Container, tracer: Path) -> Container:  # noqa: F811
    """A container that runs and has the program `tracer`."""
    os.link(tracer, f"{container.bundle.rootfs}/bin/tracer")
    return container


@against("dumpable")
@pytest.mark.parametrize("verb", ["create", "exec"])
def test_init_of_a_neighbour(
    hostile: Container, make_container: Callable[[], Container], attack: Attack, verb: str
) -> None:
    """Containers of a pod may share a pid namespace; one looks at the init of the next.

    /proc/PID/{exe,fd,root,map_files,mem,maps,environ}, process_vm_readv, pidfd_getfd and ptrace.
    `exec` meets the same init, waiting in a created container.
    """
    pid = started(hostile)
    second = make_container()
    with_namespace(second.config, "pid", f"/proc/{pid}/ns/pid")
    second.create()
    probe = ["/bin/tracer", "probe", str(pid_inside(second.pid))]
    if verb == "create":
        found = hostile.exec(*probe).out
    else:
        os.link(f"{hostile.bundle.rootfs}/bin/tracer", f"{second.bundle.rootfs}/bin/tracer")
        found = second.exec(*probe).out
    end(second)
    attack.succeeded(found, found)


@pytest.fixture
def own_copy(runtime: Runtime, attack: Attack, directory: str) -> None:
    """Where the attack is to succeed, what it overwrites is this test's alone."""
    if attack.is_weakened:
        copy = shutil.copytree(os.path.dirname(runtime.program), f"{directory}/ocipy-copy")
        runtime.program = f"{copy}/ocipy"


def full_pipe() -> tuple[int, int]:
    """Return a pipe that nothing more can be written to, until somebody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


@against("program-of-the-host", "memfd-not-sealed")
@pytest.mark.parametrize("verb", ["exec", "run"])
def test_write_to_the_runtimes_program(
    hostile: Container,
    make_container: Callable[[], Container],
    own_copy: None,
    attack: Attack,
    directory: str,
    verb: str,
) -> None:
    """A program that begins with "#!/proc/self/exe" is the runtime's; hold it, and write to it once
    nobody executes it any more. Its words to stderr, which nobody reads yet, give all the time."""
    pid = started(hostile)
    pid_file = f"{directory}/evil.pid"
    reader, writer = full_pipe()
    evil = hostile
    if verb == "run":
        evil = make_container()
        with_namespace(evil.config, "pid", f"/proc/{pid}/ns/pid")
    evil.bundle.add_file("bin/evil", "#!/proc/self/exe\n", 0o755)
    options = ["--detach", "--pid-file", pid_file]
    try:
        if verb == "run":
            evil.args("/bin/evil").run(*options, check=False, stderr=writer)
        else:
            evil.exec("/bin/evil", options=options, check=False, stderr=writer)
    finally:
        os.close(writer)
    with open(pid_file, encoding="utf-8") as file:
        host_pid = int(file.read())
    runs_it = pid_inside(host_pid)
    call = hostile.runtime.begin("exec", hostile.id, "/bin/tracer", "exe", str(runs_it), "/held")
    held = f"{hostile.bundle.rootfs}/held"
    wait_until(lambda: os.path.exists(held) or call.process.poll() is not None, "the file is held")
    # Now it may say its words, and end.
    while os.read(reader, 65536):
        pass
    os.close(reader)
    said = call.wait(120).succeeded().out.strip()
    evil.wait(host_pid)
    if verb == "run":
        evil.delete("--force")
    attack.succeeded(said == "written", said)


@pytest.mark.parametrize("verb", ["create", "exec", "run"])
@against("program-of-the-host")
def test_the_program_that_is_seen_is_no_file_of_the_host(
    hostile: Container, attack: Attack, verb: str
) -> None:
    """/proc/self/exe in the place of the program leads to a memfd, whose links are nobody's."""
    if verb == "create":
        hostile.create()
        path = os.readlink(f"/proc/{hostile.pid}/exe")
        links = os.stat(f"/proc/{hostile.pid}/exe").st_nlink
        hostile.delete("--force")
    else:
        hostile.bundle.add_file("bin/evil", "#!/proc/self/exe\n", 0o755)
        pid_file = f"{hostile.runtime.directory}/evil.pid"
        reader, writer = full_pipe()
        options = ["--detach", "--pid-file", pid_file]
        if verb == "run":
            hostile.args("/bin/evil").run(*options, stderr=writer)
        else:
            started(hostile)
            hostile.exec("/bin/evil", options=options, stderr=writer)
        os.close(writer)
        with open(pid_file, encoding="utf-8") as file:
            pid = int(file.read())
        path, links = os.readlink(f"/proc/{pid}/exe"), os.stat(f"/proc/{pid}/exe").st_nlink
        while os.read(reader, 65536):
            pass
        os.close(reader)
        hostile.wait(pid)
    attack.succeeded(links > 0 and "memfd:" not in path, (path, links))
