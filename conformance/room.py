"""The room in which one case runs: a bundle, a runtime's private state root, and the operations.

Output goes to files, never to pipes: a container outlives `create` and keeps what it inherited.
This process is a child subreaper, so the container's process becomes its child when `create` ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance import bundle, leftovers
from conformance.case import Failure, NotHere

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_CHILD_SUBREAPER = 36
# Generous: a case that fails for want of time says nothing about the runtime.
CALL_SECONDS = 60.0
ABSENT = object()
_counter = 0


@dataclass
class Answer:
    """What one call of the runtime came to."""

    command: str
    status: int
    out: str
    err: str

    def __str__(self) -> str:
        said = (self.err or self.out).strip()
        return f"{self.command}: status {self.status}, {said!r}"


class Room:
    """One case's bundle and container; `config` may be changed until `create`."""

    def __init__(self, runtime: str, directory: str, busybox: str) -> None:
        global _counter
        _counter += 1
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.runtime = runtime
        self.tag = f"conformance-{os.getpid()}-{_counter}"
        self.directory = f"{directory}/{self.tag}"
        self.bundle, self.state_root = f"{self.directory}/bundle", f"{self.directory}/state"
        self.rootfs = f"{self.bundle}/rootfs"
        self.id = self.tag
        os.makedirs(self.bundle)
        os.mkdir(self.state_root)
        bundle.write_rootfs(self.rootfs, busybox)
        self.config = bundle.minimal_config(f"/{self.tag}")
        self.mistakes: list[dict[str, str]] = []
        self.pid = 0
        self.output = ""

    # -- the configuration

    @property
    def process(self) -> dict[str, Any]:
        process: dict[str, Any] = self.config["process"]
        return process

    @property
    def linux(self) -> dict[str, Any]:
        linux: dict[str, Any] = self.config["linux"]
        return linux

    def mount(self, destination: str, fstype: str, source: str, *options: str) -> dict[str, Any]:
        """Add a mount and return its entry."""
        entry = bundle.mount(destination, fstype, source, *options)
        self.config["mounts"].append(entry)
        return entry

    def namespace(self, kind: str, path: str | None = None) -> None:
        """Ask for a namespace of this type: a new one, or the one at `path`."""
        self.without_namespace(kind)
        entry = {"type": kind} | ({"path": path} if path is not None else {})
        self.linux["namespaces"].append(entry)

    def without_namespace(self, kind: str) -> None:
        kept = [ns for ns in self.linux["namespaces"] if ns["type"] != kind]
        self.linux["namespaces"] = kept

    def user_namespace(self, host_id: int = 100000, size: int = 65536) -> None:
        """Ask for a user namespace, and give the root file system to its root."""
        self.namespace("user")
        mapping = [{"containerID": 0, "hostID": host_id, "size": size}]
        self.linux["uidMappings"] = self.linux["gidMappings"] = mapping
        for directory in (self.directory, self.bundle):
            os.chmod(directory, 0o755)
        for top, directories, _ in os.walk(self.rootfs):
            for name in (".", *directories):
                os.chown(f"{top}/{name}", host_id, host_id)

    def set(self, pointer: str, value: Any) -> None:
        """Set the value at a JSON pointer, making objects on the way; ABSENT takes it away."""
        *way, last = pointer.removeprefix("/").split("/")
        following = [*way, last][1:]
        here: Any = self.config
        for name, after in zip(way, following, strict=True):
            if isinstance(here, list):
                here = here[int(name)]
            else:
                here = here.setdefault(name, [] if after.isdigit() else {})
        key: Any = last
        if isinstance(here, list):
            key = int(last)
            if key == len(here):
                here.append(None)
        if value is ABSENT:
            here.pop(key, None)
        else:
            here[key] = value

    def script(self, text: str) -> None:
        """Let the container's process be a shell that runs `text`."""
        self.process["args"] = ["/bin/sh", "-c", text]

    def file(self, path: str, text: str, mode: int = 0o644) -> str:
        """Write a file below the room's directory; return its path."""
        whole = os.path.join(self.directory, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(whole, mode)
        return whole

    def write_config(self, text: str | bytes | None = None) -> None:
        if text is None:
            text = json.dumps(self.config)
        data = text if isinstance(text, bytes) else text.encode()
        with open(f"{self.bundle}/config.json", "wb") as file:
            file.write(data)

    # -- the operations

    def call(self, *args: str, env: dict[str, str] | None = None, **popen: Any) -> Answer:
        """Call the runtime and return what it answered; `stdout` may be a file of the caller's."""
        command = [self.runtime, "--root", self.state_root, *args]
        with (
            tempfile.TemporaryFile(dir=self.directory) as out,
            tempfile.TemporaryFile(dir=self.directory) as err,
        ):
            popen.setdefault("stdin", subprocess.DEVNULL)
            popen.setdefault("stdout", out)
            popen.setdefault("stderr", err)
            process = subprocess.Popen(command, env=env, **popen)
            try:
                status = process.wait(CALL_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise Failure(f"{args[0]} did not end within {CALL_SECONDS:g} s") from None
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        return Answer(args[0], status, *texts)

    def try_create(self, *options: str, write: bool = True) -> Answer:
        """Create, whatever comes of it. The container's output goes to a file of its own."""
        if write:
            self.write_config()
        self.output = f"{self.directory}/output"
        with open(self.output, "w") as out, open(f"{self.directory}/errors", "w") as err:
            answer = self.call(
                "create", "--bundle", self.bundle, "--pid-file", f"{self.directory}/pid", *options,
                self.id, stdout=out, stderr=err,
            )  # fmt: skip
        with open(f"{self.directory}/errors", encoding="utf-8", errors="replace") as err:
            answer.err = err.read()
        return answer

    def create(self, *options: str, write: bool = True) -> Answer:
        answer = self.ok(self.try_create(*options, write=write))
        with open(f"{self.directory}/pid", encoding="utf-8") as file:
            self.pid = int(file.read())
        return answer

    def start(self) -> Answer:
        return self.ok(self.call("start", self.id))

    def kill(self, signal: str = "KILL") -> Answer:
        return self.ok(self.call("kill", self.id, signal))

    def delete(self) -> Answer:
        return self.ok(self.call("delete", self.id))

    def ok(self, answer: Answer) -> Answer:
        if answer.status != 0:
            raise Failure(str(answer))
        return answer

    def refused(self, answer: Answer) -> Answer:
        """The operation must have generated an error."""
        if answer.status == 0:
            raise Failure(f"{answer.command} succeeds")
        return answer

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.ok(self.call("state", self.id)).out)
        return state

    def wait(self) -> int:
        """Wait for the container's process; return its exit status, 128+n for a signal n."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            pidfd = -1
        if pidfd >= 0:
            ready, _, _ = select.select([pidfd], [], [], CALL_SECONDS)
            os.close(pidfd)
            if not ready:
                raise Failure(f"the container did not end within {CALL_SECONDS:g} s")
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            return 0  # reaped by somebody else
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + CALL_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise Failure(f"not within {CALL_SECONDS:g} s: {what}")
            time.sleep(0.01)

    def read_output(self) -> str:
        with open(self.output, encoding="utf-8", errors="replace") as file:
            return file.read()

    def run(self, script: str | None = None) -> str:
        """Create, start, wait for status 0, delete; return what the container wrote, stripped."""
        if script is not None:
            self.script(script)
        self.create()
        self.start()
        status = self.wait()
        output = self.read_output().strip()
        if status != 0:
            raise Failure(f"the container's process ends with {status}; it wrote {output!r}")
        self.delete()
        return output

    def up(self, script: str = "") -> None:
        """Create and start a container that waits, once its script has run."""
        self.script(f"{script}\necho up; exec sleep 1000")
        self.create()
        self.start()
        self.until(lambda: self.read_output().endswith("up\n"), "the container's output")

    def end(self) -> None:
        """Kill, wait, delete."""
        self.kill()
        self.wait()
        self.delete()

    # -- verdicts

    def equal(self, found: object, wanted: object, what: str = "found") -> None:
        if found != wanted:
            raise Failure(f"{what}: {found!r} instead of {wanted!r}")

    def holds(self, condition: object, otherwise: str) -> None:
        if not condition:
            raise Failure(otherwise)

    def accepts(self) -> None:
        """The configuration must be created, and be gone after delete."""
        self.create()
        self.start()
        self.wait()
        self.delete()

    def rejects(self, pointer: str, late: bool = False, text: str | bytes | None = None) -> Answer:
        """The configuration must be refused by create, with nothing left behind.

        `late`: properties of `process` may also be applied by start; then create may succeed, and
        start must fail. `pointer` is the field that is wrong: reports compare who names it.
        """
        self.write_config(text)
        answer = self.try_create(write=False)
        self.mistakes.append({
            "pointer": pointer, "value": self._shown(pointer, text), "status": str(answer.status),
            "message": answer.err.strip(),
        })  # fmt: skip
        mistake = self.mistakes[-1]
        if answer.status == 0 and late:
            with open(f"{self.directory}/pid", encoding="utf-8") as file:
                self.pid = int(file.read())
            answer = self.call("start", self.id)
            mistake |= {"status": str(answer.status), "message": answer.err.strip()}
            if answer.status != 0:
                self.call("delete", "--force", self.id)
        if answer.status == 0:
            mistake["message"] = ""
            raise Failure(f"{answer.command} accepts it")
        self.nothing_is_left()
        return answer

    def nothing_is_left(self) -> None:
        self.reap()
        if left := leftovers.find(self.tag, f"{self.state_root}/{self.id}"):
            raise Failure("left behind: " + "; ".join(left))

    def _shown(self, pointer: str, text: str | bytes | None) -> str:
        if text is not None:
            return "(see the case)"
        here: Any = self.config
        for name in filter(None, pointer.split("/")):
            try:
                here = here[int(name)] if isinstance(here, list) else here[name]
            except (KeyError, IndexError, TypeError):
                return "absent"
        return json.dumps(here)[:120]

    def needs(self, reason: str) -> None:
        """Leave the case if there is a reason why it cannot be tried here."""
        if reason:
            raise NotHere(reason)

    # -- the end

    def reap(self) -> None:
        """Reap whatever the container's processes have left us."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def close(self) -> list[str]:
        """Remove container and bundle; return what a delete --force has left."""
        if os.listdir(self.state_root):
            for name in os.listdir(self.state_root):
                if not name.startswith("."):
                    self.call("delete", "--force", name)
        if self.pid:
            try:
                os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pass
        leftovers.remove(self.tag)
        shutil.rmtree(self.directory, ignore_errors=True)
        return []
