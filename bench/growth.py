"""How the cost grows with what there is to do."""

from __future__ import annotations

import json
import shutil
import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.runtimes import Bundles, Meter, Runtime

ROUNDS = 5
SHARES = (0, 1, 2, 4)  # fourths of the largest size

# Seconds of measuring: by kind, by size, by runtime, the median wall clock in milliseconds.
Growth = dict[str, dict[int, dict[str, float]]]


def _mounts(config: dict[str, Any], count: int) -> None:
    config["mounts"] += [
        {"destination": f"/mnt/{i}", "type": "tmpfs", "source": "tmpfs", "options": ["size=4k"]}
        for i in range(count)
    ]
    config["root"]["readonly"] = False


def _seccomp(config: dict[str, Any], count: int) -> None:
    if count:
        config["linux"]["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {
                    "names": ["keyctl"],
                    "action": "SCMP_ACT_ERRNO",
                    "args": [{"index": 0, "value": 1000 + i, "op": "SCMP_CMP_EQ"}],
                }
                for i in range(count)
            ],
        }


def _devices(config: dict[str, Any], count: int) -> None:
    config["linux"]["devices"] = [
        {"path": f"/dev/d{i}", "type": "c", "major": 1, "minor": 3, "fileMode": 438}
        for i in range(count)
    ]


def _environment(config: dict[str, Any], count: int) -> None:
    config["process"]["env"] += [f"VARIABLE_{i}={'x' * 40}" for i in range(count)]


def _arguments(config: dict[str, Any], count: int) -> None:
    config["process"]["args"] += ["x" * 63] * (count // 64)


KINDS: dict[str, tuple[int, Callable[[dict[str, Any], int], None]]] = {
    "mounts": (500, _mounts),
    "seccomp rules": (1000, _seccomp),
    "devices": (1000, _devices),
    "environment variables": (1000, _environment),
    "bytes of arguments": (65536, _arguments),
}


def measure_growth(meter: Meter, runtimes: list[Runtime], bundles: Bundles) -> Growth:
    """Measure `run` with more and more of each kind, and `list` and `state` beside containers."""
    growth: Growth = {}
    for kind, (most, change) in KINDS.items():
        for share in SHARES:
            size = most * share // 4
            config = bundles.changed("/bin/true")
            change(config, size)
            bundle = bundles.make("grown", config)
            taken: dict[str, list[float]] = {runtime.name: [] for runtime in runtimes}
            for _ in range(ROUNDS):
                for runtime in runtimes:
                    run = (*runtime.argv, "run", "--bundle", str(bundle), runtime.id)
                    try:
                        taken[runtime.name].append(meter.run(*run).wall)
                    except RuntimeError:  # too much for this one
                        runtime.clean()
            growth.setdefault(kind, {})[size] = _medians(taken)
    growth.update(_beside_containers(meter, runtimes, bundles))
    return growth


def _medians(taken: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(walls) for name, walls in taken.items() if walls}


def _beside_containers(meter: Meter, runtimes: list[Runtime], bundles: Bundles) -> Growth:
    growth: Growth = {"containers, list": {}, "containers, state": {}}
    try:
        for runtime in runtimes:
            runtime.create(bundles.sleep)
        for share in SHARES:
            size = max(1, 1000 * share // 4)
            for command in ("list", "state"):
                taken: dict[str, list[float]] = {runtime.name: [] for runtime in runtimes}
                for runtime in runtimes:
                    _multiply(runtime.root, runtime.id, size)
                for _ in range(ROUNDS):
                    for runtime in runtimes:
                        args = (command, runtime.id) if command == "state" else (command,)
                        taken[runtime.name].append(meter.run(*runtime.argv, *args).wall)
                growth[f"containers, {command}"][size] = _medians(taken)
    finally:
        for runtime in runtimes:
            runtime.clean()
            shutil.rmtree(runtime.root, ignore_errors=True)
    return growth


def _multiply(root: Path, name: str, count: int) -> None:
    """Copy the state of a container under other names, until there are `count`.

    They share a process: what is measured is how the runtime finds and reads them.
    """
    for number in range(1, count):
        copy = root / f"{name}-{number}"
        if copy.exists():
            continue
        copy.mkdir()
        for file in (root / name).iterdir():
            if file.is_file():
                text = file.read_text().replace(json.dumps(name), json.dumps(copy.name))
                (copy / file.name).write_text(text)
