#!/usr/bin/env python3
"""Figures of this node's containers for Prometheus, by the node exporter's textfile collector.

    prometheus_textfile.py [--root DIR] [--interval SECONDS] /var/lib/node_exporter/ocipy.prom

Runs until SIGTERM or SIGINT and replaces the file every few seconds. In it are

    ocipy_containers, ocipy_starts_total,      `ocipy metrics`: counted by every command that is
    ocipy_failures_total, ocipy_command_...    called with --metrics or OCIPY_METRICS=1
    ocipy_exits_total{reason}, ocipy_oom_total `ocipy events --lifecycle`, since this program runs
    ocipy_container_cpu_seconds_total{id}      `ocipy events --stats`, of each running container
    ocipy_container_memory_bytes{id}
    ocipy_container_pids{id}

Nothing but the command line of ocipy and the standard library is used.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from typing import Any


class Lifecycle:
    """Counts what `ocipy events --lifecycle` tells, in a thread of its own."""

    def __init__(self, ocipy: list[str]) -> None:
        self.exits: Counter[str] = Counter()
        self.ooms = 0
        self.process = subprocess.Popen(
            [*ocipy, "events", "--lifecycle"], stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["type"] == "exit":
                self.exits[event["data"]["reason"]] += 1
            elif event["type"] == "oom":
                self.ooms += 1

    def text(self) -> str:
        lines = [
            "# HELP ocipy_exits_total Containers that ended, by reason.",
            "# TYPE ocipy_exits_total counter",
            *(f'ocipy_exits_total{{reason="{reason}"}} {n}' for reason, n in self.exits.items()),
            "# HELP ocipy_oom_total Times that the kernel killed a process for want of memory.",
            "# TYPE ocipy_oom_total counter",
            f"ocipy_oom_total {self.ooms}",
        ]
        return "\n".join(lines) + "\n"


def output(*command: str) -> str:
    """Return what a command prints; "" if it fails, as for a container that has just ended."""
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    return done.stdout if done.returncode == 0 else ""


def usage_text(ocipy: list[str]) -> str:
    """Return what each running container uses now."""
    samples: dict[str, list[tuple[str, float]]] = {"cpu": [], "memory": [], "pids": []}
    for container in json.loads(output(*ocipy, "list", "--format", "json") or "null") or []:
        if container["status"] != "running":
            continue
        stats = output(*ocipy, "events", "--stats", container["id"])
        if not stats:
            continue
        data: dict[str, Any] = json.loads(stats)["data"]
        name = container["id"]
        samples["cpu"].append((name, data["cpu"]["usage"]["total"] / 1e9))
        samples["memory"].append((name, data["memory"]["usage"]["usage"]))
        samples["pids"].append((name, data["pids"].get("current", 0)))
    kinds = {
        "cpu": ("ocipy_container_cpu_seconds_total", "counter", "CPU time used."),
        "memory": ("ocipy_container_memory_bytes", "gauge", "Memory in use."),
        "pids": ("ocipy_container_pids", "gauge", "Processes and threads."),
    }
    lines = []
    for kind, (metric, type_name, text) in kinds.items():
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {type_name}"]
        lines += [f'{metric}{{id="{name}"}} {value:g}' for name, value in samples[kind]]
    return "\n".join(lines) + "\n"


def replace(path: str, text: str) -> None:
    """Write the whole file anew: the collector never sees half of it."""
    new = f"{path}.{os.getpid()}"
    with open(new, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(new, path)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output", help="the file for the textfile collector; must end in .prom")
    parser.add_argument("--ocipy", default="ocipy", help="the program (default: %(default)s)")
    parser.add_argument("--root", default="", help="the state root, as of ocipy --root")
    parser.add_argument("--interval", type=float, default=5.0, metavar="SECONDS")
    arguments = parser.parse_args()
    if not arguments.output.endswith(".prom"):
        parser.error("the textfile collector reads files that end in .prom")
    ocipy = [arguments.ocipy, *(["--root", arguments.root] if arguments.root else [])]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    lifecycle = Lifecycle(ocipy)
    try:
        while True:
            text = output(*ocipy, "metrics") + lifecycle.text() + usage_text(ocipy)
            replace(arguments.output, text)
            if stop.wait(arguments.interval):
                return 0
    finally:
        lifecycle.process.terminate()
        lifecycle.process.wait()
        # What is not updated any more must not be taken for the present.
        if os.path.exists(arguments.output):
            os.unlink(arguments.output)


if __name__ == "__main__":
    sys.exit(main())
