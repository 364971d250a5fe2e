"""config.md#mounts and #linux-mount-options: order, destinations, and each option by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from conformance import host
from conformance.case import Section

if TYPE_CHECKING:
    from conformance.room import Room

SPEC = Section("config.md")
ANCHOR = "linux-mount-options"

# What an option must change on a new tmpfs at /mnt: a flag that mountinfo must have, or, after a
# `-`, must not have. Nothing: the kernel does not show it, or it is what a mount has anyway.
ON_TMPFS = """async -sync
atime -noatime
defaults
dev -nodev
diratime -nodiratime
dirsync dirsync
exec -noexec
iversion
lazytime lazytime
loud
noatime noatime
nodev nodev
nodiratime nodiratime
noexec noexec
noiversion
nolazytime -lazytime
norelatime
nostrictatime
nosuid nosuid
relatime relatime
ro ro
rw rw
silent
strictatime -relatime
suid -nosuid
sync sync"""
MAY_ON_TMPFS = """mand
nomand"""
SHOULD_ON_TMPFS = """nosymfollow nosymfollow
symfollow -nosymfollow"""
# The same for a recursive option, on a mount and on the mount below it.
RECURSIVE = """ratime -noatime
rdev -nodev
rdiratime -nodiratime
rexec -noexec
rnoatime noatime
rnodiratime nodiratime
rnoexec noexec
rnorelatime
rnostrictatime
rnosuid nosuid
rnosymfollow nosymfollow
rrelatime relatime
rro ro
rrw rw
rstrictatime -relatime
rsuid -nosuid
rsymfollow -nosymfollow"""
PROPAGATION = [
    ("private", "", False), ("rprivate", "", True), ("shared", "shared:", False),
    ("rshared", "shared:", True), ("slave", "", False), ("rslave", "", True),
    ("unbindable", "unbindable", False), ("runbindable", "unbindable", True),
]  # fmt: skip


def rows(table: str) -> list[tuple[str, str]]:
    return [(*line.split(), "")[:2] for line in table.splitlines()]  # type: ignore[misc]


def mountinfo(text: str, path: str) -> tuple[set[str], str]:
    """Return the flags, of mount and file system, and the optional fields of the mount at `path`."""
    for line in reversed(text.splitlines()):
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 5 and fields[4] == path:
            flags = set(fields[5].split(",")) | set(after.split(" ")[-1].split(","))
            # The mount's own ro or rw counts; what the file system has is another matter.
            flags -= {"ro", "rw"} - set(fields[5].split(","))
            return flags, " ".join(fields[6:])
    return set(), "not mounted"


def shows(room: Room, text: str, path: str, wanted: str) -> None:
    flags, rest = mountinfo(text, path)
    room.holds(rest != "not mounted", f"{path} is not mounted: {text}")
    flag = wanted.removeprefix("-")
    if wanted:
        room.equal(flag in flags, not wanted.startswith("-"), f"{flag} among {sorted(flags)}")


def _on_tmpfs(room: Room, option: str, wanted: str) -> None:
    room.mount("/mnt", "tmpfs", "tmpfs", option)
    shows(room, room.run("cat /proc/self/mountinfo"), "/mnt", wanted)


TEXT = "the mount option {0} is implemented"
SPEC.family("mounts.option.{0}", "MUST", ANCHOR, TEXT, rows(ON_TMPFS))(_on_tmpfs)
SPEC.family("mounts.option.{0}", "MAY", ANCHOR, TEXT, rows(MAY_ON_TMPFS))(_on_tmpfs)
SPEC.family("mounts.option.{0}", "SHOULD", ANCHOR, TEXT, rows(SHOULD_ON_TMPFS))(_on_tmpfs)


@SPEC.family(
    "mounts.option.{0}", "SHOULD", ANCHOR, "{0} is applied to mounts below", rows(RECURSIVE)
)
def recursive(room: Room, option: str, wanted: str) -> None:
    room.mount("/mnt", "none", "/sys/fs", "rbind", option)
    text = room.run("cat /proc/self/mountinfo")
    below = [
        line.split(" ")[4] for line in text.splitlines() if line.split(" ")[4].startswith("/mnt/")
    ]
    room.holds(below, "no mount below /mnt: the bind is not recursive")
    for path in ("/mnt", below[-1]):
        shows(room, text, path, wanted)


@SPEC.family("mounts.option.{0}", "MUST", ANCHOR, "the mount gets the propagation {0}", PROPAGATION)
def propagation(room: Room, option: str, wanted: str, deep: bool) -> None:
    source = "/sys/fs" if deep else room.directory
    room.mount("/mnt", "none", source, "rbind" if deep else "bind", option)
    text = room.run("cat /proc/self/mountinfo")
    paths = [line.split(" ")[4] for line in text.splitlines()]
    below = [path for path in paths if path.startswith("/mnt/")]
    for path in ("/mnt", *(below[-1:] if deep else ())):
        _, rest = mountinfo(text, path)
        room.holds(rest != "not mounted", f"{path} is not mounted")
        if wanted:
            room.holds(wanted in rest, f"{path} has {rest!r}")
        else:
            room.holds("shared:" not in rest, f"{path} has {rest!r}")


@SPEC.must("mounts.option.bind", ANCHOR, "bind mounts a directory of the host")
def bind(room: Room) -> None:
    room.file("data/file", "of the host\n")
    room.mount("/mnt", "none", f"{room.directory}/data", "bind")
    room.equal(room.run("cat /mnt/file"), "of the host")


@SPEC.must("mounts.option.bind-file", ANCHOR, "bind mounts a file")
def bind_file(room: Room) -> None:
    path = room.file("data/file", "of the host\n")
    room.mount("/mnt/file", "none", path, "bind")
    room.equal(room.run("cat /mnt/file"), "of the host")


@SPEC.must("mounts.option.rbind", ANCHOR, "rbind mounts what is mounted below, too")
def rbind(room: Room) -> None:
    room.mount("/mnt", "none", "/sys/fs", "rbind")
    text = room.run("cat /proc/self/mountinfo")
    room.holds(" /mnt/cgroup " in text, "the mounts below /sys/fs are not there")


@SPEC.must("mounts.option.remount", ANCHOR, "remount changes a mount that is there")
def remount(room: Room) -> None:
    room.mount("/mnt", "tmpfs", "tmpfs")
    room.mount("/mnt", "tmpfs", "tmpfs", "remount", "ro")
    text = room.run("cat /proc/self/mountinfo")
    shows(room, text, "/mnt", "ro")
    room.equal(text.count(" /mnt "), 1, "mounts at /mnt")


@SPEC.must("mounts.option.bind-ro", ANCHOR, "ro holds for a bind mount")
def bind_ro(room: Room) -> None:
    room.mount("/mnt", "none", room.directory, "bind", "ro")
    room.equal(room.run("touch /mnt/x 2>/dev/null && echo wrote || echo refused"), "refused")


@SPEC.must("mounts.option.bind-nosuid-nodev-noexec", ANCHOR, "flags hold for a bind mount")
def bind_flags(room: Room) -> None:
    room.mount("/mnt", "none", room.directory, "bind", "nosuid", "nodev", "noexec")
    text = room.run("cat /proc/self/mountinfo")
    for flag in ("nosuid", "nodev", "noexec"):
        shows(room, text, "/mnt", flag)


@SPEC.may("mounts.option.tmpcopyup", ANCHOR, "tmpcopyup copies what is below into the tmpfs")
def tmpcopyup(room: Room) -> None:
    room.file("bundle/rootfs/mnt/file", "below\n")
    room.mount("/mnt", "tmpfs", "tmpfs", "tmpcopyup")
    room.equal(room.run("cat /mnt/file"), "below")


@SPEC.should("mounts.option.data", ANCHOR, "unknown options are passed to the file system")
def data(room: Room) -> None:
    room.mount("/mnt", "tmpfs", "tmpfs", "size=64k", "mode=0711")
    text = room.run("stat -c %a /mnt; df -k /mnt | tail -n 1")
    room.equal(text.split()[0], "711", "mode")
    room.equal(text.split()[2], "64", "size in KiB")


@SPEC.must(
    "mounts.option.data-refused", ANCHOR, "an option that the file system refuses is an error"
)
def data_refused(room: Room) -> None:
    room.mount("/mnt", "tmpfs", "tmpfs", "banana=1")
    room.rejects(f"/mounts/{len(room.config['mounts']) - 1}/options")


@SPEC.may("mounts.option.custom", ANCHOR, "an option beside those of the table may be implemented")
def custom(room: Room) -> None:
    room.mount("/mnt", "none", room.directory, "bind", "rnodev")
    shows(room, room.run("cat /proc/self/mountinfo"), "/mnt", "nodev")


@SPEC.must("mounts.order", "mounts", "entries are mounted in the listed order")
def order(room: Room) -> None:
    for name in ("first", "second"):
        room.file(f"{name}/{name}", "")
        room.mount("/mnt", "none", f"{room.directory}/{name}", "bind")
    room.equal(room.run("ls /mnt"), "second")


@SPEC.must("mounts.order-nested", "mounts", "a mount can be made in the one before it")
def order_nested(room: Room) -> None:
    room.mount("/mnt", "tmpfs", "tmpfs")
    room.mount("/mnt/a", "tmpfs", "tmpfs")
    room.mount("/mnt/a/b", "tmpfs", "tmpfs")
    text = room.run("cat /proc/self/mountinfo")
    for path in ("/mnt", "/mnt/a", "/mnt/a/b"):
        shows(room, text, path, "")


@SPEC.must("mounts.relative-destination", "mounts", "a relative destination is relative to /")
def relative_destination(room: Room) -> None:
    room.process["cwd"] = "/tmp"
    room.mount("mnt/relative", "tmpfs", "tmpfs")
    shows(room, room.run("cat /proc/self/mountinfo"), "/mnt/relative", "")


@SPEC.must("mounts.relative-source", "mounts", "a bind's relative source is relative to the bundle")
def relative_source(room: Room) -> None:
    room.file("bundle/data/file", "in the bundle\n")
    room.mount("/mnt", "none", "data", "bind")
    room.equal(room.run("cat /mnt/file"), "in the bundle")


@SPEC.must("mounts.bind-by-option", "mounts", "bind in the options makes a bind mount of any type")
def bind_by_option(room: Room) -> None:
    room.file("data/file", "bound\n")
    room.mount("/mnt", "tmpfs", f"{room.directory}/data", "bind")
    room.equal(room.run("cat /mnt/file"), "bound")


@SPEC.must("mounts.without", "mounts", "a configuration without mounts is accepted")
def without(room: Room) -> None:
    del room.config["mounts"]
    room.accepts()


@SPEC.must("mounts.without-options", "mounts", "a mount without options is made")
def without_options(room: Room) -> None:
    room.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"})
    shows(room, room.run("cat /proc/self/mountinfo"), "/mnt", "")


@SPEC.must(
    "mounts.without-source", "mounts", "a mount without a source is made where none is needed"
)
def without_source(room: Room) -> None:
    room.config["mounts"].append({"destination": "/mnt", "type": "tmpfs"})
    shows(room, room.run("cat /proc/self/mountinfo"), "/mnt", "")


@SPEC.must("mounts.source-missing", "mounts", "a bind mount of what does not exist is an error")
def source_missing(room: Room) -> None:
    room.mount("/mnt", "none", f"{room.directory}/nowhere", "bind")
    room.rejects(f"/mounts/{len(room.config['mounts']) - 1}/source")


@SPEC.must(
    "mounts.type-unknown", "posix-platform-mounts", "an unknown type of file system is an error"
)
def type_unknown(room: Room) -> None:
    room.mount("/mnt", "banana", "none")
    room.rejects(f"/mounts/{len(room.config['mounts']) - 1}/type")


@SPEC.family(
    "mounts.type.{0}", "MUST", "posix-platform-mounts",
    "a file system of type {0} is mounted", ["tmpfs", "proc", "sysfs", "devpts", "mqueue"],
)  # fmt: skip
def fstype(room: Room, name: str) -> None:
    if name == "sysfs":
        room.namespace("network")
    room.mount("/mnt/it", name, name)
    text = room.run("cat /proc/self/mountinfo")
    room.holds(f" - {name} " in next(t for t in text.splitlines() if " /mnt/it " in t), text)


# -- id-mapped mounts

MAPPING = [{"containerID": 0, "hostID": 1000, "size": 10}]


def _idmapped(room: Room, option: str, **mappings: object) -> None:
    room.needs(host.idmapped_mounts())
    path = room.file("data/file", "")
    os.chown(path, 1, 2)
    room.mount("/mnt", "none", f"{room.directory}/data", "rbind", option).update(mappings)


@SPEC.family(
    "mounts.{0}.mapped",
    "SHOULD",
    ANCHOR,
    "{0} applies the mount's own mappings",
    ["idmap", "ridmap"],
)
def idmap(room: Room, option: str) -> None:
    _idmapped(room, option, uidMappings=MAPPING, gidMappings=MAPPING)
    room.config["mounts"][-1]["uidMappings"] = [{"containerID": 1, "hostID": 501, "size": 1}]
    room.config["mounts"][-1]["gidMappings"] = [{"containerID": 2, "hostID": 602, "size": 1}]
    room.equal(room.run("stat -c %u:%g /mnt/file"), "501:602", "owner")


@SPEC.family(
    "mounts.{0}.of-the-container", "MAY", ANCHOR,
    "{0} without mappings uses those of the container's user namespace", ["idmap", "ridmap"],
)  # fmt: skip
def idmap_container(room: Room, option: str) -> None:
    _idmapped(room, option)
    room.user_namespace()
    os.chmod(f"{room.directory}/data", 0o755)
    room.equal(room.run("stat -c %u:%g /mnt/file"), "1:2", "owner")


@SPEC.family(
    "mounts.{0}.nothing-to-map", "MUST", ANCHOR,
    "{0} without mappings and without a user namespace is an error", ["idmap", "ridmap"],
)  # fmt: skip
def idmap_nothing(room: Room, option: str) -> None:
    _idmapped(room, option)
    room.rejects(f"/mounts/{len(room.config['mounts']) - 1}/options")


@SPEC.family(
    "mounts.{0}.alone", "MUST", "posix-platform-mounts",
    "{0} of a mount without the other mappings is an error", ["uidMappings", "gidMappings"],
)  # fmt: skip
def idmap_alone(room: Room, name: str) -> None:
    _idmapped(room, "idmap", **{name: MAPPING})
    room.rejects(f"/mounts/{len(room.config['mounts']) - 1}")


@SPEC.should("mounts.mappings-without-option", "posix-platform-mounts",
             "mappings without idmap or ridmap are applied or refused, not ignored")  # fmt: skip
def mappings_without_option(room: Room) -> None:
    room.needs(host.idmapped_mounts())
    path = room.file("data/file", "")
    os.chown(path, 1, 1)
    mapping = [{"containerID": 1, "hostID": 501, "size": 1}]
    entry = room.mount("/mnt", "none", f"{room.directory}/data", "bind")
    entry |= {"uidMappings": mapping, "gidMappings": mapping}
    room.script("stat -c %u:%g /mnt/file")
    answer = room.try_create()
    if answer.status == 0:
        with open(f"{room.directory}/pid", encoding="utf-8") as file:
            room.pid = int(file.read())
        room.start()
        room.wait()
        room.equal(room.read_output().strip(), "501:501", "owner")
