"""What each command costs: whole lives of containers, runtimes taking turns."""

from __future__ import annotations

import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from bench.runtimes import BARE, Sample, await_end

if TYPE_CHECKING:
    from bench.runtimes import Bundles, Meter, Runtime

Samples = dict[str, dict[str, list[Sample]]]  # by command, then by runtime

COMMANDS = ("run", "create", "start", "state", "exec", "kill", "delete", "life A", "life B")
# The interpreter alone is a command of its own, and a runtime of its own.
INTERPRETER = "python3 -I -S -c pass"
WORKERS = 8


def live_once(meter: Meter, runtime: Runtime, bundles: Bundles) -> dict[str, Sample]:
    """Take containers of one runtime through every command, once."""
    at, name = runtime.argv, runtime.id
    taken = {}
    try:
        taken["run"] = meter.run(*at, "run", "--bundle", str(bundles.true), name)

        taken["create"] = meter.run(*at, "create", "--bundle", str(bundles.sleep), name)
        pid = runtime.pid()
        taken["start"] = meter.run(*at, "start", name)
        taken["state"] = meter.run(*at, "state", name)
        taken["exec"] = meter.run(*at, "exec", name, "/bin/true")
        taken["kill"] = meter.run(*at, "kill", name, "KILL")
        await_end(pid)
        taken["delete"] = meter.run(*at, "delete", name)

        parts = [meter.run(*at, "create", "--bundle", str(bundles.true), name)]
        pid = runtime.pid()
        parts.append(meter.run(*at, "start", name))
        started = time.perf_counter()
        await_end(pid)
        waited = Sample((time.perf_counter() - started) * 1000, 0, 0)
        parts += [waited, meter.run(*at, "delete", name)]
        taken["life A"] = total(parts)

        parts = [meter.run(*at, "create", "--bundle", str(bundles.sleep), name)]
        parts.append(meter.run(*at, "start", name))
        parts.append(meter.run(*at, "delete", "--force", name))
        taken["life B"] = total(parts)
    finally:
        runtime.clean()
    return taken


def total(parts: list[Sample]) -> Sample:
    """Return what commands that follow each other cost together."""
    return Sample(
        sum(part.wall for part in parts),
        sum(part.cpu for part in parts),
        max(part.peak for part in parts),
    )


def measure_commands(
    meter: Meter, runtimes: list[Runtime], bundles: Bundles, rounds: int
) -> Samples:
    """Interleave: each round another runtime goes first, so what else happens hits all alike."""
    samples: Samples = {command: {} for command in COMMANDS}
    samples[INTERPRETER] = {"python3": []}
    for number in range(rounds):
        first = number % len(runtimes)
        for runtime in runtimes[first:] + runtimes[:first]:
            for command, sample in live_once(meter, runtime, bundles).items():
                samples[command].setdefault(runtime.name, []).append(sample)
            samples[INTERPRETER]["python3"].append(meter.run(*BARE))
    return samples


def measure_in_a_row(
    meter: Meter, runtimes: list[Runtime], bundles: Bundles, count: int
) -> dict[str, Sample]:
    """Return what `count` runs one after the other cost."""
    return {
        runtime.name: total(
            [
                meter.run(*runtime.argv, "run", "--bundle", str(bundles.true), runtime.id)
                for _ in range(count)
            ]
        )
        for runtime in runtimes
    }


# A shell, because it costs next to nothing itself: what is measured shares the processors with it.
WORK = """ended=0
for _ in $(seq "$1"); do
    if "$2" --root "$3" run --bundle "$4" "$5"; then
        ended=$((ended + 1))
    else  # crun, now and then, when several start at once
        "$2" --root "$3" delete --force "$5"
    fi
done </dev/null >/dev/null 2>&1
echo $ended
"""


def measure_throughput(runtimes: list[Runtime], bundles: Bundles, count: int) -> dict[str, float]:
    """Return runs per second of WORKERS that each make `count` runs; the median of three times."""
    rates: dict[str, list[float]] = {runtime.name: [] for runtime in runtimes}
    for _ in range(3):
        for runtime in runtimes:
            program, _, root = runtime.argv
            began = time.perf_counter()
            workers = [
                subprocess.Popen(
                    ["sh", "-c", WORK, "sh", str(count), program, root, str(bundles.true), name],
                    stdout=subprocess.PIPE,
                )
                for name in (f"{runtime.id}-{number}" for number in range(WORKERS))
            ]
            ended = sum(int(worker.communicate()[0]) for worker in workers)
            rates[runtime.name].append(ended / (time.perf_counter() - began))
    return {name: statistics.median(each) for name, each in rates.items()}
