"""The runtimes that are compared, and how one of their commands is measured."""

from __future__ import annotations

import copy
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

BARE = ("/usr/bin/python3", "-I", "-S", "-c", "pass")
BUSYBOX = "/bin/busybox"


class Sample(NamedTuple):
    """One command: wall clock and processor time in milliseconds, peak memory in KiB."""

    wall: float
    cpu: float
    peak: float


class Meter:
    """bench/measure.c, compiled."""

    def __init__(self, directory: Path) -> None:
        self.program = directory / "measure"
        source = Path(__file__).parent / "measure.c"
        subprocess.run(["gcc", "-O2", "-static", source, "-o", self.program], check=True)

    def run(self, *argv: str, expect: int | None = 0) -> Sample:
        """Measure one command. Raises RuntimeError if its exit status is not the expected one."""
        done = subprocess.run([self.program, *argv], capture_output=True, check=True, text=True)
        wall, cpu, peak, status = map(int, done.stdout.split())
        if expect is not None and status != expect:
            raise RuntimeError(f"{' '.join(argv)}: exit status {status}")
        return Sample(wall / 1000, cpu / 1000, peak)

    def succeeds(self, *argv: str) -> bool:
        done = subprocess.run([self.program, *argv], capture_output=True, check=True, text=True)
        return done.stdout.split()[3] == "0"


class Runtime:
    """One of them, with a state root of its own below `states`."""

    def __init__(self, name: str, program: str, states: Path) -> None:
        self.name = name
        self.root = states / f"state-{name}"
        self.argv = (program, "--root", str(self.root))
        self.id = f"bench-{os.getpid()}-{name}"

    def call(self, *args: str) -> str:
        """Run a command outside of any measurement; return what it prints."""
        done = subprocess.run(
            [*self.argv, *args],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout

    def pid(self, container_id: str = "") -> int:
        return int(json.loads(self.call("state", container_id or self.id))["pid"])

    def create(self, bundle: Path) -> None:
        """Create the container; it keeps none of our pipes."""
        null = subprocess.DEVNULL
        argv = [*self.argv, "create", "--bundle", str(bundle), self.id]
        subprocess.run(argv, stdin=null, stdout=null, stderr=null, check=True)

    def clean(self) -> None:
        subprocess.run([*self.argv, "delete", "--force", self.id], check=False, capture_output=True)


def await_end(pid: int) -> None:
    """Wait until a process has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll()
    os.close(pidfd)


class Bundles:
    """Bundles that share one root file system with busybox in it."""

    def __init__(self, directory: Path, ocipy: str) -> None:
        self.directory = directory
        template = directory / "template"
        (template / "rootfs" / "bin").mkdir(parents=True)
        for name in ("dev", "proc", "sys", "mnt"):
            (template / "rootfs" / name).mkdir()
        shutil.copy(BUSYBOX, template / "rootfs" / "bin" / "busybox")
        for applet in ("true", "sleep"):
            (template / "rootfs" / "bin" / applet).symlink_to("busybox")
        subprocess.run([ocipy, "spec", "--bundle", template], check=True)
        self.config: dict[str, Any] = json.loads((template / "config.json").read_text())
        self.config["ociVersion"] = "1.0.2"  # what all of them know
        self.config["process"]["terminal"] = False
        self.config["root"]["path"] = str(template / "rootfs")
        self.true = self.make("true", self.changed("/bin/true"))
        self.sleep = self.make("sleep", self.changed("/bin/sleep", "1000"))

    def changed(self, *args: str) -> dict[str, Any]:
        """Return a config of its own that runs this."""
        config = copy.deepcopy(self.config)
        config["process"]["args"] = list(args)
        return config

    def make(self, name: str, config: dict[str, Any]) -> Path:
        bundle = self.directory / name
        bundle.mkdir(exist_ok=True)
        (bundle / "config.json").write_text(json.dumps(config))
        return bundle
