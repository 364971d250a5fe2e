"""The cgroups of a process that joins a running container."""

from __future__ import annotations

import os

from ocipy.cgroup.files import read_file
from ocipy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocipy.cgroup.facts import CgroupFacts
    from ocipy.plan.step import Step
    from ocipy.state.record import CgroupRecord


def exec_cgroups(record: CgroupRecord | None, options: Sequence[str]) -> dict[str, str]:
    """Return the directories that a process of `exec` goes into, by hierarchy.

    A container that was made without privileges may have none of those in its record, as nobody
    had to permit them (cgroup.plan.is_optional()).

    Args:
        record: the container's cgroup; None if it has none of its own.
        options: what `--cgroup` gave: PATH for all hierarchies, or CONTROLLER[,CONTROLLER]:PATH
            for one of v1; below the container's cgroup, as with runc.

    Raises:
        UsageError: a path that leads out of the container's cgroup, or an unknown controller.
    """
    recorded = record["paths"] if record else {}
    paths = {key: path for key, path in recorded.items() if os.path.isdir(path)}
    for option in options:
        controllers, colon, path = option.rpartition(":")
        if ".." in path.split("/") or "\0" in path:
            raise UsageError(f"bad --cgroup {option!r}: the path must stay below the container's")
        below = path.strip("/")
        wanted = set(controllers.split(",")) if colon else None
        hit = False
        for key in paths:
            if wanted is None or wanted & set(key.split(",")):
                hit = True
                if below:
                    paths[key] = f"{recorded[key]}/{below}"
        if not hit:
            raise UsageError(
                f"bad --cgroup {option!r}: the container has no cgroup of that controller",
                hint=f"it has {', '.join(key or 'cgroup2' for key in paths) or 'none'}",
            )
    return paths


def was_made(record: CgroupRecord | None, paths: Mapping[str, str]) -> bool:
    """Is the v2 directory of `paths` the very one that was made for the container?"""
    return record is not None and paths.get("") in record["made"]


def attach_step(record: CgroupRecord | None, paths: Mapping[str, str]) -> Step | None:
    """Return the step that puts a process into the cgroup of a unit of the user's own systemd.

    A user may move a process only within a part of the tree that is delegated, and the caller of
    `exec` mostly stands outside of it, in the scope of a session. systemd may.
    """
    if record is None or not record.get("bus"):
        return None
    from ocipy.plan import _generated_steps as steps

    below = paths.get("", "")[len(record["paths"][""]) :]
    return steps.AttachToUnit("", unit=record["unit"], below=below, bus=record["bus"])


def follow_init(paths: dict[str, str], facts: CgroupFacts, pid: int) -> None:
    """Change the v2 directory to that of init, if nobody can be in the container's own any more.

    A container that manages cgroups (systemd, another engine) moves its processes into sub-cgroups
    and enables controllers for those. cgroups(7), "no internal processes": from then on its own
    cgroup is closed. runc follows init, too.
    """
    top = paths.get("", "")
    if not top or facts.unified is None:
        return
    try:
        if not read_file(f"{top}/cgroup.subtree_control").strip():
            return
        memberships = read_file(f"/proc/{pid}/cgroup").splitlines()
    except OSError:
        return
    for line in memberships:
        if line.startswith("0::"):
            # As a mount shows it: see Hierarchy.own_path.
            below = facts.unified.mountpoint + line[3:]
            if below.startswith(f"{top}/") and ".." not in line.split("/"):
                paths[""] = below
