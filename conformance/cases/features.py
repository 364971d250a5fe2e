"""features.md and features-linux.md: what a runtime says it knows, it must know."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from conformance.case import NotHere, Section
from conformance.cases.seccomp import BIG_ENDIAN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.room import Room

SPEC = Section("features.md")
LINUX = Section("features-linux.md")
SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


def features(room: Room) -> dict[str, Any]:
    answer = room.call("features")
    if answer.status != 0:
        raise NotHere("the runtime provides no Features structure, which is a MAY")
    document: dict[str, Any] = json.loads(answer.out)
    return document


def listed(room: Room, *way: str) -> list[str]:
    found: Any = features(room)
    for name in way:
        found = found.get(name) if isinstance(found, dict) else None
    if not found:
        raise NotHere(f"{'.'.join(way)} is absent, which is a MAY")
    return list(found)


def accepted(room: Room, name: str) -> None:
    """A configuration with this element must be created."""
    answer = room.try_create()
    room.equal(answer.status, 0, f"{name}: {answer.err.strip()[:300]!r}, status")
    room.call("delete", "--force", room.id)


@SPEC.may("features.provided", "features", "a runtime may print what it implements")
def provided(room: Room) -> None:
    room.holds(isinstance(features(room), dict), "it is no object")


@SPEC.family("features.{0}", "MUST", "specification-version", "{0} is there and is accepted as ociVersion",
             ["ociVersionMin", "ociVersionMax"])  # fmt: skip
def version(room: Room, name: str) -> None:
    found = features(room).get(name)
    room.holds(isinstance(found, str) and SEMVER.fullmatch(found), f"{name} {found!r}")
    room.config["ociVersion"] = found
    accepted(room, name)


@SPEC.must(
    "features.ociVersion-order", "specification-version", "the maximum is not less than the minimum"
)
def version_order(room: Room) -> None:
    found = features(room)
    numbers = [
        tuple(map(int, found[name].partition("-")[0].partition("+")[0].split(".")))
        for name in ("ociVersionMin", "ociVersionMax")
    ]
    room.holds(numbers[0] <= numbers[1], f"{numbers}")


KNOWN = """ociVersionMin ociVersionMax hooks mountOptions linux annotations
potentiallyUnsafeConfigAnnotations"""
KNOWN_LINUX = """namespaces capabilities cgroup seccomp apparmor selinux intelRdt memoryPolicy
mountExtensions netDevices"""


@SPEC.must(
    "features.only-defined", "specification-version", "there are only properties that are defined"
)
def only_defined(room: Room) -> None:
    found = features(room)
    room.equal(sorted(set(found) - set(KNOWN.split())), [], "undefined")
    room.equal(
        sorted(set(found.get("linux") or {}) - set(KNOWN_LINUX.split())), [], "undefined in linux"
    )


@SPEC.must("features.hooks", "hooks", "each listed kind of hook is supported")
def hooks(room: Room) -> None:
    for kind in listed(room, "hooks"):
        room.config["hooks"] = {kind: [{"path": "/bin/true"}]}
        accepted(room, kind)


@SPEC.must("features.mountOptions", "mount-options", "each listed mount option is recognised")
def mount_options(room: Room) -> None:
    names = listed(room, "mountOptions")
    # Of these mount options one cannot be tried on a tmpfs: they say what to mount.
    special = {"bind", "rbind", "remount", "idmap", "ridmap"}
    # What the file system itself has to take, and tmpfs does not.
    special |= {"acl", "noacl"}
    for number, name in enumerate(sorted(set(names) - special)):
        room.mount(f"/mnt/{number}", "tmpfs", "tmpfs", name)
    accepted(room, "the options")


@SPEC.should(
    "features.mountOptions-data", "mount-options", "options of a single file system are not listed"
)
def mount_options_data(room: Room) -> None:
    names = set(listed(room, "mountOptions"))
    room.equal(
        sorted(names & {"size", "mode", "uid", "gid", "lowerdir", "newinstance"}), [], "listed"
    )


@SPEC.should("features.independent", "features", "the structure does not depend on the host")
def independent(room: Room) -> None:
    # Nor on anything that a caller can change.
    before = features(room)
    again = json.loads(room.call("features", env={}).out)
    room.equal(again, before, "without an environment")


@SPEC.must("features.null", "features", "an absent property is absent or null, not an empty value")
def null(room: Room) -> None:
    found = features(room)
    for name, kind in (
        ("hooks", list),
        ("mountOptions", list),
        ("linux", dict),
        ("annotations", dict),
    ):
        value = found.get(name)
        room.holds(value is None or isinstance(value, kind), f"{name} is {value!r}")


@SPEC.must("features.annotations", "annotations", "annotations are a map of strings with keys")
def annotations_form(room: Room) -> None:
    found = features(room).get("annotations") or {}
    room.holds(all(key and isinstance(value, str) for key, value in found.items()), f"{found}")


def each(room: Room, names: Iterable[str], pointer: str, valid: Any) -> None:
    for name in names:
        room.set(pointer, valid(name))
        accepted(room, name)


@LINUX.must(
    "features.linux.namespaces", "namespaces", "each listed type of namespace is recognised"
)
def namespaces(room: Room) -> None:
    for kind in listed(room, "linux", "namespaces"):
        if kind == "user":
            room.user_namespace()
        else:
            room.namespace(kind)
        accepted(room, kind)
        if kind == "user":
            room.without_namespace("user")
            del room.linux["uidMappings"], room.linux["gidMappings"]


@LINUX.must("features.linux.capabilities", "capabilities", "each listed capability is recognised")
def capabilities(room: Room) -> None:
    room.process["capabilities"] = {"bounding": listed(room, "linux", "capabilities")}
    answer = room.try_create()
    room.equal(answer.status, 0, f"{answer.err.strip()[:300]!r}, status")
    room.holds("unknown" not in answer.err.lower(), answer.err)


def _rule(room: Room, **more: Any) -> None:
    room.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_ERRNO", **more}],
    }


@LINUX.must("features.linux.seccomp.actions", "seccomp", "each listed action is recognised")
def actions(room: Room) -> None:
    for name in listed(room, "linux", "seccomp", "actions"):
        if name != "SCMP_ACT_NOTIFY":  # an agent has to answer: its cases are seccomp.listener.*
            _rule(room, action=name)
            accepted(room, name)


@LINUX.must("features.linux.seccomp.operators", "seccomp", "each listed operator is recognised")
def operators(room: Room) -> None:
    for name in listed(room, "linux", "seccomp", "operators"):
        _rule(room, args=[{"index": 0, "value": 1, "valueTwo": 1, "op": name}])
        accepted(room, name)


@LINUX.must("features.linux.seccomp.archs", "seccomp", "each listed architecture is recognised")
def archs(room: Room) -> None:
    big = {f"SCMP_ARCH_{name}" for name in (*BIG_ENDIAN, "M68K", "SHEB")}
    for name in listed(room, "linux", "seccomp", "archs"):
        if name in big and sys.byteorder == "little":
            continue  # recognised, and refused for its byte order: seccomp.architecture.*
        _rule(room)
        room.linux["seccomp"]["architectures"] = [name]
        accepted(room, name)


@LINUX.family("features.linux.seccomp.{0}", "MUST", "seccomp", "each flag in {0} is recognised",
              ["knownFlags", "supportedFlags"])  # fmt: skip
def flags(room: Room, where: str) -> None:
    for name in listed(room, "linux", "seccomp", where):
        _rule(room)
        if name == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV":
            continue  # for listeners only: seccomp.flag.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
        room.linux["seccomp"]["flags"] = [name]
        accepted(room, name)


@LINUX.must("features.linux.memoryPolicy.modes", "memorypolicy", "each listed mode is recognised")
def modes(room: Room) -> None:
    for name in listed(room, "linux", "memoryPolicy", "modes"):
        nodes = {} if name in ("MPOL_DEFAULT", "MPOL_LOCAL") else {"nodes": "0"}
        room.linux["memoryPolicy"] = {"mode": name, **nodes}
        accepted(room, name)


@LINUX.must("features.linux.memoryPolicy.flags", "memorypolicy", "each listed flag is recognised")
def memory_flags(room: Room) -> None:
    for name in listed(room, "linux", "memoryPolicy", "flags"):
        room.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": [name]}
        accepted(room, name)


@LINUX.must("features.linux.mountExtensions.idmap", "mountextensions",
            "a runtime that reads mappings of mounts says so")  # fmt: skip
def idmap(room: Room) -> None:
    found = features(room).get("linux", {}).get("mountExtensions")
    mapping = [{"containerID": 0, "hostID": 1000, "size": 1}]
    entry = room.mount("/mnt", "none", room.directory, "bind", "idmap")
    entry |= {"uidMappings": mapping, "gidMappings": mapping}
    if room.try_create().status == 0:
        enabled = ((found or {}).get("idmap") or {}).get("enabled")
        room.equal(enabled, True, "mountExtensions.idmap.enabled")
