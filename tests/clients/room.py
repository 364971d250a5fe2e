"""A room: private namespaces on this host, for daemons that a test must be able to lose entirely.

Its first process holds new mount, PID, network, IPC and UTS namespaces and ends when its standard
input closes. So whatever becomes of the test, SIGKILL included, the kernel then kills every daemon,
shim and container in there, and drops their mounts and interfaces. Files can only be left below
`directory`, cgroups only below the parent that the clients are given; both are the caller's.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Self

from tests.clients.dialogue import Dialogue
from tests.probes import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable

# What a call may take on a slow virtual machine; a hanging runtime must not hang the tests.
SECONDS = 150

# /run is private, so that two tests never see each other's default state root. podman makes
# directories for controllers that are not mounted: they go to a tmpfs of its own (cgroup v1).
SETUP = """
set -eu
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock
if [ "$(stat -f -c %T /sys/fs/cgroup)" = tmpfs ]; then
	mkdir "$1/cgroup"
	mount -t tmpfs -o mode=755 tmpfs "$1/cgroup"
	for d in /sys/fs/cgroup/*; do
		if [ -L "$d" ]; then
			cp -d "$d" "$1/cgroup/"
		elif mountpoint -q "$d"; then
			mkdir "$1/cgroup/${d##*/}"
			mount --bind "$d" "$1/cgroup/${d##*/}"
		fi
	done
	mount --make-private "$1/cgroup"
	mount --rbind "$1/cgroup" /sys/fs/cgroup
fi
ip link set lo up
echo ready
read -r _ || :
"""


class Room:
    """The namespaces, from `with` to its end; `environment` is what every command in it gets.

    `pid` is the first process in there, as this process sees it.
    """

    def __init__(self, directory: str, environment: dict[str, str]) -> None:
        self.directory = directory
        self.environment = {
            "PATH": PROGRAMS,
            "HOME": directory,
            "TMPDIR": directory,
            "TERM": "xterm",
        } | environment
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        unshare = [
            "unshare",
            "-m",
            "-p",
            "-n",
            "-i",
            "-u",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]
        self._process = subprocess.Popen(
            [*unshare, "bash", "-c", SETUP, "room", self.directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", "cannot make the namespaces"
        unshare_pid = self._process.pid
        with open(f"/proc/{unshare_pid}/task/{unshare_pid}/children") as children:
            self.pid = int(children.read())
            self._nsenter = [
                "nsenter",
                "-t",
                str(self.pid),
                "-m",
                "-p",
                "-n",
                "-i",
                "-u",
            ]
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()
        for daemon in self._daemons:
            daemon.wait()

    def run(
        self, *command: str, stdin: str | None = None, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; with `check`, fail the test if it does not succeed."""
        done = subprocess.run(
            [*self._nsenter, "--", *command],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.directory,
            timeout=SECONDS,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
        return done

    def output(self, *command: str) -> str:
        """Run a command that must succeed; return its standard output without the last newline."""
        return self.run(*command, check=True).stdout.rstrip("\n")

    def start_daemon(self, log: str, *command: str) -> None:
        """Start a command in the background; it ends with the room at the latest."""
        with open(f"{self.directory}/{log}", "ab") as output:
            self._daemons.append(
                subprocess.Popen(
                    [*self._nsenter, "--", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self.environment,
                    cwd=self.directory,
                )
            )

    def talk(self, *command: str) -> Dialogue:
        """Start a command on a new terminal."""
        return Dialogue([*self._nsenter, "--", *command], self.environment, self.directory, SECONDS)

    def processes(self) -> dict[int, str]:
        """Return the processes in there as pid: command line, but the first and the asking one."""
        listed = self.output("ps", "-eo", "pid=,stat=,args=")
        found = {}
        for line in listed.splitlines():
            pid, stat, command = line.split(None, 2)
            if pid != "1" and not stat.startswith("Z") and not command.startswith("ps -eo"):
                found[int(pid)] = command
        return found


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something that takes the client a moment; fail the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.05)
