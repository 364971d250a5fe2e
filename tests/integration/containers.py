"""The runtime under test, and containers driven through its command line.

Output goes to files, never to pipes: a container that outlives `create` keeps what it inherited,
and a reader of a pipe would wait for it. The test process is a child subreaper, so it is the parent
of every container's process in the end and learns its exit status.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.bundles import Bundle

# One call takes milliseconds, but on a machine with other work to do there is no telling; in a
# virtual machine without hardware support up to a few seconds.
SLOWNESS = 5 if "um" in os.uname().release else 1
CALL_TIMEOUT_SECONDS = 90 * SLOWNESS
WAIT_SECONDS = 60 * SLOWNESS


def wait_until(condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Poll `condition`; AssertionError naming `what` if it is not true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)


class Call:
    """One call of the runtime: the command, its exit status, and what was written meanwhile."""

    def __init__(self, command: list[str], directory: str) -> None:
        self.command = command
        self.status: int | None = None
        self._files = [tempfile.TemporaryFile(dir=directory) for _ in range(2)]

    def __repr__(self) -> str:
        shown = " ".join(self.command)
        return f"<{shown}: status {self.status}, stdout {self.out!r}, stderr {self.err!r}>"

    @property
    def out(self) -> str:
        """What is in stdout now: a running container adds to it."""
        return self._read(0)

    @property
    def err(self) -> str:
        return self._read(1)

    @property
    def message(self) -> str:
        """Stderr without the backslashes that logfmt puts before quotation marks."""
        return self.err.replace('\\"', '"')

    def _read(self, stream: int) -> str:
        fd = self._files[stream].fileno()
        return os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")

    def begin(self, **options: Any) -> subprocess.Popen[bytes]:
        """Start the command and return its process."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", self._files[0])
        options.setdefault("stderr", self._files[1])
        self.process = subprocess.Popen(self.command, **options)
        return self.process

    def wait(self, timeout: float = CALL_TIMEOUT_SECONDS) -> Call:
        """Wait for the runtime, not for a container that it leaves behind; return self."""
        try:
            self.status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = self.process.wait()
            raise AssertionError(f"not done in {timeout} s: {self!r}") from None
        return self

    def succeeded(self) -> Call:
        assert self.status == 0, self
        return self

    def failed(self, *texts: str, status: int = 1) -> Call:
        """Assert the status and that stderr has each text, whatever its case; return self."""
        assert self.status == status, self
        for text in texts:
            assert text.lower() in self.message.lower(), self
        return self


class Runtime:
    """A runtime's program with a private state root."""

    def __init__(self, program: str, root: str, directory: str) -> None:
        self.program, self.root, self.directory = program, root, directory
        self.is_runc = os.path.basename(program) == "runc"
        self.is_ocipy = os.path.basename(program).startswith("ocipy")
        self.global_options: list[str] = ["--root", root]

    def begin(self, *args: str, **options: Any) -> Call:
        call = Call([self.program, *self.global_options, *args], self.directory)
        call.begin(**options)
        return call

    def call(self, *args: str, timeout: float = CALL_TIMEOUT_SECONDS, **options: Any) -> Call:
        return self.begin(*args, **options).wait(timeout)

    def holds(self, container_id: str) -> bool:
        """Whether there is anything in the state root for this id."""
        return os.path.lexists(f"{self.root}/{container_id}")


