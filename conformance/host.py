"""What this host can do, found out by looking; a reason why not, or ""."""

from __future__ import annotations

import functools
import os
import subprocess

from conformance.leftovers import cgroup_roots

PREFIXES = {
    "/linux/resources/network": "net_cls",
    "/linux/resources/rdma": "rdma",
    "/linux/resources/hugepageLimits": "hugetlb",
    "/linux/resources/blockIO": "blkio",
}


@functools.cache
def controllers() -> dict[str, str]:
    """Return the cgroup v1 controllers that are mounted: name and mount point."""
    found = {}
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, target, fstype, options, *_ = line.split(" ")
            if fstype == "cgroup":
                found.update(dict.fromkeys(options.split(","), target))
    return found


@functools.cache
def unified_controllers() -> list[str]:
    for root in cgroup_roots():
        path = f"{root}/cgroup.controllers"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return file.read().split()
    return []


def controller(name: str) -> str:
    """Why a container here cannot be limited by this controller."""
    in_v2 = {"blkio": "io", "cpuacct": "cpu"}.get(name, name)
    if name in controllers() or in_v2 in unified_controllers():
        return ""
    return f"no cgroup controller {name} on this host"


def v1_file(name: str, file: str) -> str:
    """Why `file` of controller `name` cannot be looked at; only cgroup v1 has these files."""
    if reason := controller(name):
        return reason
    if name not in controllers():
        return f"the controller {name} is in cgroup v2 here"
    # The root cgroup lacks some files that its children have.
    probe = f"{controllers()[name]}/conformance-probe-{os.getpid()}"
    os.mkdir(probe)
    try:
        return "" if os.path.exists(f"{probe}/{file}") else f"this kernel has no {file}"
    finally:
        os.rmdir(probe)


def whole_disk() -> str:
    """Return major:minor of a block device that can be throttled, or ""."""
    for name in sorted(os.listdir("/sys/block")):
        if not name.startswith(("loop", "ram", "zram")):
            with open(f"/sys/block/{name}/dev", encoding="utf-8") as file:
                return file.read().strip()
    return ""


def lacks(pointer: str) -> str:
    """Why an object of config.json at `pointer` cannot be accepted on this host."""
    if pointer.startswith("/linux/intelRdt"):
        return "" if resctrl() else "no resctrl file system is mounted"
    if pointer.startswith("/linux/timeOffsets") and not os.path.exists("/proc/self/ns/time"):
        return "this kernel has no time namespaces"
    if pointer.startswith("/linux/memoryPolicy"):
        return numa()
    if pointer.startswith("/linux/netDevices"):
        return "lo, the only device that every host has, cannot be moved"
    if "weightDevice" in pointer:
        disk = "" if whole_disk() == "8:0" else "no block device 8:0"
        return v1_file("blkio", "blkio.bfq.weight_device") or disk
    if "throttle" in pointer and whole_disk() != "8:0":
        return "no block device 8:0"
    if pointer.startswith("/linux/resources/network/priorities"):
        return controller("net_prio")
    for prefix, name in PREFIXES.items():
        if pointer.startswith(prefix):
            return controller(name)
    return ""


def resctrl() -> bool:
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return any(line.split(" ")[2] == "resctrl" for line in mounts)


def numa() -> str:
    return "" if os.path.exists("/proc/self/numa_maps") else "this kernel has no NUMA policies"


@functools.cache
def bounding() -> int:
    """Return this process's bounding set."""
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith("CapBnd"))


@functools.cache
def succeeds(*command: str) -> str:
    """Return "" if the command succeeds, else what it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or f"{command[0]} fails"


def veth() -> str:
    return succeeds(
        "unshare", "-n", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"
    )


def idmapped_mounts() -> str:
    return "" if os.uname().release.split(".") >= ["5", "12"] else "needs Linux 5.12"
