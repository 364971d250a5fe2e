"""Containers by the thousand, and what of them is left: nothing.

    python -m tests.soak.soak --lives 10000 --parallel 8 --alive 500 --storms 40

Three parts. Alive: many run at once. Storms: on one container, threads call whatever comes to their
mind at the same time. Lives: each container is created, started, killed and deleted, several at a
time. In all of them a share of the ocipy processes is killed with SIGKILL at some moment; then
`state` must still tell the truth, and `delete --force` remove all of it.

The status is 1 if anything was not as it should be; it is listed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import math
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.bundles import BUSYBOX, Bundle
from tests.conftest import runtime_path
from tests.integration import leftovers
from tests.soak import machine
from tests.soak.calls import Calls, Done

if TYPE_CHECKING:
    from collections.abc import Callable

GONE = "does not exist"
SLEEPS = ["/bin/sleep", "1000000"]
# What state may say after a command was killed (docs/lifecycle.md), beside that there is none.
AFTER_KILLED: dict[str, set[str]] = {
    "create": {"creating", "created", "stopped"},
    "start": {"created", "running"},
    "run": {"creating", "running", "stopped"},
    "exec": {"running"},
    "kill": {"running", "stopped"},
    "delete": {"running", "stopped"},
}
# Not pause: an exec that has come in before it would wait for the resume.
STORM = (
    ("create",),
    ("start",),
    ("start",),
    ("kill", "KILL"),
    ("kill", "TERM"),
    ("exec",),
    ("exec",),
    ("state",),
    ("delete",),
    ("delete", "--force"),
)


class Soak:
    """The whole of it; `tag` is in the name of everything that is made."""

    def __init__(self, given: argparse.Namespace, directory: str, tag: str) -> None:
        self.given, self.directory, self.tag = given, directory, tag
        self.calls = Calls(runtime_path(), f"{directory}/state", directory)
        self.deadline = time.monotonic() + given.seconds
        self.samples: list[tuple[str, dict[str, int]]] = []
        self.hierarchies = leftovers.cgroup_roots()
        self.busybox = shutil.copy2(BUSYBOX, f"{directory}/busybox")

    # -- containers

    def bundle(self, name: str, args: list[str]) -> Bundle:
        bundle = Bundle(f"{self.directory}/{name}", self.busybox, "soak", "")
        bundle.process["args"] = args
        # By the id of the container, whatever this will be.
        del bundle.linux["cgroupsPath"]
        bundle.write()
        return bundle

    def status(self, container: str) -> str:
        """Return what `state` says, "" if there is no such container."""
        done = self.calls.call("state", container)
        if done.status == 0:
            status: str = json.loads(done.out)["status"]
            return status
        if GONE not in done.err:
            self.calls.problem(f"no answer: {done!r}")
        return ""

    def says(self, container: str, after: Done) -> None:
        """A command was killed: what is said of the container now is one of what can be."""
        status = self.status(container)
        if status and status not in AFTER_KILLED[after.words[0]]:
            self.calls.problem(f"{container} is {status} after a killed {after.words}")

    def remove(self, container: str) -> None:
        """Delete a container, whatever has happened to it, and see that it is gone."""
        self.calls.must("delete", "--force", container)
        self.is_gone(container)

    def is_gone(self, container: str) -> None:
        """There is neither a state nor a cgroup any more; the end of the part looks at all else."""
        if os.path.lexists(f"{self.calls.root}/{container}"):
            self.calls.problem(f"state of {container} is left")
        for root in self.hierarchies:
            if os.path.exists(f"{root}/{container}"):
                self.calls.problem(f"a cgroup of {container} is left in {root}")

    # -- lives

    def life(self, container: str, bundle: Bundle, chance: random.Random) -> None:
        """One container from its creation to its end; some command of it may be killed."""
        calls, share = self.calls, self.given.kill
        make = ("--bundle", bundle.path, container)
        verbs = [("create", *make), ("start", container), ("exec", container, "/bin/true")]
        verbs += [("kill", container, "KILL"), ("delete", "--force", container)]
        if chance.random() < 0.25:
            verbs = [("run", "--detach", *make), *verbs[2:]]
        for words in verbs:
            done = calls.call(*words, killer=chance, share=share / len(verbs))
            if done.killed:
                self.says(container, done)
                self.remove(container)
                break
            if done.status != 0:
                calls.problem(f"failed: {done!r}")
                self.remove(container)
                break
        self.is_gone(container)
        calls.counts["lives"] += 1

    def lives(self) -> None:
        counter = iter(range(self.given.lives))
        lock = threading.Lock()

        def work(worker: int) -> None:
            chance = random.Random(self.given.seed * 1000 + worker)
            bundle = self.bundle(f"worker{worker}", SLEEPS)
            while True:
                with lock:
                    number = next(counter, None)
                if number is None or time.monotonic() > self.deadline:
                    return
                self.life(f"{self.tag}-l{number}", bundle, chance)
                if number % max(1, self.given.lives // 10) == 0:
                    self.sample(f"life {number}")

        self.in_parallel(work, self.given.parallel)

    # -- many at once

    def alive(self) -> None:
        bundle = self.bundle("alive", SLEEPS)
        names = [f"{self.tag}-a{number}" for number in range(self.given.alive)]

        def start(number: int) -> None:
            chance = random.Random(self.given.seed * 1000 + number)
            words = ("run", "--detach", "--bundle", bundle.path, names[number])
            if self.calls.call(*words, killer=chance, share=self.given.kill).killed:
                self.remove(names[number])
                self.calls.must(*words)

        def visit(number: int) -> None:
            self.calls.must("exec", names[number], "/bin/true")

        def remove(number: int) -> None:
            self.remove(names[number])

        self.in_parallel(start, self.given.alive)
        listed = self.calls.must("list", "--format", "json")
        found = {entry["id"]: entry["status"] for entry in json.loads(listed.out) or ()}
        running = [name for name in names if found.get(name) == "running"]
        if running != names:
            self.calls.problem(f"{len(running)} of {len(names)} run")
        self.calls.counts["alive at once"] = len(running)
        self.sample(f"{len(running)} alive")
        self.in_parallel(visit, min(50, self.given.alive))
        self.in_parallel(remove, self.given.alive)

    # -- storms

    def storms(self) -> None:
        bundle = self.bundle("storm", SLEEPS)

        def storm(number: int) -> None:
            container = f"{self.tag}-s{number}"

            def rage(worker: int) -> None:
                chance = random.Random(self.given.seed * 100000 + number * 100 + worker)
                for _ in range(self.given.commands):
                    self.strike(container, bundle, chance)

            threads = [threading.Thread(target=rage, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.is_true(container)
            self.remove(container)
            self.calls.counts["storms"] += 1

        # Each has four threads of its own.
        self.in_parallel(storm, self.given.storms, max(1, self.given.parallel // 4))

    def strike(self, container: str, bundle: Bundle, chance: random.Random) -> None:
        """Call one of STORM; it may succeed or be refused, and it ends."""
        verb, *options = chance.choice(STORM)
        words = [verb, container, *options]
        if verb == "create":
            words = [verb, "--bundle", bundle.path, container]
        elif verb == "exec":
            words = [verb, container, "/bin/true"]
        elif verb == "delete":
            words = [verb, *options, container]
        done = self.calls.call(*words, killer=chance, share=self.given.kill)
        self.calls.counts[f"storm: {verb}"] += 1
        if done.status not in (0, 1, 255, -9, 137) or (done.status == 1 and not done.err):
            self.calls.problem(f"an odd end: {done!r}")

    def is_true(self, container: str) -> None:
        """Now that nobody is at work on it: what state says of the process is so."""
        done = self.calls.call("state", container)
        if done.status != 0:
            if GONE not in done.err:
                self.calls.problem(f"no answer: {done!r}")
            return
        state = json.loads(done.out)
        try:
            with open(f"/proc/{state['pid']}/comm", encoding="utf-8") as comm:
                name = comm.read().strip()
        except OSError:
            name = ""
        is_init = name == "ocipy:[init]"
        expected = {
            "created": is_init,
            "running": name == "sleep",
            "stopped": state["pid"] == 0,
            # A create was killed, and its init has not yet seen that.
            "creating": is_init or name == "",
        }
        if not expected.get(state["status"]):
            self.calls.problem(f"not true: {done.out} while the process is {name!r}")

    # -- around them

    def in_parallel(self, work: Callable[[int], None], count: int, workers: int = 0) -> None:
        with concurrent.futures.ThreadPoolExecutor(workers or self.given.parallel) as pool:
            for future in [pool.submit(work, number) for number in range(count)]:
                try:
                    future.result()
                except Exception as error:  # noqa: BLE001 - one more thing that went wrong
                    self.calls.problem(f"{type(error).__name__}: {error}")

    def sample(self, when: str) -> None:
        self.samples.append((when, machine.sample()))
        sys.stderr.write(f"{when}: {len(self.calls.problems)} problems\n")

    def part(self, name: str, run: Callable[[], None]) -> None:
        """Run a part; afterwards nothing with the tag may be left on the machine."""
        began = time.monotonic()
        run()
        self.calls.counts[f"seconds of {name}"] = round(time.monotonic() - began)
        for line in _left(self.tag, self.calls.root, self.given.patience):
            self.calls.problem(f"left by {name}: {line}")
        self.sample(f"after {name}")

    def run(self) -> bool:
        """Run all parts; return whether all was well."""
        self.sample("before")
        self.part("alive", self.alive)
        self.part("storms", self.storms)
        self.part("lives", self.lives)
        self.calls.close()
        report: list[str] = [machine.table(self.samples)]
        report += [f"{count} {name}\n" for name, count in sorted(self.calls.counts.items())]
        report += [f"{len(self.calls.problems)} problems\n"]
        report += [f"* {problem}\n" for problem in self.calls.problems[:50]]
        sys.stdout.write("".join(report))
        return not self.calls.problems


def _left(tag: str, root: str, seconds: float) -> list[str]:
    """As leftovers.describe(), without this process's own children: the reaper has those."""
    deadline = time.monotonic() + seconds
    while True:
        lines = [f"process {pid}: {why}" for pid, why in leftovers.processes(tag).items()]
        lines += [f"cgroup {path}" for path in leftovers.cgroups(tag)]
        lines += [f"mount {path}" for path in leftovers.mounts(tag)]
        if os.path.isdir(root):
            lines += [f"state of {name}" for name in set(os.listdir(root)) - leftovers.KEPT]
        if not lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.1)


def parse(arguments: list[str] | None = None) -> Any:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lives", type=int, default=10000)
    parser.add_argument("--parallel", type=int, default=8, help="commands at the same time")
    parser.add_argument("--alive", type=int, default=500, help="containers that run at once")
    parser.add_argument("--storms", type=int, default=40, help="containers that all fight about")
    parser.add_argument("--commands", type=int, default=40, help="of each of a storm's 4 threads")
    parser.add_argument("--kill", type=float, default=0.1, help="share that is killed")
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="when no further life begins"
    )
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for all to end")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    # Not in its own command line: what bears it is a container's.
    tag = f"soak{os.getpid():x}z"
    directory = tempfile.mkdtemp(prefix=f"{tag}-")
    os.chmod(directory, 0o755)
    try:
        return 0 if Soak(given, directory, tag).run() else 1
    finally:
        leftovers.remove(tag)
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
