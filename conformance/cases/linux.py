"""config-linux.md, but for control groups and seccomp: namespaces, mappings, devices, paths, names."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from typing import TYPE_CHECKING

from conformance import host
from conformance.case import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.room import Room

SPEC = Section("config-linux.md")
# Type in config.json, and name in /proc/PID/ns.
NAMESPACES = [("pid", "pid"), ("network", "net"), ("mount", "mnt"), ("ipc", "ipc"), ("uts", "uts"),
              ("user", "user"), ("cgroup", "cgroup"), ("time", "time")]  # fmt: skip


def inside(room: Room, name: str) -> str:
    return room.run(f"readlink /proc/self/ns/{name}")


def has_time(kind: str) -> str:
    there = kind != "time" or os.path.exists("/proc/self/ns/time")
    return "" if there else "this kernel has no time namespaces"


@SPEC.family(
    "namespaces.{0}.supported",
    "SHOULD",
    "namespaces",
    "namespaces of type {0} are supported",
    NAMESPACES,
)
def supported(room: Room, kind: str, name: str) -> None:
    new(room, kind, name)


@SPEC.family(
    "namespaces.{0}.new",
    "MUST",
    "namespaces",
    "without a path a new {0} namespace is made",
    NAMESPACES,
)
def new(room: Room, kind: str, name: str) -> None:
    room.needs(has_time(kind))
    room.namespace(kind)
    if kind == "user":
        room.user_namespace()
    room.holds(inside(room, name) != os.readlink(f"/proc/self/ns/{name}"), "it is the runtime's")


@SPEC.family("namespaces.{0}.inherited", "MUST", "namespaces", "without an entry the {0} namespace is inherited",
             NAMESPACES)  # fmt: skip
def inherited(room: Room, kind: str, name: str) -> None:
    room.needs(has_time(kind))
    room.without_namespace(kind)
    if kind == "mount":
        # What is mounted then is mounted on the host: nothing but the root file system itself.
        room.config["mounts"] = []
        room.script("test -e /proc/self || /bin/true")
        answer = room.try_create()
        if answer.status != 0:
            room.nothing_is_left()
            room.needs(f"refused here, which a runtime may: {answer.err.strip()[:120]}")
        with open(f"{room.directory}/pid", encoding="utf-8") as file:
            room.pid = int(file.read())
        room.equal(os.readlink(f"/proc/{room.pid}/ns/{name}"), os.readlink(f"/proc/self/ns/{name}"))
        return
    room.equal(inside(room, name), os.readlink(f"/proc/self/ns/{name}"), "namespace")


@contextlib.contextmanager
def foreign(room: Room, name: str) -> Iterator[str]:
    """Yield the path of a namespace of this type that somebody else lives in."""
    option = {"mnt": "mount"}.get(name, name)
    command = ["unshare", f"--{option}"]
    command += ["--fork", "--kill-child"] if name == "pid" else []
    if name == "mnt":
        command += ["--propagation", "private"]
    sleeper = subprocess.Popen([*command, "sleep", "1000"])
    # Of these two only the children are in the new namespace.
    file = {"pid": "pid_for_children", "time": "time_for_children"}.get(name, name)
    path = f"/proc/{sleeper.pid}/ns/{file}"
    ours = os.readlink(f"/proc/self/ns/{name}")
    try:
        room.until(lambda: _link(path) not in ("", ours), "a namespace of its own")
        yield path
    finally:
        sleeper.kill()
        sleeper.wait()


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


@SPEC.family("namespaces.{0}.joined", "MUST", "namespaces", "with a path the process is placed in that {0} namespace",
             [row for row in NAMESPACES if row[0] not in ("user",)])  # fmt: skip
def joined(room: Room, kind: str, name: str) -> None:
    room.needs(has_time(kind))
    with foreign(room, name) as path:
        room.namespace(kind, path)
        room.equal(inside(room, name), os.readlink(path), "namespace")


@SPEC.must(
    "namespaces.user.joined",
    "namespaces",
    "with a path the process is placed in that user namespace",
)
def joined_user(room: Room) -> None:
    room.user_namespace()
    sleeper = subprocess.Popen(["unshare", "--user", "sleep", "1000"])
    path = f"/proc/{sleeper.pid}/ns/user"
    try:
        room.until(
            lambda: _link(path) not in ("", os.readlink("/proc/self/ns/user")), "its namespace"
        )
        for kind in ("uid", "gid"):
            with open(f"/proc/{sleeper.pid}/{kind}_map", "w", encoding="utf-8") as file:
                file.write("0 100000 65536")
        room.namespace("user", path)
        # Whoever has made the namespace has said what it maps.
        del room.linux["uidMappings"], room.linux["gidMappings"]
        room.equal(inside(room, "user"), os.readlink(path), "namespace")
    finally:
        sleeper.kill()
        sleeper.wait()


@SPEC.family("namespaces.{0}.wrong-type", "MUST", "namespaces", "a path to a namespace of another type than {0} is an error",
             NAMESPACES)  # fmt: skip
def wrong_type(room: Room, kind: str, name: str) -> None:
    other = "ipc" if name != "ipc" else "uts"
    room.namespace(kind, f"/proc/self/ns/{other}")
    if kind == "user":
        mapping = [{"containerID": 0, "hostID": 0, "size": 1}]
        room.linux["uidMappings"] = room.linux["gidMappings"] = mapping
    room.rejects(f"/linux/namespaces/{len(room.linux['namespaces']) - 1}/path")


@SPEC.family("namespaces.{0}.no-namespace", "MUST", "namespaces", "a path to something else than a {0} namespace is an error",
             NAMESPACES)  # fmt: skip
def no_namespace(room: Room, kind: str, _: str) -> None:
    room.namespace(kind, "/proc/self/status")
    room.rejects(f"/linux/namespaces/{len(room.linux['namespaces']) - 1}/path")


@SPEC.family(
    "namespaces.{0}.relative",
    "MUST",
    "namespaces",
    "a relative path of a {0} namespace is an error",
    NAMESPACES,
)
def relative(room: Room, kind: str, name: str) -> None:
    room.namespace(kind, f"proc/self/ns/{name}")
    room.rejects(f"/linux/namespaces/{len(room.linux['namespaces']) - 1}/path")


@SPEC.family("namespaces.{0}.missing", "MUST", "namespaces", "a path of a {0} namespace that leads nowhere is an error",
             NAMESPACES)  # fmt: skip
def missing(room: Room, kind: str, _: str) -> None:
    room.namespace(kind, "/nowhere/ns")
    room.rejects(f"/linux/namespaces/{len(room.linux['namespaces']) - 1}/path")


@SPEC.family(
    "namespaces.{0}.duplicate",
    "MUST",
    "namespaces",
    "two namespaces of type {0} are an error",
    NAMESPACES,
)
def duplicate(room: Room, kind: str, _: str) -> None:
    room.namespace(kind)
    if kind == "user":
        room.user_namespace()
    room.linux["namespaces"].append({"type": kind})
    room.rejects(f"/linux/namespaces/{len(room.linux['namespaces']) - 1}")


# -- user namespace mappings, time offsets


@SPEC.must(
    "mappings.applied", "user-namespace-mappings", "the mappings are those of the user namespace"
)
def mappings(room: Room) -> None:
    room.user_namespace(size=500)
    text = room.run("cat /proc/self/uid_map /proc/self/gid_map")
    room.equal(text.split(), ["0", "100000", "500"] * 2, "maps")


@SPEC.must("mappings.several", "user-namespace-mappings", "there may be several mappings")
def mappings_several(room: Room) -> None:
    room.user_namespace()
    several = [
        {"containerID": 0, "hostID": 100000, "size": 10},
        {"containerID": 10, "hostID": 200000, "size": 20},
    ]
    room.linux["uidMappings"] = room.linux["gidMappings"] = several
    text = room.run("cat /proc/self/uid_map")
    room.equal(text.split(), "0 100000 10 10 200000 20".split(), "uid_map")


@SPEC.should(
    "mappings.owners", "user-namespace-mappings", "no file's owner is changed to realise a mapping"
)
def mappings_owners(room: Room) -> None:
    room.user_namespace()
    path = room.file("bundle/rootfs/etc/owned", "")
    before = os.stat(path).st_uid
    room.run("true")
    room.equal(os.stat(path).st_uid, before, "owner")


@SPEC.may(
    "mappings.too-many",
    "user-namespace-mappings",
    "more mappings than the kernel takes are an error",
)
def mappings_too_many(room: Room) -> None:
    room.user_namespace()
    many = [{"containerID": n, "hostID": 100000 + n, "size": 1} for n in range(341)]
    room.linux["uidMappings"] = many
    room.rejects("/linux/uidMappings")


@SPEC.family("mappings.without-namespace.{0}", "MUST", "user-namespace-mappings",
             "{0} without a user namespace cannot be applied", ["uidMappings", "gidMappings"])  # fmt: skip
def mappings_without(room: Room, name: str) -> None:
    room.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 10}]
    room.rejects(f"/linux/{name}")


@SPEC.family("timeOffsets.{0}", "MUST", "offset-for-time-namespace", "the {0} clock has the offset",
             [("monotonic",), ("boottime",)])  # fmt: skip
def time_offsets(room: Room, clock: str) -> None:
    room.needs(has_time("time"))
    room.namespace("time")
    room.linux["timeOffsets"] = {clock: {"secs": 7200, "nanosecs": 5}}
    text = room.run("cat /proc/self/timens_offsets")
    found = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    room.equal(found[clock], ["7200", "5"], clock)


@SPEC.must(
    "timeOffsets.unknown-clock", "offset-for-time-namespace", "a clock without offsets is an error"
)
def time_unknown(room: Room) -> None:
    room.needs(has_time("time"))
    room.namespace("time")
    room.linux["timeOffsets"] = {"realtime": {"secs": 1}}
    room.rejects("/linux/timeOffsets/realtime")


@SPEC.must(
    "timeOffsets.without-namespace",
    "offset-for-time-namespace",
    "offsets without a time namespace cannot be applied",
)
def time_without(room: Room) -> None:
    room.linux["timeOffsets"] = {"monotonic": {"secs": 1}}
    room.rejects("/linux/timeOffsets")


# -- file systems and devices

FILESYSTEMS = [("/proc", "proc"), ("/sys", "sysfs"), ("/dev/pts", "devpts"), ("/dev/shm", "tmpfs")]


@SPEC.family(
    "filesystems.{1}-{0}",
    "SHOULD",
    "default-filesystems",
    "{0} can be made available as {1}",
    FILESYSTEMS,
)
def filesystems(room: Room, path: str, fstype: str) -> None:
    if path == "/sys":
        room.namespace("network")
    if path != "/proc":
        room.mount(path, fstype, fstype)
    lines = room.run("cat /proc/self/mounts").splitlines()
    room.holds(any(line.split()[1:3] == [path, fstype] for line in lines), "it is not mounted")


DEFAULT_DEVICES = [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
                   ("tty", 5, 0)]  # fmt: skip


@SPEC.family(
    "devices.default.{0}", "MUST", "default-devices", "/dev/{0} is supplied", DEFAULT_DEVICES
)
def default_devices(room: Room, name: str, major: int, minor: int) -> None:
    room.equal(room.run(f"stat -c '%F %t %T' /dev/{name}"),
               f"character special file {major:x} {minor:x}", name)  # fmt: skip


@SPEC.must("devices.default.ptmx", "default-devices", "/dev/ptmx is the container's pts/ptmx")
def ptmx(room: Room) -> None:
    room.mount("/dev/pts", "devpts", "devpts", "newinstance", "ptmxmode=0666")
    script = "stat -L -c '%t %T' /dev/ptmx; test -L /dev/ptmx && readlink /dev/ptmx || " \
             "grep -c ' /dev/ptmx ' /proc/self/mountinfo"  # fmt: skip
    lines = room.run(script).splitlines()
    room.equal(lines[0], "5 2", "device")
    room.holds(lines[1] in ("pts/ptmx", "/dev/pts/ptmx", "1"), f"/dev/ptmx is {lines[1]}")


@SPEC.must(
    "devices.default.without-config", "default-devices", "default devices need no entry in devices"
)
def default_with_devices(room: Room) -> None:
    room.linux["devices"] = [{"type": "p", "path": "/dev/fifo"}]
    room.equal(room.run("stat -c %F /dev/null /dev/fifo"), "character special file\nfifo")


@SPEC.must(
    "devices.default.console", "default-devices", "with a terminal /dev/console is that terminal"
)
def console(room: Room) -> None:
    from conformance.cases.process import _terminal

    _terminal(room, "grep -c ' /dev/console ' /proc/self/mountinfo; "
                    "test $(stat -c %t:%T /dev/console) = $(stat -L -c %t:%T /proc/self/fd/0) "
                    "&& echo same", "same")  # fmt: skip


DEVICES = [
    ("c", "char", 1, 3),
    ("u", "unbuffered", 1, 5),
    ("b", "block", 7, 0),
    ("p", "fifo", None, None),
]
KINDS = {
    "c": "character special file",
    "u": "character special file",
    "b": "block special file",
    "p": "fifo",
}


@SPEC.family("devices.type.{1}", "MUST", "devices", "a device of type {0} is available", DEVICES)
def device(room: Room, kind: str, _: str, major: int | None, minor: int | None) -> None:
    entry: dict[str, object] = {"type": kind, "path": "/dev/conform"}
    if major is not None:
        entry |= {"major": major, "minor": minor}
    room.linux["devices"] = [entry]
    found = room.run("stat -c '%F %t:%T' /dev/conform")
    room.equal(found.rsplit(" ", 1)[0], KINDS[kind], "type")
    if major is not None:
        room.equal(found.rsplit(" ", 1)[1], f"{major:x}:{minor:x}", "numbers")


@SPEC.must("devices.owner-mode", "devices", "mode and owner are as configured")
def device_owner(room: Room) -> None:
    room.linux["devices"] = [{"type": "c", "path": "/dev/conform", "major": 1, "minor": 3,
                              "fileMode": 0o640, "uid": 5, "gid": 6}]  # fmt: skip
    room.equal(room.run("stat -c '%a %u %g' /dev/conform"), "640 5 6")


@SPEC.may("devices.elsewhere", "devices", "a device may be outside of /dev")
def device_elsewhere(room: Room) -> None:
    room.linux["devices"] = [{"type": "c", "path": "/srv/deep/null", "major": 1, "minor": 3}]
    room.equal(room.run("stat -c %F /srv/deep/null"), "character special file")


EXISTING = [
    ("file", "a regular file"),
    ("directory", "a directory"),
    ("other-device", "another device"),
]


@SPEC.family(
    "devices.existing.{0}", "MUST", "devices", "{1} at the device's path is an error", EXISTING
)
def device_existing(room: Room, what: str, _: str) -> None:
    path = f"{room.rootfs}/srv/conform"
    os.makedirs(os.path.dirname(path))
    if what == "file":
        room.file("bundle/rootfs/srv/conform", "")
    elif what == "directory":
        os.mkdir(path)
    else:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    room.linux["devices"] = [{"type": "c", "path": "/srv/conform", "major": 1, "minor": 3}]
    room.rejects("/linux/devices/0/path")


@SPEC.must("devices.existing.same", "devices", "a node that is the requested device is none")
def device_existing_same(room: Room) -> None:
    os.makedirs(f"{room.rootfs}/srv")
    os.mknod(f"{room.rootfs}/srv/conform", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    room.linux["devices"] = [{"type": "c", "path": "/srv/conform", "major": 1, "minor": 3}]
    room.accepts()


@SPEC.should("devices.same-twice", "devices", "one device at two paths is the author's affair")
def device_twice(room: Room) -> None:
    entry = {"type": "c", "major": 1, "minor": 3}
    room.linux["devices"] = [{**entry, "path": "/dev/a"}, {**entry, "path": "/dev/b"}]
    room.accepts()


# -- network devices


@contextlib.contextmanager
def devices(room: Room, *names: str) -> Iterator[None]:
    """Have the runtime work in a network namespace of ours with these dummy devices."""
    room.needs(host.veth())
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet = 0x40000000
    if libc.unshare(clone_newnet) != 0:
        os.close(outside)
        room.needs("no new network namespace")
    try:
        for name in names:
            command = ["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"]
            subprocess.run(command, check=True)
        room.namespace("network")
        yield
    finally:
        libc.setns(outside, clone_newnet)
        os.close(outside)


@SPEC.must("netDevices.moved", "network-devices", "a network device is available in the container")
def net_moved(room: Room) -> None:
    with devices(room, "conf0"):
        room.linux["netDevices"] = {"conf0": {}}
        room.holds("conf0" in room.run("ip -o link"), "conf0 is not there")


@SPEC.must("netDevices.renamed", "network-devices", "it has the name that is asked for")
def net_renamed(room: Room) -> None:
    with devices(room, "conf0"):
        room.linux["netDevices"] = {"conf0": {"name": "inner0"}}
        text = room.run("ip -o link")
        room.holds("inner0" in text and " conf0@" not in text, text)


@SPEC.must("netDevices.up", "network-devices", "it is set up")
def net_up(room: Room) -> None:
    with devices(room, "conf0"):
        room.linux["netDevices"] = {"conf0": {}}
        room.holds("UP" in room.run("ip -o link show conf0").split(">")[0], "it is down")


@SPEC.family("netDevices.addresses.{0}", "MUST", "network-devices", "permanent global addresses are kept: {0}",
             [("IPv4", "192.0.2.7/24"), ("IPv6", "2001:db8::7/64")])  # fmt: skip
def net_addresses(room: Room, _: str, address: str) -> None:
    with devices(room, "conf0"):
        family = "-6" if ":" in address else "-4"
        room.needs(
            (host.succeeds("test", "-e", "/proc/net/if_inet6") and family == "-6" and "no IPv6")
            or ""
        )
        subprocess.run(["ip", family, "addr", "add", address, "dev", "conf0"], check=True)
        room.linux["netDevices"] = {"conf0": {}}
        room.holds(address in room.run(f"ip {family} -o addr show dev conf0"), f"{address} is gone")


@SPEC.must(
    "netDevices.attributes",
    "network-devices",
    "attributes such as MTU and hardware address are kept",
)
def net_attributes(room: Room) -> None:
    with devices(room, "conf0"):
        subprocess.run(
            ["ip", "link", "set", "conf0", "mtu", "1400", "address", "02:00:00:00:00:07"],
            check=True,
        )
        room.linux["netDevices"] = {"conf0": {}}
        text = room.run("ip -o link show conf0")
        room.holds("mtu 1400" in text and "02:00:00:00:00:07" in text, text)


@SPEC.must(
    "netDevices.clash", "network-devices", "a name that is taken in the container is an error"
)
def net_clash(room: Room) -> None:
    with devices(room, "conf0"):
        room.linux["netDevices"] = {"conf0": {"name": "lo"}}
        room.rejects("/linux/netDevices/conf0/name")


@SPEC.must(
    "netDevices.clash-keeps", "network-devices", "after that error the device is where it was"
)
def net_clash_keeps(room: Room) -> None:
    with devices(room, "conf0"):
        room.linux["netDevices"] = {"conf0": {"name": "lo"}}
        room.rejects("/linux/netDevices/conf0/name")
        there = subprocess.run(["ip", "link", "show", "conf0"], capture_output=True, check=False)
        room.equal(there.returncode, 0, "status of ip link show")


@SPEC.must("netDevices.template", "network-devices", "with %d at its end the kernel finds a name")
def net_template(room: Room) -> None:
    with devices(room, "conf0"):
        room.linux["netDevices"] = {"conf0": {"name": "inner%d"}}
        room.holds("inner0" in room.run("ip -o link"), "inner0 is not there")


@SPEC.must("netDevices.missing", "network-devices", "a device that is not there is an error")
def net_missing(room: Room) -> None:
    room.namespace("network")
    room.linux["netDevices"] = {"nosuchdevice0": {}}
    room.rejects("/linux/netDevices/nosuchdevice0")


@SPEC.must("netDevices.lo", "network-devices", "a device that cannot be moved is an error")
def net_lo(room: Room) -> None:
    room.namespace("network")
    room.linux["netDevices"] = {"lo": {"name": "lo1"}}
    room.rejects("/linux/netDevices/lo")


@SPEC.must(
    "netDevices.without-namespace",
    "network-devices",
    "without a network namespace it cannot be moved",
)
def net_without(room: Room) -> None:
    with devices(room, "conf0"):
        room.without_namespace("network")
        room.linux["netDevices"] = {"conf0": {}}
        room.rejects("/linux/netDevices")


@SPEC.must(
    "netDevices.not-moved-back",
    "network-devices",
    "the runtime does not move it out before deletion",
)
def net_not_back(room: Room) -> None:
    with devices(room, "conf0"):
        room.linux["netDevices"] = {"conf0": {}}
        room.run("true")
        there = subprocess.run(["ip", "link", "show", "conf0"], capture_output=True, check=False)
        room.holds(there.returncode != 0, "a veth, which ends with its namespace, is back")


# -- sysctl, propagation, paths, personality, memory policy, resctrl


@SPEC.family("sysctl.{0}", "MUST", "sysctl", "{0} is set in the container",
             [("net.ipv4.ip_forward", "1"), ("net.core.somaxconn", "256"), ("kernel.shmmni", "1234"),
              ("kernel.msgmax", "9000"), ("fs.mqueue.msg_max", "20")])  # fmt: skip
def sysctl(room: Room, name: str, value: str) -> None:
    room.namespace("network")
    room.linux["sysctl"] = {name: value}
    room.equal(room.run(f"cat /proc/sys/{name.replace('.', '/')}"), value)


@SPEC.must("sysctl.unknown", "sysctl", "a parameter that the kernel has not is an error")
def sysctl_unknown(room: Room) -> None:
    room.namespace("network")
    room.linux["sysctl"] = {"net.ipv4.banana": "1"}
    room.rejects("/linux/sysctl/net.ipv4.banana")


@SPEC.must("sysctl.host", "sysctl", "a parameter of the whole host is not set for a container")
def sysctl_host(room: Room) -> None:
    with open("/proc/sys/vm/swappiness", encoding="utf-8") as file:
        room.linux["sysctl"] = {"vm.swappiness": file.read().strip()}
    room.rejects("/linux/sysctl/vm.swappiness")


@SPEC.family("rootfsPropagation.{0}", "MUST", "rootfs-mount-propagation", "the root gets the propagation {0}",
             [("shared", "shared:"), ("slave", ""), ("private", ""), ("unbindable", "unbindable")])  # fmt: skip
def rootfs_propagation(room: Room, name: str, wanted: str) -> None:
    from conformance.cases.mounts import mountinfo

    room.linux["rootfsPropagation"] = name
    _, rest = mountinfo(room.run("cat /proc/self/mountinfo"), "/")
    room.holds(wanted in rest if wanted else "shared:" not in rest, f"the root has {rest!r}")


@SPEC.family("maskedPaths.{0}", "MUST", "masked-paths", "{0} in maskedPaths cannot be read",
             [("a-file", "/etc/passwd"), ("a-directory", "/etc"), ("in-proc", "/proc/version")])  # fmt: skip
def masked(room: Room, _: str, path: str) -> None:
    room.linux["maskedPaths"] = [path]
    found = room.run(f"if test -d {path}; then ls {path}; else cat {path}; fi 2>/dev/null; true")
    room.equal(found, "", "what can be read")


@SPEC.must("maskedPaths.missing", "masked-paths", "what is not there needs no mask")
def masked_missing(room: Room) -> None:
    room.linux["maskedPaths"] = ["/proc/nothing/there"]
    room.accepts()


@SPEC.family("{0}.relative", "MUST", "{1}", "a relative path in {0} is an error",
             [("maskedPaths", "masked-paths"), ("readonlyPaths", "readonly-paths")])  # fmt: skip
def paths_relative(room: Room, name: str, _: str) -> None:
    room.linux[name] = ["etc/passwd"]
    room.rejects(f"/linux/{name}/0")


@SPEC.family("readonlyPaths.{0}", "MUST", "readonly-paths", "{0} in readonlyPaths cannot be written to",
             [("a-file", "/etc/passwd"), ("a-directory", "/etc"), ("in-proc", "/proc/sys")])  # fmt: skip
def readonly(room: Room, _: str, path: str) -> None:
    room.linux["readonlyPaths"] = [path]
    target = {"/etc": "/etc/new", "/proc/sys": "/proc/sys/kernel/msgmax"}.get(path, path)
    script = f"(echo 8192 >>{target}) 2>/dev/null && echo wrote || echo refused"
    room.equal(room.run(script), "refused")


@SPEC.must("readonlyPaths.missing", "readonly-paths", "what is not there needs no protection")
def readonly_missing(room: Room) -> None:
    room.linux["readonlyPaths"] = ["/proc/nothing/there"]
    room.accepts()


@SPEC.must(
    "mountLabel.without-selinux",
    "mount-label",
    "a label cannot be applied without SELinux: an error",
)
def mount_label(room: Room) -> None:
    room.needs("this host has SELinux" if os.path.exists("/sys/fs/selinux") else "")
    room.linux["mountLabel"] = "system_u:object_r:container_file_t:s0"
    room.mount("/mnt", "tmpfs", "tmpfs")
    room.rejects("/linux/mountLabel")


@SPEC.family("personality.{0}", "MUST", "personality", "the execution domain is {0}",
             [("LINUX", "00000000"), ("LINUX32", "00000008")])  # fmt: skip
def personality(room: Room, domain: str, wanted: str) -> None:
    room.linux["personality"] = {"domain": domain}
    room.equal(room.run("cat /proc/self/personality"), wanted)


@SPEC.must("personality.flags", "personality", "no flags are supported: any is an error")
def personality_flags(room: Room) -> None:
    room.linux["personality"] = {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}
    room.rejects("/linux/personality/flags")


MODES = [("MPOL_DEFAULT", "", "default"), ("MPOL_BIND", "0", "bind:0"), ("MPOL_INTERLEAVE", "0", "interleave:0"),
         ("MPOL_WEIGHTED_INTERLEAVE", "0", "weighted interleave:0"), ("MPOL_PREFERRED", "0", "prefer:0"),
         ("MPOL_PREFERRED_MANY", "0", "prefer (many):0"), ("MPOL_LOCAL", "", "local")]  # fmt: skip


@SPEC.family("memoryPolicy.{0}", "MUST", "memory-policy", "the memory policy is {0}", MODES)
def memory_policy(room: Room, mode: str, nodes: str, wanted: str) -> None:
    room.needs(host.numa())
    room.linux["memoryPolicy"] = {"mode": mode} | ({"nodes": nodes} if nodes else {})
    found = " ".join(room.run("head -n 1 /proc/self/numa_maps").split()[1:4])
    room.holds(found.startswith(wanted), f"numa_maps: {found!r}")


@SPEC.family("memoryPolicy.flag.{0}", "MUST", "memory-policy", "the flag {0} is passed on",
             [("MPOL_F_STATIC_NODES", "=static"), ("MPOL_F_RELATIVE_NODES", "=relative"),
              ("MPOL_F_NUMA_BALANCING", "")])  # fmt: skip
def memory_policy_flag(room: Room, flag: str, wanted: str) -> None:
    room.needs(host.numa())
    room.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}
    found = room.run("head -n 1 /proc/self/numa_maps").split()[1]
    room.holds(found.startswith("bind") and wanted in found, f"numa_maps: {found!r}")


@SPEC.family("memoryPolicy.invalid.{0}", "MUST", "memory-policy", "{0} cannot be applied: an error",
             [("default-with-nodes", "MPOL_DEFAULT", "0", []), ("bind-without-nodes", "MPOL_BIND", "", []),
              ("no-list", "MPOL_BIND", "banana", []), ("unknown-flag", "MPOL_BIND", "0", ["MPOL_F_BANANA"])])  # fmt: skip
def memory_policy_invalid(room: Room, _: str, mode: str, nodes: str, flags: list[str]) -> None:
    room.needs(host.numa())
    room.linux["memoryPolicy"] = {"mode": mode, "nodes": nodes, "flags": flags}
    room.rejects("/linux/memoryPolicy")


@SPEC.must(
    "intelRdt.without-resctrl",
    "intelrdt",
    "without a mounted resctrl file system intelRdt is an error",
)
def intel_rdt(room: Room) -> None:
    room.needs("a resctrl file system is mounted" if host.resctrl() else "")
    room.linux["intelRdt"] = {"closID": "conformance"}
    room.rejects("/linux/intelRdt")


@SPEC.family("intelRdt.invalid.{0}", "MUST", "intelrdt", "a schema that must not be: {0}",
             [("memBw-prefix", "memBwSchema", "L3:0=f"), ("memBw-newline", "memBwSchema", "MB:0=20\nMB:1=70"),
              ("l3-newline", "l3CacheSchema", "L3:0=f\nL3:1=f"), ("schemata-newline", "schemata", ["L3:0=f\nMB:0=20"])])  # fmt: skip
def intel_rdt_invalid(room: Room, _: str, name: str, value: object) -> None:
    room.linux["intelRdt"] = {"closID": "conformance", name: value}
    room.rejects(f"/linux/intelRdt/{name}")
