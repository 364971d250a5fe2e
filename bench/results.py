"""What was measured, and what of it is asked for."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bench.commands import Samples
    from bench.growth import Growth
    from bench.runtimes import Sample


# What has three commands.
LIVES = ("life A", "life B")


class Figures(NamedTuple):
    """Of the samples of one command by one runtime: milliseconds, and KiB of peak memory."""

    minimum: float
    median: float
    p95: float
    cpu: float
    peak: float


def figures(samples: list[Sample]) -> Figures:
    walls = sorted(sample.wall for sample in samples)
    return Figures(
        walls[0],
        statistics.median(walls),
        walls[min(len(walls) - 1, round(0.95 * (len(walls) - 1)))],
        statistics.median(sample.cpu for sample in samples),
        statistics.median(sample.peak for sample in samples),
    )


class Results(NamedTuple):
    """All of one benchmark. `row`: 100 runs, seconds and CPU seconds; `rates`: runs per second."""

    machine: str
    rounds: int
    names: list[str]
    interpreter: Figures
    commands: dict[str, dict[str, Figures]]
    row: dict[str, tuple[float, float]]
    rates: dict[str, float]
    created: dict[str, int]
    running: dict[str, int]
    limits: dict[str, int]
    growth: Growth


class Target(NamedTuple):
    """A ratio that is asked for, and what it is.

    `limit` is what the interpreter's own starts and all that crun does come to, wall clock and CPU.
    """

    what: str
    most: float
    wall: float
    cpu: float | None = None
    limit: tuple[float, float] | None = None

    @property
    def is_met(self) -> bool:
        return self.wall <= self.most and (self.cpu is None or self.cpu <= self.most)


def summarise(samples: Samples, interpreter: str) -> tuple[Figures, dict[str, dict[str, Figures]]]:
    """Return the figures of the interpreter alone, and those of each command by each runtime."""
    commands = {
        command: {name: figures(taken) for name, taken in by_name.items()}
        for command, by_name in samples.items()
        if command != interpreter
    }
    return figures(samples[interpreter]["python3"]), commands


def targets(results: Results) -> list[Target]:
    """Return what is asked for of ocipy, beside runc and the interpreter alone."""
    bare, commands = results.interpreter, results.commands
    found = []
    if "runc" in results.names:
        for command, most in {
            "run": 0.6,
            "create": 0.75,
            "exec": 0.85,
            "life A": 1.0,
            "life B": 0.35,
        }.items():
            ours, other = commands[command]["ocipy"], commands[command]["runc"]
            ratios = (ours.median / other.median, ours.cpu / other.cpu)
            limit = None
            if "crun" in results.names:
                crun, starts = commands[command]["crun"], 3 if command in LIVES else 1
                limit = (
                    (starts * bare.median + crun.median) / other.median,
                    (starts * bare.cpu + crun.cpu) / other.cpu,
                )
            found.append(Target(f"{command}, to runc's", most, *ratios, limit))
        for command in ("run", "create", "start", "state", "exec", "kill", "delete"):
            ours, other = commands[command]["ocipy"], commands[command]["runc"]
            found.append(
                Target(f"peak memory of {command}, to runc's", 1.0, ours.peak / other.peak)
            )
        ratio = results.rates["runc"] / results.rates["ocipy"]
        found.append(Target("time for a run with 8 workers, to runc's", 1 / 1.5, ratio))
    if "crun" in results.names:
        ours, other = commands["run"]["ocipy"], commands["run"]["crun"]
        ratios = (ours.median / (bare.median + other.median), ours.cpu / (bare.cpu + other.cpu))
        found.append(Target("run, to the interpreter's start and crun's run", 1.3, *ratios))
    for command in ("state", "start", "kill", "delete"):
        ours = commands[command]["ocipy"]
        ratios = (ours.median / bare.median, ours.cpu / bare.cpu)
        found.append(Target(f"{command}, to the interpreter's start", 1.3, *ratios))
    found.append(Target("KiB of a created container, to 128", 1.0, results.created["ocipy"] / 128))
    if results.limits:
        ratio = results.limits["ocipy"] / 256
        found.append(Target("KiB of memory.limit for /bin/true, to 256", 1.0, ratio))
    return found
