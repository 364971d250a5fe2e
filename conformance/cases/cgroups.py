"""config-linux.md#control-groups: where the container is, and what its limits become."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from conformance import host, leftovers
from conformance.case import Section

if TYPE_CHECKING:
    from conformance.room import Room

SPEC = Section("config-linux.md")
RES = "/linux/resources"


def v1(controller: str, *way: str) -> str:
    return "/".join((host.controllers()[controller], *way))


def read(room: Room, controller: str, file: str) -> str:
    """Create the container; return what is in a v1 file of its cgroup."""
    room.create()
    for path in leftovers.cgroups(room.tag):
        if path.startswith(v1(controller)) and os.path.exists(f"{path}/{file}"):
            with open(f"{path}/{file}", encoding="utf-8") as content:
                return content.read().strip()
    room.holds(False, f"no cgroup of {controller}")
    return ""


# Controller, what is configured, file, what must be in it.
V1: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("memory.limit", "memory", {"memory": {"limit": 67108864}}, "memory.limit_in_bytes", "67108864"),
    ("memory.unlimited", "memory", {"memory": {"limit": -1}}, "memory.limit_in_bytes", "9223372036854771712"),
    ("memory.reservation", "memory", {"memory": {"reservation": 33554432}}, "memory.soft_limit_in_bytes", "33554432"),
    ("memory.swap", "memory", {"memory": {"limit": 67108864, "swap": 134217728}}, "memory.memsw.limit_in_bytes", "134217728"),
    ("memory.swappiness", "memory", {"memory": {"swappiness": 10}}, "memory.swappiness", "10"),
    ("memory.useHierarchy", "memory", {"memory": {"useHierarchy": True}}, "memory.use_hierarchy", "1"),
    ("memory.kernelTCP", "memory", {"memory": {"kernelTCP": 16777216}}, "memory.kmem.tcp.limit_in_bytes", "16777216"),
    ("cpu.shares", "cpu", {"cpu": {"shares": 512}}, "cpu.shares", "512"),
    ("cpu.quota", "cpu", {"cpu": {"quota": 50000}}, "cpu.cfs_quota_us", "50000"),
    ("cpu.period", "cpu", {"cpu": {"quota": 25000, "period": 50000}}, "cpu.cfs_period_us", "50000"),
    ("cpu.burst", "cpu", {"cpu": {"quota": 50000, "period": 100000, "burst": 20000}}, "cpu.cfs_burst_us", "20000"),
    ("cpu.idle", "cpu", {"cpu": {"idle": 1}}, "cpu.idle", "1"),
    ("cpu.cpus", "cpuset", {"cpu": {"cpus": "0"}}, "cpuset.cpus", "0"),
    ("cpu.mems", "cpuset", {"cpu": {"mems": "0"}}, "cpuset.mems", "0"),
    ("pids.limit", "pids", {"pids": {"limit": 321}}, "pids.max", "321"),
    ("pids.unlimited", "pids", {"pids": {"limit": -1}}, "pids.max", "max"),
    ("hugepageLimits", "hugetlb", {"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]},
     "hugetlb.2MB.rsvd.limit_in_bytes", "4194304"),
    ("blockIO.weight", "blkio", {"blockIO": {"weight": 300}}, "blkio.bfq.weight", "300"),
    ("network.classID", "net_cls", {"network": {"classID": 1048577}}, "net_cls.classid", "1048577"),
]  # fmt: skip
SECTION = {"memory": "memory", "cpu": "cpu", "pids": "pids", "hugepageLimits": "huge-page-limits",
           "blockIO": "block-io", "network": "network"}  # fmt: skip


def _limits(
    room: Room, _: str, __: str, controller: str, resources: dict[str, Any], file: str, wanted: str
) -> None:
    room.needs(host.v1_file(controller, file))
    room.linux["resources"] = resources
    room.equal(read(room, controller, file), wanted, file)


SPEC.family("resources.{0}", "MUST", "{1}", "{0} is applied to the container's cgroup",
            [(name, SECTION[name.partition(".")[0]], *rest) for name, *rest in V1])(_limits)  # fmt: skip


@SPEC.should("resources.pids.zero", "pids", "a limit of 0 is a limit")
def pids_zero(room: Room) -> None:
    room.needs(host.v1_file("pids", "pids.max"))
    room.linux["resources"] = {"pids": {"limit": 0}}
    room.holds(read(room, "pids", "pids.max") in ("0", "1"), "it is no limit")


@SPEC.must("resources.memory.disableOOMKiller", "memory", "disableOOMKiller disables it")
def oom_killer(room: Room) -> None:
    room.needs(host.v1_file("memory", "memory.oom_control"))
    room.linux["resources"] = {"memory": {"limit": 67108864, "disableOOMKiller": True}}
    room.holds("oom_kill_disable 1" in read(room, "memory", "memory.oom_control"), "it is enabled")


@SPEC.family("resources.blockIO.{0}", "MUST", "block-io", "{0} throttles the device",
             [("throttleReadBpsDevice", "read_bps"), ("throttleWriteBpsDevice", "write_bps"),
              ("throttleReadIOPSDevice", "read_iops"), ("throttleWriteIOPSDevice", "write_iops")])  # fmt: skip
def throttle(room: Room, name: str, file: str) -> None:
    disk = host.whole_disk()
    room.needs("" if disk else "no block device")
    room.needs(host.v1_file("blkio", f"blkio.throttle.{file}_device"))
    major, minor = map(int, disk.split(":"))
    room.linux["resources"] = {
        "blockIO": {name: [{"major": major, "minor": minor, "rate": 1048576}]}
    }
    room.equal(read(room, "blkio", f"blkio.throttle.{file}_device"), f"{disk} 1048576")


@SPEC.family("resources.cpu.burst-above-quota.{0}", "MAY", "cpu", "a burst above the quota may be an error: {0}",
             [("burst", 60000), ("quota", 50001)])  # fmt: skip
def burst_above(room: Room, _: str, burst: int) -> None:
    room.linux["resources"] = {"cpu": {"quota": 50000, "period": 100000, "burst": burst}}
    room.rejects(f"{RES}/cpu/burst")


@SPEC.must(
    "resources.memory.checkBeforeUpdate", "memory", "a limit below the current usage is rejected"
)
def check_before_update(room: Room) -> None:
    # `update` is no operation of the specification; a cgroup that is in use already is the same.
    room.needs("" if host.controllers().get("memory") else "no cgroup v1 memory controller")
    room.linux["resources"] = {"memory": {"limit": 4096, "checkBeforeUpdate": True}}
    room.rejects(f"{RES}/memory/limit", late=True)


INVALID = [
    ("cpu.period-small", {"cpu": {"period": 1}}, "cpu/period", "cpu"),
    ("cpu.cpus-malformed", {"cpu": {"cpus": "banana"}}, "cpu/cpus", "cpu"),
    ("cpu.cpus-absent", {"cpu": {"cpus": "9999"}}, "cpu/cpus", "cpu"),
    ("cpu.mems-absent", {"cpu": {"mems": "63"}}, "cpu/mems", "cpu"),
    ("memory.swappiness", {"memory": {"swappiness": 201}}, "memory/swappiness", "memory"),
    ("blockIO.weight", {"blockIO": {"weight": 1001}}, "blockIO/weight", "block-io"),
    ("blockIO.no-weight", {"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}},
     "blockIO/weightDevice/0", "block-io"),
    ("hugepageLimits.pageSize", {"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]},
     "hugepageLimits/0/pageSize", "huge-page-limits"),
    ("hugepageLimits.malformed", {"hugepageLimits": [{"pageSize": "banana", "limit": 1}]},
     "hugepageLimits/0/pageSize", "huge-page-limits"),
    ("rdma.empty", {"rdma": {"mlx5_1": {}}}, "rdma/mlx5_1", "rdma"),
    ("rdma.no-controller", {"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "rdma", "rdma"),
    ("network.no-controller", {"network": {"classID": 1}}, "network", "network"),
    ("network.device", {"network": {"priorities": [{"name": "nosuch0", "priority": 1}]}},
     "network/priorities/0/name", "network"),
    ("unified.no-controller", {"unified": {"banana.max": "1"}}, "unified/banana.max", "unified"),
    ("unified.slash", {"unified": {"../memory.max": "1"}}, "unified/..~1memory.max", "unified"),
    ("devices.access", {"devices": [{"allow": True, "access": "rwx"}]}, "devices/0/access", "allowed-device-list"),
]  # fmt: skip


@SPEC.family(
    "resources.invalid.{0}", "MUST", "{3}", "{2} that cannot be applied is an error: {0}", INVALID
)
def invalid(room: Room, name: str, resources: dict[str, Any], pointer: str, _: str) -> None:
    controller = {"rdma.no-controller": "rdma", "network.no-controller": "net_cls"}.get(name)
    if controller:
        room.needs("" if host.controller(controller) else f"this host has {controller}")
    room.linux["resources"] = resources
    room.rejects(f"{RES}/{pointer}")


# -- devices


def fuse(room: Room, *rules: dict[str, Any]) -> None:
    """Make /dev/conform, a device that opening does nothing to and that is none of the default
    ones; deny everything, and then apply these rules to it."""
    with open("/proc/misc", encoding="utf-8") as file:
        minors = {line.split()[1]: int(line.split()[0]) for line in file}
    room.needs("" if "fuse" in minors else "this kernel has no fuse, whose device is used")
    device = {"type": "c", "major": 10, "minor": minors["fuse"]}
    room.linux["devices"] = [{**device, "path": "/dev/conform"}]
    mine = [{**device, **rule} if "type" not in rule else rule for rule in rules]
    for rule in mine:
        if rule["type"] is None:
            del rule["type"]
    room.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}, *mine]}


OPEN = """(: </dev/conform) 2>/dev/null && echo read || echo refused
(: >/dev/conform) 2>/dev/null && echo written || echo refused"""


@SPEC.must(
    "resources.devices.order", "allowed-device-list", "entries are applied in the listed order"
)
def devices_order(room: Room) -> None:
    fuse(room, {"allow": True, "access": "rw"}, {"allow": False, "access": "w"})
    room.equal(room.run(OPEN), "read\nrefused")


@SPEC.must(
    "resources.devices.order-allow-last",
    "allowed-device-list",
    "a later entry allows what an earlier one denies",
)
def devices_order_allow(room: Room) -> None:
    fuse(room, {"allow": False, "access": "rw"}, {"allow": True, "access": "w"})
    room.equal(room.run(OPEN), "refused\nwritten")


ACCESS = [("r", "read", "refused"), ("w", "refused", "written"), ("rw", "read", "written")]


@SPEC.family(
    "resources.devices.access.{0}",
    "MUST",
    "allowed-device-list",
    "access {0} is what is allowed",
    ACCESS,
)
def devices_access(room: Room, access: str, reading: str, writing: str) -> None:
    fuse(room, {"allow": True, "access": access})
    room.equal(room.run(OPEN), f"{reading}\n{writing}")


@SPEC.must("resources.devices.deny-all", "allowed-device-list", "what is not allowed is denied")
def devices_denied(room: Room) -> None:
    fuse(room)
    room.equal(room.run(OPEN), "refused\nrefused")


@SPEC.must(
    "resources.devices.type-all",
    "allowed-device-list",
    "an entry without type, major, minor means all",
)
def devices_all(room: Room) -> None:
    fuse(room, {"allow": True, "access": "rwm", "type": None})
    room.equal(room.run(OPEN), "read\nwritten")


@SPEC.must(
    "resources.devices.defaults-stay", "allowed-device-list", "the default devices stay usable"
)
def devices_defaults(room: Room) -> None:
    room.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    room.equal(room.run("echo x >/dev/null && head -c 1 /dev/zero | wc -c"), "1")


# -- the path


def places(room: Room) -> list[str]:
    return leftovers.cgroups(room.tag)


@SPEC.must(
    "cgroupsPath.absolute", "cgroups-path", "an absolute path is relative to the cgroup mount point"
)
def absolute(room: Room) -> None:
    room.linux["cgroupsPath"] = f"/{room.tag}/inner"
    room.create()
    roots = leftovers.cgroup_roots()
    found = [p for p in places(room) if p.endswith(f"/{room.tag}/inner")]
    room.holds(found, f"cgroups {places(room)}")
    room.holds(
        all(p.removesuffix(f"/{room.tag}/inner") in roots for p in found), f"cgroups {found}"
    )


@SPEC.may(
    "cgroupsPath.relative", "cgroups-path", "a relative path is taken from where the runtime likes"
)
def relative(room: Room) -> None:
    room.linux["cgroupsPath"] = room.tag
    room.create()
    room.holds(places(room), "no cgroup")


@SPEC.must("cgroupsPath.member", "cgroups-path", "the container's process is in the cgroup")
def member(room: Room) -> None:
    room.create()
    with open(f"/proc/{room.pid}/cgroup", encoding="utf-8") as file:
        room.holds(f"/{room.tag}" in file.read(), "it is not")


@SPEC.must("cgroupsPath.consistent", "cgroups-path", "the same value means the same place")
def consistent(room: Room) -> None:
    room.create()
    first = sorted(places(room))
    room.kill()
    room.wait()
    room.delete()
    room.create()
    room.equal(sorted(places(room)), first, "cgroups")


@SPEC.may("cgroupsPath.default", "cgroups-path", "without a value the runtime chooses")
def default_path(room: Room) -> None:
    del room.linux["cgroupsPath"]
    room.accepts()


@SPEC.must("cgroupsPath.default-removed", "cgroups-path", "what it chose is removed by delete")
def default_removed(room: Room) -> None:
    del room.linux["cgroupsPath"]
    room.accepts()
    room.nothing_is_left()


@SPEC.must(
    "cgroupsPath.existing-stays",
    "cgroups-path",
    "a cgroup above the container's that was there stays",
)
def existing_stays(room: Room) -> None:
    parents = [f"{root}/{room.tag}" for root in leftovers.cgroup_roots()]
    for path in parents:
        os.mkdir(path)
    room.linux["cgroupsPath"] = f"/{room.tag}/inner"
    room.accepts()
    gone = [path for path in parents if not os.path.isdir(path)]
    for path in set(parents) - set(gone):
        os.rmdir(path)
    room.equal(gone, [], "gone")


@SPEC.may(
    "cgroupsPath.in-use", "control-groups", "a cgroup with processes in it may be refused by create"
)
def in_use(room: Room) -> None:
    room.create()
    second = room.id
    room.id += "-second"
    answer = room.try_create()
    room.id = second
    if answer.status != 0:
        room.equal(room.state()["status"], "created", "status of the first")
    else:
        room.call("delete", "--force", room.id + "-second")


@SPEC.should(
    "cgroups.ownership-v1", "cgroup-ownership", "in cgroup v1 the owner of a cgroup is not changed"
)
def ownership(room: Room) -> None:
    room.needs("" if host.controllers() else "no cgroup v1 here")
    room.user_namespace()
    room.namespace("cgroup")
    room.mount("/sys", "sysfs", "sysfs", "ro")
    room.namespace("network")
    room.mount("/sys/fs/cgroup", "cgroup", "cgroup")
    room.create()
    for path in places(room):
        if path.startswith(tuple(host.controllers().values())):
            room.equal(os.stat(path).st_uid, 0, f"owner of {path}")


@SPEC.should("cgroups.ownership-without-mount", "cgroup-ownership",
             "without a writable mount of cgroups the owner is not changed")  # fmt: skip
def ownership_without(room: Room) -> None:
    room.user_namespace()
    room.namespace("cgroup")
    room.create()
    for path in places(room):
        room.equal(os.stat(path).st_uid, 0, f"owner of {path}")


@SPEC.may(
    "cgroups.more-controllers",
    "cgroups-path",
    "the process may be in more cgroups than limits ask for",
)
def more_controllers(room: Room) -> None:
    room.linux["resources"] = {"pids": {"limit": 100}}
    room.create()
    room.holds(places(room), "no cgroup")
