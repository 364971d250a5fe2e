"""StateRecord: what `state.json` holds."""

from __future__ import annotations

import time

from ocipy import __version__
from ocipy.timestamp import utc_timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NotRequired, TypedDict

    from ocipy.cgroup.resctrl import ResctrlRecord

    class CgroupRecord(TypedDict):
        """Where the cgroup is; made by ocipy.cgroup.driver before it makes anything.

        `paths` are the directories by hierarchy, `made` those that did not exist before.
        `devicesUpdated` is there once the device rules may be others than those of the config.
        `unit` and `bus` are there if the driver is "systemd": the scope, and the address of the
        manager that made it, "" for the system's.
        """

        driver: str
        paths: dict[str, str]
        made: list[str]
        devicesUpdated: NotRequired[bool]
        unit: NotRequired[str]
        bus: NotRequired[str]

    class ExitRecord(TypedDict):
        """How the process ended: known to `run`, whose child it was, and kept with --keep."""

        waitStatus: int  # as wait(2) gives it
        oomKilled: bool

    class StateRecord(TypedDict):
        """One container.

        Everything that must be found again to be removed is written here *before* it is made, so
        that a runtime which is killed at any moment leaves a record of what to look for. `status`
        is the one last written; status.py computes the true one.
        """

        version: int
        ocipyVersion: str
        ociVersion: str
        id: str
        bundle: str  # absolute
        rootfs: str  # absolute
        pid: int  # of init, later the container process; 0 until it was cloned
        startTicks: int  # field 22 of /proc/PID/stat: pid and this together name one process
        status: str
        created: str  # RFC 3339, UTC, nanoseconds
        annotations: dict[str, str]
        owner: str
        cgroup: NotRequired[CgroupRecord | None]
        resctrl: NotRequired[ResctrlRecord]
        poststopDone: NotRequired[bool]
        noNewKeyring: NotRequired[bool]
        exit: NotRequired[ExitRecord]
        firstStartStep: NotRequired[int]  # index in the plan of the first step after `start`


RECORD_VERSION = 1

# What other code reads without asking. A record that lacks one, or has another type there, was not
# written by us.
_REQUIRED: dict[str, type] = {
    "version": int,
    "id": str,
    "bundle": str,
    "rootfs": str,
    "pid": int,
    "startTicks": int,
    "status": str,
    "created": str,
}
# What may be missing: an older ocipy did not write all of it.
_OPTIONAL: dict[str, type] = {
    "ocipyVersion": str,
    "ociVersion": str,
    "annotations": dict,
    "owner": str,
    "poststopDone": bool,
    "noNewKeyring": bool,
    "firstStartStep": int,
}
_PID_MAX = 1 << 22  # include/linux/threads.h: PID_MAX_LIMIT


def new_record(
    container_id: str,
    *,
    bundle: str,
    rootfs: str,
    oci_version: str,
    annotations: dict[str, str],
    owner: str = "",
) -> StateRecord:
    """Return the record of a container that is about to be made; both paths are absolute."""
    return {
        "version": RECORD_VERSION,
        "ocipyVersion": __version__,
        "ociVersion": oci_version,
        "id": container_id,
        "bundle": bundle,
        "rootfs": rootfs,
        "pid": 0,
        "startTicks": 0,
        "status": "creating",
        "created": utc_timestamp(time.time_ns(), nanoseconds=True),
        "annotations": annotations,
        "owner": owner,
    }


def read_record(value: object) -> StateRecord:
    """Check and complete what was read from a `state.json`, of this version or an older one.

    Raises:
        ValueError: it is no record, or one that a newer ocipy wrote; the text says which.
    """
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    wrong = _damaged_members(value) or [name for name in _REQUIRED if name not in value]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is missing or has the wrong type")
    if value["version"] > RECORD_VERSION:
        raise ValueError(f"it was written by a newer ocipy ({value.get('ocipyVersion', '?')})")
    value.setdefault("ocipyVersion", "")
    value.setdefault("ociVersion", "")
    value.setdefault("annotations", {})
    value.setdefault("owner", "")
    record: StateRecord = value  # type: ignore[assignment]
    return record


def salvage_record(value: object, container_id: str) -> StateRecord | None:
    """Return what is sound of a record that read_record() refuses, enough to remove a container.

    Whatever else is damaged, the process or the cgroup it names is worth to be found. None if it
    names neither.
    """
    if not isinstance(value, dict):
        return None
    sound = {name: value[name] for name in value.keys() - set(_damaged_members(value))}
    if not sound.get("cgroup") and not ("pid" in sound and "startTicks" in sound):
        return None
    found = new_record(container_id, bundle="", rootfs="", oci_version="", annotations={})
    found.update(sound)  # type: ignore[typeddict-item]
    found["version"], found["id"] = RECORD_VERSION, container_id
    return found


def _damaged_members(value: dict[str, object]) -> list[str]:
    """Return the names of members that ocipy cannot have written like this."""
    damaged = [
        name
        for kinds in (_REQUIRED, _OPTIONAL)
        for name, kind in kinds.items()
        if name in value and type(value[name]) is not kind
    ]
    if "pid" not in damaged and not 0 <= value.get("pid", 0) <= _PID_MAX:  # type: ignore[operator]
        damaged.append("pid")
    if "annotations" not in damaged:
        annotations: dict[str, object] = value.get("annotations", {})  # type: ignore[assignment]
        if not all(type(text) is str for text in annotations.values()):
            damaged.append("annotations")
    for name, is_sound in (("cgroup", _is_cgroup), ("resctrl", _is_resctrl), ("exit", _is_exit)):
        if name in value and not is_sound(value[name]):
            damaged.append(name)
    return damaged


def _is_cgroup(value: object) -> bool:
    """Directories to remove are those of the container, and directories above them."""
    if value is None:
        return True
    if not isinstance(value, dict) or not isinstance(value.get("paths"), dict):
        return False
    paths = value["paths"].values()
    made = value.get("made")
    if not all(map(_is_path, paths)) or type(made) is not list:
        return False
    known = set(paths)
    return type(value.get("unit", "")) is type(value.get("bus", "")) is str and all(
        # Most are the container's own, and need not be looked at twice: `list` reads 1,000 records.
        (type(directory) is str and directory in known)
        or (_is_path(directory) and any(path.startswith(f"{directory}/") for path in paths))
        for directory in made
    )


def _is_resctrl(value: object) -> bool:
    made = value.get("made") if isinstance(value, dict) else None
    return type(made) is list and all(map(_is_path, made))


def _is_exit(value: object) -> bool:
    return (
        isinstance(value, dict)
        and type(value.get("waitStatus")) is int
        and 0 <= value["waitStatus"] <= 0xFFFF
        and type(value.get("oomKilled")) is bool
    )


def _is_path(path: object) -> bool:
    """Is it absolute, and does it lead below the root without detours?"""
    if type(path) is not str or path[:1] != "/" or "\0" in path:
        return False
    ended = f"{path}/"
    return not ("//" in ended or "/./" in ended or "/../" in ended)


def oci_state(record: StateRecord, status: str, pid: int) -> dict[str, object]:
    """Return the specification's State, as hooks get it on their standard input.

    Spec (runtime.md#state): pid is REQUIRED when created or running; a stopped one has none.
    """
    state: dict[str, object] = {
        "ociVersion": record["ociVersion"],
        "id": record["id"],
        "status": status,
    }
    if pid > 0:
        state["pid"] = pid
    state["bundle"] = record["bundle"]
    if record["annotations"]:
        state["annotations"] = record["annotations"]
    return state
