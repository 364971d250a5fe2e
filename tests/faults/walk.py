"""The walk: every fault at every point of every verb, for six bundles, each in a life of its own.

    python -m tests.faults.build TREE
    python -m tests.faults.walk TREE [--part I/N] [--each N] [--bundle NAME] [--verb NAME]

For each case: make the container, run the verb with the fault, and then

    truth     `state` and `list` say what is there: process, program, freezer; or that nothing is
    end       `delete --force` succeeds
    traces    processes, cgroups, mounts, state, descriptors, network devices, files are as before

An error or a signal to create or run must leave nothing even without `delete`. Commands run in
children that have the interpreter's start behind them, so that a case takes milliseconds.

The walk is the first process of a pid namespace: whatever ends it ends all that it has started.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import errno
import fcntl
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bundles import Bundle
    from tests.faults.bundles import Neighbours
    from tests.faults.points import Fault, Note
    from tests.faults.world import World

VERBS = (
    "create",
    "run",
    "start",
    "exec",
    "update",
    "pause",
    "resume",
    "kill",
    "delete",
    "delete-force",
)
# Each point meets one of them, in turn.
ERRNOS = (errno.EIO, errno.ENOMEM, errno.EPERM, errno.ENOSPC, errno.EACCES, errno.EMFILE)
CLONE_NEWNET = 0x40000000
DEVICE = "faults0"
# The host's last word to init in `create`: what happens then is for `state` to tell.
LAST_WORD = "the last await_host"
OUTSIDE = "OCIPY_FAULTS_OUTSIDE"
DIRECTORIES = "ocipy-faults-"


class Call:
    """One command, ended: status as waitpid's, output, and whether its fault came to pass."""

    def __init__(self, status: int | None, out: str, err: str, fired: bool, met: str) -> None:
        self.status = status
        self.out = out
        self.err = err
        self.fired = fired
        self.met = met


class Case:
    """One fault in one verb; `name` is what it met while nothing was disturbed."""

    def __init__(self, verb: str, fault: Fault, name: str) -> None:
        self.verb = verb
        self.fault = fault
        self.name = name

    @property
    def kind(self) -> str:
        return f"{self.fault.side} {self.fault.kind}"

    def __str__(self) -> str:
        name = errno.errorcode.get(self.fault.code, "")
        return f"{self.verb}: {self.kind} {self.fault.at} ({self.name}) {name}"


