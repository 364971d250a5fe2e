"""Whole lives of containers, side by side: ocipy, runc, crun, and the interpreter alone.

    python bench/run.py [--ocipy PROGRAM] [--rounds N]

Each round takes every runtime once through each command, and each round another one goes first, so
whatever else the machine does hits all of them alike. A time is from posix_spawn(3) to the reaped
exit, in milliseconds. Every runtime gets the same bundle, its own state root, and no terminal.
Printed are the median, the minimum, the median processor time (user and system, of the runtime and
of what it waited for), and the ratio of the medians to runc's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = ("run", "create", "state", "start", "kill", "delete", "--version")
INTERPRETER = ["/usr/bin/python3", "-I", "-S", "-c", "pass"]
BUSYBOX = "/bin/busybox"
STOP_DEADLINE_SECONDS = 5.0

Sample = tuple[float, float]  # wall clock and processor time, in milliseconds
Samples = dict[tuple[str, str], list[Sample]]


def measure(argv: list[str]) -> Sample:
    """Run a program to its end with /dev/null around it; raise if it fails."""
    null = os.open("/dev/null", os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1)]
    started = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    os.close(null)
    if status:
        raise RuntimeError(f"{' '.join(argv)}: exit status {os.waitstatus_to_exitcode(status)}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def make_bundle(bundle: Path, ocipy: str, *args: str) -> None:
    (bundle / "rootfs" / "bin").mkdir(parents=True)
    for directory in ("dev", "proc", "sys"):
        (bundle / "rootfs" / directory).mkdir()
    shutil.copy(BUSYBOX, bundle / "rootfs" / "bin" / "busybox")
    for applet in ("true", "sleep"):
        (bundle / "rootfs" / "bin" / applet).symlink_to("busybox")
    subprocess.run([ocipy, "spec", "--bundle", str(bundle)], check=True)
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    config["ociVersion"] = "1.0.2"  # what all of them know
    config["process"].update(terminal=False, args=list(args))
    path.write_text(json.dumps(config))


def await_stopped(runtime: list[str], container_id: str) -> None:
    deadline = time.monotonic() + STOP_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        state = subprocess.run([*runtime, "state", container_id], capture_output=True, check=True)
        if json.loads(state.stdout)["status"] == "stopped":
            return
        time.sleep(0.01)
    raise RuntimeError(f"{runtime[0]}: {container_id} did not stop")


def live_once(runtime: list[str], bundles: Path, name: str) -> dict[str, Sample]:
    """Take one container through its life, and another through `run`."""
    container_id = f"bench-{os.getpid()}-{name}"
    sleeper = ["--bundle", str(bundles / "sleep"), container_id]
    try:
        times = {"run": measure([*runtime, "run", "--bundle", str(bundles / "true"), container_id])}
        times["create"] = measure([*runtime, "create", *sleeper])
        times["state"] = measure([*runtime, "state", container_id])
        times["start"] = measure([*runtime, "start", container_id])
        times["kill"] = measure([*runtime, "kill", container_id, "KILL"])
        await_stopped(runtime, container_id)
        times["delete"] = measure([*runtime, "delete", container_id])
        times["--version"] = measure([*runtime, "--version"])
    finally:
        subprocess.run(
            [*runtime, "delete", "--force", container_id], check=False, capture_output=True
        )
    return times


def print_table(samples: Samples, names: list[str]) -> None:
    print(f"{'':10} {'':8} {'median':>8} {'min':>8} {'cpu':>8} {'to runc':>8}   (ms)")
    for command in COMMANDS:
        reference = samples.get(("runc", command))
        for name in names:
            taken = samples[name, command]
            median = statistics.median(wall for wall, _ in taken)
            cpu = statistics.median(cpu for _, cpu in taken)
            line = f"{command:10} {name:8} {median:8.1f} {min(taken)[0]:8.1f} {cpu:8.1f}"
            if reference:
                line += f" {median / statistics.median(wall for wall, _ in reference):7.2f}x"
            print(line)
    alone = samples["python3", "-c pass"]
    median = statistics.median(wall for wall, _ in alone)
    cpu = statistics.median(cpu for _, cpu in alone)
    print(f"{'-I -S pass':10} {'python3':8} {median:8.1f} {min(alone)[0]:8.1f} {cpu:8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--ocipy", default=shutil.which("ocipy"), help="default: from PATH")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    if os.geteuid() != 0 or not options.ocipy:
        sys.exit("bench needs root, and ocipy in PATH or as --ocipy")
    programs = {"ocipy": os.path.abspath(options.ocipy)}
    for name in ("runc", "crun"):
        program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program:
            programs[name] = program
        else:
            print(f"{name} is not installed: not compared", file=sys.stderr)

    samples: Samples = {}
    with tempfile.TemporaryDirectory(prefix="ocipy-bench-") as directory:
        bundles = Path(directory)
        make_bundle(bundles / "true", programs["ocipy"], "/bin/true")
        make_bundle(bundles / "sleep", programs["ocipy"], "/bin/sleep", "1000")
        runtimes = {
            name: [program, "--root", str(bundles / f"state-{name}")]
            for name, program in programs.items()
        }
        for name in programs:  # warms the caches, and finds out who cannot work here
            try:
                live_once(runtimes[name], bundles, name)
            except RuntimeError as error:
                if name == "ocipy":
                    raise
                print(f"not compared: {error}", file=sys.stderr)
                del runtimes[name]
        for number in range(options.rounds):
            names = list(runtimes)
            first = number % len(names)
            for name in names[first:] + names[:first]:
                for command, sample in live_once(runtimes[name], bundles, name).items():
                    samples.setdefault((name, command), []).append(sample)
            samples.setdefault(("python3", "-c pass"), []).append(measure(INTERPRETER))
    print_table(samples, list(runtimes))


if __name__ == "__main__":
    main()
