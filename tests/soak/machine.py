"""What the machine has in use, as the kernel counts it: for the question whether anything grows."""

from __future__ import annotations

import os
import time


def sample() -> dict[str, int]:
    """Return counts and kilobytes of the whole machine, and the second at which they were so."""
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = {line.split(":")[0]: int(line.split()[1]) for line in file}
    with open("/proc/sys/fs/file-nr", encoding="utf-8") as file:
        files = int(file.read().split()[0])
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = sum(1 for _ in file)
    with open("/proc/cgroups", encoding="utf-8") as file:
        cgroups = sum(int(line.split()[2]) for line in file if not line.startswith("#"))
    return {
        "second": int(time.monotonic()),
        "memory available KiB": memory["MemAvailable"],
        "kernel memory KiB": memory["Slab"] + memory["KernelStack"] + memory["PageTables"],
        "unreclaimable slab KiB": memory["SUnreclaim"],
        "open files": files,
        "mounts here": mounts,
        "cgroups": cgroups,
        "processes": sum(1 for name in os.listdir("/proc") if name.isdigit()),
        "own descriptors": len(os.listdir("/proc/self/fd")),
    }


def table(samples: list[tuple[str, dict[str, int]]]) -> str:
    """Return the samples as a table: a row for each moment."""
    names = [name for name in samples[0][1] if name != "second"]
    start = samples[0][1]["second"]
    rows = [["", "second", *names]]
    rows += [
        [when, str(sample["second"] - start), *(str(sample[name]) for name in names)]
        for when, sample in samples
    ]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)