class Walk:
    """All cases of one bundle."""

    def __init__(
        self, bundle: Bundle, name: str, tag: str, neighbours: Neighbours, plant: str = ""
    ) -> None:
        from tests.faults.points import Note
        from tests.faults.world import World

        self.bundle = bundle
        self.name = name
        self.id = f"{tag}-{name}"
        self.directory = os.path.dirname(bundle.path)
        self.root = f"{self.directory}/state"
        self.note: Note = Note()
        own = [process.pid for process in neighbours.processes]
        self.world: World = World(tag, self.root, bundle.path, own)
        self.terminal = bool(bundle.process.get("terminal"))
        self.console = f"{self.directory}/console"
        self.has_device = "netDevices" in bundle.linux
        self.cgroup = bundle.linux["cgroupsPath"]
        self.plant = plant
        self.missed = 0

    # -- commands

    def call(
        self, *words: str, fault: Fault | None = None, init: int = 0, note: bool = False
    ) -> Call:
        """Run one command line of ocipy in a child; with `note`, note the points that it meets."""
        from ocipy.cli import run_command_line
        from tests.faults import points, world

        self.note.clear()
        files = [os.memfd_create(name, 0) for name in ("out", "err")]
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                null = os.open("/dev/null", os.O_RDONLY)
                for source, target in ((null, 0), (files[0], 1), (files[1], 2)):
                    os.dup2(source, target)
                os.closerange(3, 4096)
                if fault is not None or note:
                    points.arm(fault, self.note, init)
                status = run_command_line(["--root", self.root, *words])
            finally:
                points.ARMED.on = False
                os._exit(status)
        pidfd = os.pidfd_open(pid)
        ended = world.wait_for(pidfd)
        os.close(pidfd)
        if not ended:
            self.hanging = f"hangs: {' '.join(words)}"
            os.kill(pid, 9)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out, err = (os.pread(fd, 1 << 20, 0).decode(errors="replace") for fd in files)
        for fd in files:
            os.close(fd)
        lines = self.note.lines()
        return Call(
            status if ended else None, out, err, self.note.fired, lines[-1] if lines else ""
        )

    def must(self, *words: str, fault: Fault | None = None) -> Call:
        call = self.call(*words, fault=fault)
        if call.status != 0:
            raise AssertionError(f"{' '.join(words)}: status {call.status}: {call.err}{call.out}")
        return call

    def words(self, verb: str) -> tuple[str, ...]:
        making: tuple[str, ...] = (
            "--bundle",
            self.bundle.path,
            "--pid-file",
            f"{self.directory}/pid",
        )
        if self.terminal:
            making += ("--console-socket", self.console)
        return {
            "create": ("create", *making, self.id),
            "run": ("run", *(("--detach",) if self.terminal else ()), *making, self.id),
            "exec": ("exec", self.id, "/bin/true"),
            "update": ("update", "--pids-limit", "50", "--memory", "128m", self.id),
            "kill": ("kill", self.id, "KILL"),
            "delete-force": ("delete", "--force", self.id),
        }.get(verb, (verb, self.id))

    def prepare(self, verb: str, fault: Fault | None = None) -> int:
        """Bring the container to where the verb begins; return the pid of its init, or 0."""
        if verb in ("create", "run"):
            if verb == "run" and not self.terminal:
                self.bundle.process["args"] = ["/bin/true"]
            else:
                self.bundle.process["args"] = ["/bin/sleep", "100000"]
            self.bundle.write()
            return 0
        self.bundle.process["args"] = ["/bin/sleep", "100000"]
        self.bundle.write()
        self.must(*self.words("create"), fault=fault if verb == "start" else None)
        pid = self.pid()
        if verb == "start":
            return pid
        if verb == "delete":
            self.must("kill", self.id, "KILL")
            self.wait_for_end(pid)
            return 0
        self.must("start", self.id)
        if verb == "resume":
            self.must("pause", self.id)
        return pid

    def make_device(self) -> None:
        import socket
        import subprocess

        if self.has_device and DEVICE not in [name for _, name in socket.if_nameindex()]:
            peer = f"{DEVICE}p"
            subprocess.run(["ip", "link", "del", peer], capture_output=True)
            command = ["ip", "link", "add", DEVICE, "type", "veth", "peer", "name", peer]
            subprocess.run(command, check=True)

    def pid(self) -> int:
        from tests.faults.world import parse_state

        pid: int = parse_state(self.must("state", self.id).out)["pid"]
        return pid

    def wait_for_end(self, pid: int) -> None:
        from tests.faults.world import until

        assert until(lambda: pid not in self.world.processes()), f"process {pid} does not end"

    # -- cases

    def cases(self, verb: str) -> Iterator[Case]:
        """Run the verb undisturbed, and yield every fault that it can meet."""
        from tests.faults.points import HOST_KINDS, INIT_KINDS, Fault

        self.make_device()
        pid = self.prepare(verb)
        call = self.call(*self.words(verb), init=pid, note=True)
        lines = self.note.lines()
        assert call.status == 0, f"{self.name}: {verb}: {call.err}"
        if verb == "start":
            # The steps are those of the plan that create was given.
            self.must("delete", "--force", self.id)
            self.make_device()
            self.prepare("create")
            self.call(*self.words("create"), note=True)
            lines += [line for line in self.note.lines() if line.startswith("step")]
        self.must("delete", "--force", self.id)
        at = -1
        last_word = [line for line in lines if line.endswith(" await_host")][-1:]
        for line in lines:
            word, first, second, *rest = line.split(" ", 3)
            name = " ".join(rest)
            if [line] == last_word and verb == "create":
                name = LAST_WORD
            if word == "point":
                at += 1
                for kind in HOST_KINDS:
                    if kind in ("term", "kill") and first != "effect":
                        continue
                    if kind == "init" and second != "init":
                        continue
                    code = ERRNOS[at % len(ERRNOS)] if kind == "error" else 0
                    yield Case(verb, Fault("host", kind, at, code), name)
                continue
            for kind in INIT_KINDS:
                if not _belongs(verb, second, name, kind):
                    continue
                step = int(first)
                code = ERRNOS[step % len(ERRNOS)] if kind.startswith("fail") else 0
                yield Case(verb, Fault("init", kind, step, code), name)

    def judge(self, case: Case) -> list[str]:
        """Make one case happen; return what is wrong afterwards."""
        self.hanging = ""
        try:
            self.make_device()
            self.world.remember()
            problems = self._judge(case)
        except Exception as error:  # noqa: BLE001 - one case must not end the walk
            problems = [f"{type(error).__name__}: {error}"]
        if self.hanging:
            problems.append(self.hanging)
        if problems:
            self._clear()
        return problems

    def _judge(self, case: Case) -> list[str]:
        from tests.faults.planted import plant, uproot

        pid = self.prepare(case.verb, case.fault if case.fault.side == "init" else None)
        call = self.call(*self.words(case.verb), fault=case.fault, init=pid)
        problems = []
        in_start = case.verb == "start" and case.fault.kind == "kill-before"
        if not call.fired and case.fault.side == "host":
            # How often a cgroup is busy, and is tried again, is not the same each time.
            self.missed += 1
        elif not call.fired and case.fault.kind == "kill-before":
            problems.append(f"the fault did not come to pass: {call.status} {call.err}")
        if in_start and call.status == -9:
            self._let_init_go_on()
        if (
            call.status == 0
            and case.fault.side == "init"
            and not case.fault.kind.startswith("kill")
            and (case.verb, case.name) not in (("create", LAST_WORD), ("create", "await_start"))
        ):
            problems.append("init failed, and the command did not")
        plant(self.plant, self)
        for word in ("Traceback", "bug in ocipy"):
            if word in call.err:
                problems.append(f"{word}: {call.err}")
        dead = call.status is not None and call.status < 0
        # In the foreground that is how the process has ended: which a fault has killed, or to which
        # our signal was passed on.
        ends = {"host init": 137, "host term": 143}
        its_own = case.verb in ("run", "exec") and call.status == ends.get(case.kind)
        if call.status not in (0, None) and not (dead or its_own or call.err.strip()):
            problems.append(f"no word of the failure, status {call.status}")
        if case.verb in ("create", "run") and call.status != 0 and not dead:
            # Spec (runtime.md#errors): as if it had never been attempted.
            problems += [f"after the failure: {it}" for it in self.world.differences()]
        problems += self._truth(case)
        end = self.call("delete", "--force", self.id)
        if end.status != 0:
            problems.append(f"delete --force: {end.status} {end.err}")
        elif end.err:
            problems.append(f"delete --force says: {end.err}")
        # The kernel destroys a virtual device with its namespace.
        problems += self.world.differences(("network device",) if self.has_device else ())
        uproot(self.plant, self)
        state = self.call("state", self.id)
        if "does not exist" not in state.err:
            problems.append(f"state after delete: {state.out}{state.err}")
        return problems

    def _let_init_go_on(self) -> None:
        fd = os.open(f"{self.root}/{self.id}/report", os.O_WRONLY | os.O_NONBLOCK)
        os.write(fd, b"\0")
        os.close(fd)

    def _truth(self, case: Case) -> list[str]:
        """Is it as `state` and `list` say?"""
        from tests.faults import world

        status, pid = "creating", 0
        deadline = time.monotonic() + world.PATIENCE_SECONDS
        while status == "creating":
            call = self.call("state", self.id)
            if call.status != 0:
                status = ""
                break
            state = world.parse_state(call.out)
            status, pid = state["status"], state["pid"]
            if time.monotonic() > deadline:
                return ["creating for ever"]
        listed = self.id in self.must("list", "--quiet").out.split()
        problems = []
        if listed != bool(status):
            problems.append(f"state says {status!r}, and list says {listed}")
        if not status:
            if "does not exist" not in call.err:
                problems.append(f"state says {call.err!r}")
            # Nothing but an empty directory may be left then.
            problems += [
                f"state says that there is no container: {it}"
                for it in self.world.differences(("state", "network device"))
            ]
        elif status == "stopped":
            if not world.until(lambda: not self.world.processes()):
                problems.append(f"state says stopped: {self.world.look()['process']}")
        elif not world.is_alive(pid):
            # It may have ended since: then state says so now.
            if world.parse_state(self.must("state", self.id).out)["status"] != "stopped":
                problems.append(f"state says {status}, and process {pid} is dead")
        else:
            problems += self._truth_of_life(status, pid, case)
        return problems

    def _truth_of_life(self, status: str, pid: int, case: Case) -> list[str]:
        from tests.faults import world

        problems = []
        if (status == "created") != world.executes_init(pid):
            # init may have become the program, or died, since.
            again = world.parse_state(self.must("state", self.id).out)["status"]
            if again == status and (status == "created") != world.executes_init(pid):
                problems.append(f"state says {status}, and {pid} executes something else")
        if (status == "paused") != bool(self.world.frozen(self.cgroup)):
            problems.append(f"state says {status}, the freezer does not")
        if status in ("running", "paused") and case.verb != "kill":
            # execve(2) shows the program before it has closed what is close-on-exec.
            def has_only_standard_streams() -> bool:
                return set(world.descriptors(pid)) <= {"0", "1", "2"}

            if not world.until(has_only_standard_streams):
                problems.append(f"the program has descriptors {world.descriptors(pid)}")
        if status == "created" and case.verb == "create":
            start = self.call("start", self.id)
            if start.status != 0:
                problems.append(f"created, and start says: {start.err}")
        others = [each for each in self.world.processes() if each != pid]
        if others and not world.until(lambda: self.world.processes() in ([], [pid])):
            problems.append(f"beside the container: {self.world.look()['process']}")
        return problems

    def _clear(self) -> None:
        """Take away what a case has left, so that the next one begins like the first."""
        from tests.faults import world

        for path in self.world.frozen(self.cgroup):
            with open(path, "w", encoding="ascii") as file:
                file.write("THAWED" if path.endswith("state") else "0")
        for pid in self.world.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        world.until(lambda: not self.world.processes())
        self.world.remove_cgroups()
        shutil.rmtree(self.root, ignore_errors=True)


