"""A container whose state.json is damaged: what else tells of it, for `delete --force`.

    lock              pid and start ticks of its init, noted beside those of who holds the lock
    /proc/PID/cgroup  where that very process is
    config.json       which cgroup `create` was asked for

Only the process that was noted is known to be the container's, and the rest of its cgroup with it,
where that is the cgroup that the config asks for. Without it nobody can say whose the processes in
the cgroup are: then nothing is killed, and nothing forgotten, and an error says where they are.
"""

from __future__ import annotations

import os

from ocipy import log
from ocipy.cgroup.facts import parse_hierarchies
from ocipy.cgroup.files import read_pids, sub_cgroups
from ocipy.errors import OcipyError, StateError
from ocipy.state import store
from ocipy.state.process import is_alive
from ocipy.state.record import new_record, salvage_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocipy.json_text import Json
    from ocipy.state.record import StateRecord
    from ocipy.state.store import ContainerDir


def find_lost(directory: ContainerDir, value: Json) -> StateRecord:
    """Return a record by which the container can be destroyed.

    Args:
        directory: of the container, its lock held.
        value: what could be read of state.json.

    Raises:
        StateError: there are processes that may be the container's, or somebody else's.
    """
    found = salvage_record(value, directory.id)
    if found is None:
        found = new_record(directory.id, bundle="", rootfs="", oci_version="", annotations={})
    if not found["pid"]:
        found["pid"], found["startTicks"] = store.noted_init(directory)
    linux = _linux(directory)
    if "resctrl" not in found and isinstance(linux.get("intelRdt"), dict):
        found["resctrl"] = {"made": _resctrl_groups(directory, linux["intelRdt"])}
    if "cgroup" in found:
        return found
    name, absolute = _asked_for(directory, linux)
    if is_alive(found["pid"], found["startTicks"]):
        paths = _cgroups_of(found["pid"], name, absolute)
    else:
        paths = _cgroups_at(name, absolute)
        _require_empty(directory, paths)
    # Named after the container, it was made for it. What has another name may have been there.
    made = [path for path in paths.values() if directory.id in os.path.basename(path)]
    if left := sorted(set(paths.values()) - set(made)):
        log.warning(
            f"these cgroups may have been made for {directory.id}; rmdir them if they were: "
            f"{', '.join(left)}"
        )
    found["cgroup"] = {"driver": "cgroupfs", "paths": paths, "made": made}
    return found


def _linux(directory: ContainerDir) -> dict[str, Any]:
    """Return `linux` of the config that was kept; empty where that is damaged as well."""
    try:
        linux = store.load_config(directory).get("linux")
    except OcipyError:
        return {}
    return linux if isinstance(linux, dict) else {}


def _resctrl_groups(directory: ContainerDir, intel_rdt: dict[str, Any]) -> list[str]:
    """Return the group that bears the container's name: another one may have been there before."""
    from ocipy.cgroup import resctrl

    group = f"{resctrl.mount_point()}/{directory.id}"
    return [group] if not intel_rdt.get("closID") and os.path.isdir(group) else []


def _asked_for(directory: ContainerDir, linux: dict[str, Any]) -> tuple[str, bool]:
    """Return the path of the cgroup that the container was to have, and whether it is absolute."""
    path = linux.get("cgroupsPath", "")
    if type(path) is not str or ".." in path.split("/"):
        path = ""
    if path.count(":") == 2:
        # systemd's: slice, prefix and name of a scope.
        _, prefix, name = path.split(":")
        return f"/{prefix}-{name}.scope" if prefix else f"/{name}.scope", False
    names = [name for name in (path or directory.id).split("/") if name not in ("", ".")]
    return f"/{'/'.join(names or [directory.id])}", path.startswith("/")


def _cgroups_of(pid: int, name: str, absolute: bool) -> dict[str, str]:
    """Return the directory in each hierarchy in which a process is, where it is the one asked for.

    Whoever does without a cgroup is in that of others, and a container may have made some below.
    """
    paths = {}
    for key, mountpoint, own in _hierarchies(pid):
        at = f"{own}/".find(f"{name}/")
        if at == 0 or (at > 0 and not absolute):
            paths[key] = mountpoint + own[: at + len(name)]
    return paths


def _cgroups_at(name: str, absolute: bool) -> dict[str, str]:
    """Return the directories where the container's cgroup would be made now, and is already."""
    paths = {}
    for key, mountpoint, own in _hierarchies(os.getpid()):
        parents = [""] if absolute else [own, own.rpartition("/")[0]]
        for parent in parents:
            if os.path.isdir(mountpoint + parent + name):
                paths[key] = mountpoint + parent + name
                break
    return paths


def _hierarchies(pid: int) -> list[tuple[str, str, str]]:
    """Return of each mounted hierarchy its key in a record, its mount point, and the process's
    cgroup below that, "" for the top."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            mountinfo = file.read()
        with open(f"/proc/{pid}/cgroup", "rb") as file:
            memberships = file.read()
    except OSError:  # no cgroups; or it has just ended
        return []
    v1, unified = parse_hierarchies(mountinfo, memberships)
    found = [(",".join(each.controllers), each.mountpoint, each.own_path) for each in v1]
    return found + ([("", unified.mountpoint, unified.own_path)] if unified else [])


def _require_empty(directory: ContainerDir, paths: dict[str, str]) -> None:
    for path in paths.values():
        pids = sorted({pid for each in (path, *sub_cgroups(path)) for pid in read_pids(each)})
        if pids:
            from ocipy.cgroup.holding import describe_processes

            raise StateError(
                f"{directory.path}/{store.RECORD} is damaged, and nothing tells whether what is in "
                f"{path} is of container {directory.id}: {describe_processes(pids)}",
                hint="if it is, end it with kill, and delete the container again",
            )
