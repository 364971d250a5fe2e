"""What a container holds while it waits and while it runs, and how little it can start in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.runtimes import Bundles, Meter, Runtime

# In KiB: the smallest limit is looked for in steps of 64, up to where all of them work.
STEP, MOST = 64, 16384
TRIES = 4


def proportional_set(pid: int) -> int:
    """Return the KiB of memory that are a process's own, shared pages by their share (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"no Pss of process {pid}")


def measure_init(runtime: Runtime, bundles: Bundles) -> tuple[int, int]:
    """Return the PSS of init while the container is created, and once its program runs."""
    try:
        runtime.create(bundles.sleep)
        pid = runtime.pid()
        created = proportional_set(pid)
        waiting = Path(f"/proc/{pid}/exe").readlink()
        runtime.call("start", runtime.id)
        while Path(f"/proc/{pid}/exe").readlink() == waiting:
            time.sleep(0.01)  # runc's `start` is back before the program is there
        return created, proportional_set(pid)
    finally:
        runtime.clean()


def smallest_limit(meter: Meter, runtime: Runtime, bundles: Bundles) -> int:
    """Return the smallest linux.resources.memory.limit, in KiB, in which /bin/true runs."""

    def works(limit: int) -> bool:
        config = bundles.changed("/bin/true")
        config["linux"].setdefault("resources", {})["memory"] = {"limit": limit * 1024}
        bundle = bundles.make("limited", config)
        run = (*runtime.argv, "run", "--bundle", str(bundle), runtime.id)
        good = 0
        for _ in range(TRIES):
            good += meter.succeeds(*run)
            runtime.clean()
        # The kernel charges in batches, for each CPU: now and then the same run needs more.
        return good >= TRIES - 1

    low, high = 0, MOST // STEP
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle * STEP) else (middle, high)
    return high * STEP