def _belongs(verb: str, place: str, operation: str, kind: str) -> bool:
    """Is this a fault of the step while the verb is at work, and one that can come to pass?"""
    if operation == "exec" and kind.endswith("after"):
        return False
    if operation == "await_start":
        # Between its two halves `create` ends and `start` begins; nobody listens before it.
        wanted = {"create": ("fail-before", "die-before"), "start": ("fail-after", "die-after")}
        return kind in wanted.get(verb, ())
    places = {"create": ("init",), "start": ("start",)}.get(verb, ("init", "start"))
    return place in places


def enter_pid_namespace() -> None:
    """Go on as the first process of a pid namespace, which ends with its parent, too.

    The parent is unshare(1), in this process's place; OUTSIDE is its pid, which no other walk has.
    """
    if OUTSIDE in os.environ:
        return
    os.environ[OUTSIDE] = f"{os.getpid():x}"
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execvp(unshare[0], [*unshare, sys.executable, *sys.orig_argv[1:]])


def make_directory() -> str:
    """Make the walk's directory, with a lock that is held to the walk's end."""
    new = tempfile.mkdtemp(prefix="new-ocipy-faults-")
    os.chmod(new, 0o755)
    fcntl.flock(os.open(new, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_EX)
    # The name by which clear_dead_walks() knows it, not before it is locked.
    directory = f"{tempfile.gettempdir()}/{DIRECTORIES}{os.environ[OUTSIDE]}"
    os.rename(new, directory)
    return directory


def clear_dead_walks() -> None:
    """Remove the files and cgroups of walks that were killed: nobody holds their directories."""
    from tests.faults.world import World

    for path in Path(tempfile.gettempdir()).glob(f"{DIRECTORIES}*"):
        try:
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # its walk has just ended
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            outside = path.name.removeprefix(DIRECTORIES)
            World(f"oci{outside}faults", "", "", ()).remove_cgroups()
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass  # it walks
        finally:
            os.close(held)


def _import_everything(tree: str) -> None:
    """Import what commands would import in each child."""
    import pkgutil

    import ocipy

    assert ocipy.__file__.startswith(tree), ocipy.__file__
    for module in pkgutil.walk_packages(ocipy.__path__, "ocipy."):
        if "_native." not in module.name and not module.name.endswith("__main__"):
            __import__(module.name)


def part_of(cases: list[Case], arguments: argparse.Namespace, seed: str) -> list[Case]:
    """Return the cases of this part; with --each, only so many of each kind, chosen at random."""
    if arguments.each:
        by_kind = collections.defaultdict(list)
        for case in cases:
            by_kind[case.kind].append(case)
        chosen = random.Random(seed)
        cases = [
            case
            for some in by_kind.values()
            for case in chosen.sample(some, min(arguments.each, len(some)))
        ]
    index, count = map(int, arguments.part.split("/"))
    return cases[index - 1 :: count]


def walk_bundle(
    name: str, directory: str, arguments: argparse.Namespace
) -> tuple[dict[tuple[str, str], int], list[str]]:
    from tests.faults.bundles import Neighbours, make_bundle

    tag = f"oci{os.environ[OUTSIDE]}faults{name[:3]}"
    here = f"{directory}/{tag}"
    os.mkdir(here)
    os.chmod(here, 0o755)
    neighbours = Neighbours(here)
    counts: dict[tuple[str, str], int] = collections.Counter()
    found = []
    try:
        neighbours.receiver("console")
        bundle = make_bundle(name, f"{here}/bundle", tag, neighbours, f"{directory}/busybox")
        walk = Walk(bundle, name, tag, neighbours, arguments.plant)
        # Mount points that a first life makes in the image stay, as with every runtime.
        walk.make_device()
        walk.prepare("create")
        for words in (walk.words("create"), ("start", walk.id), ("delete", "--force", walk.id)):
            walk.must(*words)
        for verb in arguments.verb or VERBS:
            try:
                cases = part_of(list(walk.cases(verb)), arguments, f"{name} {verb}")
            except Exception as error:  # noqa: BLE001 - one verb must not end the walk
                found.append(f"{name}: {verb}, undisturbed: {type(error).__name__}: {error}")
                sys.stderr.write(f"{found[-1]}\n")
                walk._clear()
                continue
            sys.stderr.write(f"{name}: {verb}: {len(cases)} cases\n")
            for case in cases:
                counts[verb, case.kind] += 1
                if arguments.count:
                    continue
                problems = walk.judge(case)
                if problems:
                    found += [f"{name}: {case}: {problem}" for problem in problems]
                    sys.stderr.write("\n".join(found[-len(problems) :]) + "\n")
        # A few of many; all of them would be a walk that walks nowhere.
        if walk.missed > max(2, sum(counts.values()) // 20):
            found.append(f"{name}: {walk.missed} faults did not come to pass")
            sys.stderr.write(f"{found[-1]}\n")
    finally:
        neighbours.end()
        shutil.rmtree(here, ignore_errors=True)
    return counts, found


def table(counts: dict[tuple[str, str], int]) -> str:
    """Return the number of cases by verb and kind, as a table in Markdown."""
    kinds = sorted({kind for _, kind in counts})
    lines = ["| | " + " | ".join(kinds) + " | all |", "| --- |" + " ---: |" * (len(kinds) + 1)]
    for verb in [*VERBS, "all"]:
        row = [
            sum(n for (v, k), n in counts.items() if verb in (v, "all") and k == kind)
            for kind in kinds
        ]
        if any(row):
            lines.append(f"| {verb} | " + " | ".join(map(str, [*row, sum(row)])) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", help="what tests.faults.build has made")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every Nth case from I on")
    parser.add_argument("--each", type=int, default=0, help="so many cases of each kind only")
    parser.add_argument("--bundle", action="append")
    parser.add_argument("--verb", action="append")
    parser.add_argument("--plant", default="", help="leave this behind (see planted.py)")
    parser.add_argument("--rest", type=float, default=0, help="seconds to wait for rest")
    parser.add_argument("--count", action="store_true", help="count the cases, and walk none")
    arguments = parser.parse_args()
    enter_pid_namespace()
    # Before anything of ocipy is imported: it has to be the tree's, and its calls be watched.
    sys.path.insert(0, os.path.abspath(arguments.tree))
    from tests.faults import points

    points.watch_everything()
    _import_everything(os.path.abspath(arguments.tree))
    from tests.bundles import BUSYBOX
    from tests.faults import world
    from tests.faults.bundles import BUNDLES

    world.REST_SECONDS = arguments.rest or world.REST_SECONDS
    assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0, "needs root"
    clear_dead_walks()
    directory = make_directory()
    # Linked into every bundle, which takes the same file system.
    shutil.copy2(BUSYBOX, f"{directory}/busybox")
    counts: dict[tuple[str, str], int] = collections.Counter()
    found = []
    started = time.monotonic()
    try:
        for name in arguments.bundle or BUNDLES:
            some, problems = walk_bundle(name, directory, arguments)
            for key, count in some.items():
                counts[key] += count
            found += problems
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(table(counts))
    print(
        f"{sum(counts.values())} cases in {time.monotonic() - started:.0f} s, {len(found)} problems"
    )
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