class Container:
    """A container to be: its bundle, and the verbs. A verb asserts success unless `check=False`."""

    def __init__(self, runtime: Runtime, bundle: Bundle, container_id: str) -> None:
        self.runtime, self.bundle, self.id = runtime, bundle, container_id
        self.last: Call | None = None

    @property
    def config(self) -> dict[str, Any]:
        return self.bundle.config

    @property
    def process(self) -> dict[str, Any]:
        return self.bundle.process

    @property
    def linux(self) -> dict[str, Any]:
        return self.bundle.linux

    def _verb(
        self, verb: str, options: Iterable[str], *after: str, check: bool, **popen: Any
    ) -> Call:
        call = self.runtime.call(verb, *options, self.id, *after, **popen)
        self.last = call
        return call.succeeded() if check else call

    def create(self, *options: str, check: bool = True, **popen: Any) -> Call:
        self.bundle.write()
        self.created = self._verb(
            "create", ("--bundle", self.bundle.path, *options), check=check, **popen
        )
        return self.created

    def start(self, check: bool = True, **popen: Any) -> Call:
        return self._verb("start", (), check=check, **popen)

    def kill(self, signal: str = "KILL", *options: str, check: bool = True) -> Call:
        return self._verb("kill", options, signal, check=check)

    def delete(self, *options: str, check: bool = True, **popen: Any) -> Call:
        return self._verb("delete", options, check=check, **popen)

    def run(self, *options: str, check: bool = True, **popen: Any) -> Call:
        self.bundle.write()
        return self._verb("run", ("--bundle", self.bundle.path, *options), check=check, **popen)

    def exec(
        self, *args: str, options: Iterable[str] = (), check: bool = True, **popen: Any
    ) -> Call:
        return self._verb("exec", options, *args, check=check, **popen)

    def verb(self, name: str, *options: str, check: bool = True, **popen: Any) -> Call:
        """Any other verb that takes options and the id."""
        return self._verb(name, options, check=check, **popen)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._verb("state", (), check=True).out)
        return state

    @property
    def status(self) -> str:
        status: str = self.state()["status"]
        return status

    @property
    def pid(self) -> int:
        pid: int = self.state()["pid"]
        return pid

    def args(self, *args: str) -> Container:
        self.process["args"] = list(args)
        return self

    def script(self, script: str) -> Container:
        """Let the container's process be a shell that runs `script`; return self."""
        return self.args("/bin/sh", "-c", script)

    def sh(self, script: str, *options: str, **popen: Any) -> str:
        """`run` a shell script in the foreground; return its stdout, stripped. Status must be 0."""
        return self.script(script).run(*options, **popen).out.strip()

    def lines(self, script: str) -> list[str]:
        return self.sh(script).splitlines()

    def up(self, script: str = "echo up; exec sleep 1000", *options: str) -> int:
        """Create and start; return the pid, once the script has written its first line."""
        self.script(script)
        self.create(*options)
        # Asked for now, as a stopped container has none.
        pid = self.pid
        self.start()
        wait_until(lambda: "\n" in self.created.out, f"output of {script!r}")
        return pid

    def wait(self, pid: int) -> int:
        """Wait for the orphaned container process `pid` and return its exit status, as waitpid."""
        return wait_for_orphan(pid)

    def kill_and_wait(self, signal: str = "KILL") -> None:
        pid = self.pid
        self.kill(signal)
        self.wait(pid)

    def is_rejected(self, pointer: str, *texts: str, verb: str = "create") -> Call:
        """Assert that the config is refused, naming `pointer`, and that nothing came into being.

        Only ocipy is asked for the pointer; `texts` hold for every runtime.
        """
        call = self.create(check=False) if verb == "create" else self.run(check=False)
        assert call.status not in (0, None), call
        call.failed(*texts)
        if self.runtime.is_ocipy:
            assert pointer in call.err, call
        assert not self.runtime.holds(self.id), f"state is left after {call!r}"
        self._verb("state", (), check=False).failed("does not exist")
        return call


def wait_for_orphan(pid: int, seconds: float = WAIT_SECONDS) -> int:
    """Reap `pid`, which must be or become this process's child; return 128+n for a signal n."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        assert time.monotonic() < deadline, f"process {pid} did not end within {seconds} s"
        time.sleep(0.005)


def environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return this process's environment with variables changed, or removed where None."""
    env = dict(os.environ)
    for name, value in changes.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env
