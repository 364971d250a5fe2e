"""One node full of pods, and a swarm: the runtimes side by side.

    python -m bench.clusters RUNTIME... [--pods 300] [--write]    as root, about 5 minutes each

Each runtime gets a node of its own (containerd with the CRI plugin; see tests/clusters/cri.py):
pods are started four at a time, each a sandbox and one container; while all live, the host's memory
is measured, `list` and `state` are timed; then all are removed, and what is left is counted. After
that a swarm of three dockerds scales a service to 30 tasks, to 60 and back. `--write` puts the
tables into docs/clusters.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.bundles import BUSYBOX, build_rootfs
from tests.clients.private_place import remove_parent_cgroups
from tests.clients.room import wait_until
from tests.clusters.cri import SLEEP, Node
from tests.clusters.swarm import Swarm
from tests.conftest import REPOSITORY
from tests.integration import leftovers

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = f"{REPOSITORY}/docs/clusters.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
AT_ONCE = 4
CALLS = 20
Table = dict[str, str]


def seconds_of(action: Callable[[], object]) -> float:
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def descendants(pid: int) -> list[int]:
    """Return the process ids of everything that lives below a process, itself included."""
    found = [pid]
    for parent in found:
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as file:
                    found += map(int, file.read().split())
        except OSError:
            continue  # it has ended
    return found


def pss_kib(pids: list[int]) -> dict[str, int]:
    """Return the proportional memory of processes, summed by name, in KiB."""
    sums: dict[str, int] = {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                name = comm.read().strip()
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
                pss = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
        sums[name] = sums.get(name, 0) + pss
    return sums


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def fill_a_node(node: Node, pods: int) -> Table:
    """Start and remove the pods; return the figures as they stand in the table."""

    def start(number: int) -> float:
        def both() -> None:
            node.start_container(node.run_pod(f"pod{number}"), "main", SLEEP)

        return seconds_of(both)

    before = sum(pss_kib(descendants(node.room.pid)).values())
    begin = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        each = list(pool.map(start, range(pods)))
    all_started = time.monotonic() - begin
    alive = sum(
        container.state == 1 for container in node.call("ListContainers", seconds=600).containers
    )
    memory = pss_kib(descendants(node.room.pid))
    whole = (sum(memory.values()) - before) / pods
    shims = memory.get("containerd-shim", 0) / pods
    root = node.state_roots[0]
    call = (node.runtime, "--root", root)
    container = node.room.output("ls", root).split()[0]

    def median_ms(*words: str) -> str:
        times = [seconds_of(lambda: node.room.run(*call, *words, check=True)) for _ in range(CALLS)]
        return f"{statistics.median(times) * 1000:.0f} ms"

    figures = {
        "containers alive": f"{alive} + {pods} pause",
        "all started": f"{all_started:.1f} s",
        "one pod, median": f"{statistics.median(each) * 1000:.0f} ms",
        "one pod, p95": f"{percentile(each, 0.95) * 1000:.0f} ms",
        "host memory of a pod": f"{whole / 1024:.1f} MiB",
        "of which the shim": f"{shims / 1024:.1f} MiB",
        "`list` of all": median_ms("list", "-q"),
        "`state` of one": median_ms("state", container),
    }
    removal = seconds_of(lambda: remove_pods(node))
    figures["all removed"] = f"{removal:.1f} s"
    wait_until(lambda: not node.remains(), "nothing is left", 60)
    figures["left afterwards"] = str(len(node.remains()))
    return figures


def remove_pods(node: Node) -> None:
    def remove(pod: str) -> None:
        node.call("StopPodSandbox", pod_sandbox_id=pod)
        node.call("RemovePodSandbox", pod_sandbox_id=pod)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(remove, list(node.pods())))


def scale_a_swarm(swarm: Swarm) -> Table:
    idle = ("sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait")

    def scale(count: int) -> None:
        swarm.manager.docker("service", "scale", "--detach", f"web={count}")
        swarm.wait(lambda: swarm.containers() == count, f"{count} containers")
        swarm.wait_running("web", count)

    swarm.create("web", "--replicas", "0", command=idle)
    figures = {
        "to 30 tasks": f"{seconds_of(lambda: scale(30)):.1f} s",
        "to 60": f"{seconds_of(lambda: scale(60)):.1f} s",
        "back to 30": f"{seconds_of(lambda: scale(30)):.1f} s",
        "removed": f"{seconds_of(lambda: swarm.remove('web')):.1f} s",
    }
    swarm.wait(lambda: not swarm.remains(), "nothing is left")
    figures["left afterwards"] = str(len(swarm.remains()))
    return figures


def measure(runtime: str, pods: int) -> tuple[Table, Table]:
    directory = tempfile.mkdtemp(prefix="oc-bench-")
    os.chmod(directory, 0o755)
    tag = os.path.basename(directory)
    rootfs = f"{directory}/rootfs"
    build_rootfs(rootfs, shutil.copy2(BUSYBOX, f"{directory}/busybox"))
    os.makedirs(f"{directory}/node")
    try:
        node = Node(f"{directory}/node", runtime, tag)
        with node.room:
            node.start(rootfs)
            of_node = fill_a_node(node, pods)
            node.channel.close()
        remove_parent_cgroups(tag)
        with Swarm(directory, runtime, tag) as swarm:
            swarm.start(rootfs)
            of_swarm = scale_a_swarm(swarm)
        for machine in swarm.nodes:
            remove_parent_cgroups(machine.tag)
    finally:
        leftovers.remove(tag)
        shutil.rmtree(directory)
    return of_node, of_swarm


def markdown(title: str, tables: dict[str, Table]) -> str:
    first = next(iter(tables.values()))
    rows = [
        f"| {title} | {' | '.join(tables)} |",
        f"| --- |{' --- |' * len(tables)}",
        *(f"| {row} | {' | '.join(table[row] for table in tables.values())} |" for row in first),
    ]
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runtimes", nargs="+", metavar="RUNTIME")
    parser.add_argument("--pods", type=int, default=300)
    parser.add_argument("--write", action="store_true", help="put the tables into the document")
    arguments = parser.parse_args()
    results = {}
    for runtime in arguments.runtimes:
        results[os.path.basename(runtime)] = measure(os.path.abspath(runtime), arguments.pods)
    text = "\n\n".join(
        (
            markdown(
                f"{arguments.pods} pods, {AT_ONCE} at a time",
                {name: of_node for name, (of_node, _) in results.items()},
            ),
            markdown(
                "a service of a swarm", {name: of_swarm for name, (_, of_swarm) in results.items()}
            ),
        )
    )
    print(text)
    if arguments.write:
        with open(DOCUMENT, encoding="utf-8") as file:
            before, _, rest = file.read().partition(BEGIN)
        _, _, after = rest.partition(END)
        with open(DOCUMENT, "w", encoding="utf-8") as file:
            file.write(f"{before}{BEGIN}\n{text}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
