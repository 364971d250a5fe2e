"""Every property of config.json that a Linux runtime reads, as a table.

One line for each: JSON pointer, kind, and `R` where the specification says REQUIRED. A kind is
string, bool, array, object, a C integer type, or names separated by `|` (an enumeration).
"""

from __future__ import annotations

import json
from typing import Any

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

_TABLE = """
/ociVersion                             string R        config.md#specification-version
/root                                   object R        config.md#root
/root/path                              string R
/root/readonly                          bool
/mounts                                 array           config.md#mounts
/mounts/-/destination                   string R
/mounts/-/source                        string
/mounts/-/options                       array
/mounts/-/type                          string          config.md#posix-platform-mounts
/mounts/-/uidMappings                   array
/mounts/-/gidMappings                   array
/mounts/-/uidMappings/0/containerID     uint32 R
/mounts/-/uidMappings/0/hostID          uint32 R
/mounts/-/uidMappings/0/size            uint32 R
/mounts/-/gidMappings/0/containerID     uint32 R
/mounts/-/gidMappings/0/hostID          uint32 R
/mounts/-/gidMappings/0/size            uint32 R
/process                                object          config.md#process
/process/terminal                       bool
/process/consoleSize                    object
/process/consoleSize/height             uint R
/process/consoleSize/width              uint R
/process/cwd                            string R
/process/env                            array
/process/args                           array R
/process/rlimits                        array           config.md#posix-process
/process/rlimits/0/type                 RLIMIT_CORE|RLIMIT_NOFILE R
/process/rlimits/0/soft                 uint64 R
/process/rlimits/0/hard                 uint64 R
/process/apparmorProfile                string          config.md#linux-process
/process/capabilities                   object
/process/capabilities/effective         array
/process/capabilities/bounding          array
/process/capabilities/inheritable       array
/process/capabilities/permitted         array
/process/capabilities/ambient           array
/process/noNewPrivileges                bool
/process/oomScoreAdj                    int
/process/scheduler                      object
/process/scheduler/policy               SCHED_OTHER|SCHED_BATCH R
/process/scheduler/nice                 int32
/process/scheduler/priority             int32
/process/scheduler/flags                array
/process/scheduler/runtime              uint64
/process/scheduler/deadline             uint64
/process/scheduler/period               uint64
/process/selinuxLabel                   string
/process/ioPriority                     object
/process/ioPriority/class               IOPRIO_CLASS_BE|IOPRIO_CLASS_IDLE R
/process/ioPriority/priority            int R
/process/execCPUAffinity                object
/process/execCPUAffinity/initial        string
/process/execCPUAffinity/final          string
/process/user                           object          config.md#posix-platform-user
/process/user/uid                       uint R
/process/user/gid                       uint R
/process/user/umask                     uint
/process/user/additionalGids            array
/hostname                               string          config.md#hostname
/domainname                             string          config.md#domainname
/linux                                  object          config.md#platform-specific-configuration
/hooks                                  object          config.md#posix-platform-hooks
HOOKS
/annotations                            object          config.md#annotations
/linux/namespaces                       array           config-linux.md#namespaces
/linux/namespaces/-/type                pid|network R
/linux/namespaces/-/path                string
/linux/uidMappings                      array           config-linux.md#user-namespace-mappings
/linux/gidMappings                      array
/linux/uidMappings/0/containerID        uint32 R
/linux/uidMappings/0/hostID             uint32 R
/linux/uidMappings/0/size               uint32 R
/linux/gidMappings/0/containerID        uint32 R
/linux/gidMappings/0/hostID             uint32 R
/linux/gidMappings/0/size               uint32 R
/linux/timeOffsets                      object          config-linux.md#offset-for-time-namespace
/linux/timeOffsets/monotonic/secs       int64
/linux/timeOffsets/monotonic/nanosecs   uint32
/linux/devices                          array           config-linux.md#devices
/linux/devices/0/type                   c|b|u|p R
/linux/devices/0/path                   string R
/linux/devices/0/major                  int64 R
/linux/devices/0/minor                  int64 R
/linux/devices/0/fileMode               uint32
/linux/devices/0/uid                    uint32
/linux/devices/0/gid                    uint32
/linux/netDevices                       object          config-linux.md#network-devices
/linux/netDevices/lo/name               string
/linux/cgroupsPath                      string          config-linux.md#cgroups-path
/linux/resources                        object          config-linux.md#control-groups
/linux/resources/devices                array           config-linux.md#allowed-device-list
/linux/resources/devices/0/allow        bool R
/linux/resources/devices/0/type         a|c|b
/linux/resources/devices/0/major        int64
/linux/resources/devices/0/minor        int64
/linux/resources/devices/0/access       string
/linux/resources/memory                 object          config-linux.md#memory
/linux/resources/memory/limit           int64
/linux/resources/memory/reservation     int64
/linux/resources/memory/swap            int64
/linux/resources/memory/kernel          int64
/linux/resources/memory/kernelTCP       int64
/linux/resources/memory/swappiness      uint64
/linux/resources/memory/disableOOMKiller bool
/linux/resources/memory/useHierarchy    bool
/linux/resources/memory/checkBeforeUpdate bool
/linux/resources/cpu                    object          config-linux.md#cpu
/linux/resources/cpu/shares             uint64
/linux/resources/cpu/quota              int64
/linux/resources/cpu/burst              uint64
/linux/resources/cpu/period             uint64
/linux/resources/cpu/realtimeRuntime    int64
/linux/resources/cpu/realtimePeriod     uint64
/linux/resources/cpu/cpus               string
/linux/resources/cpu/mems               string
/linux/resources/cpu/idle               int64
/linux/resources/blockIO                object          config-linux.md#block-io
/linux/resources/blockIO/weight         uint16
/linux/resources/blockIO/leafWeight     uint16
/linux/resources/blockIO/weightDevice   array
/linux/resources/blockIO/weightDevice/0/major       int64 R
/linux/resources/blockIO/weightDevice/0/minor       int64 R
/linux/resources/blockIO/weightDevice/0/weight      uint16
/linux/resources/blockIO/weightDevice/0/leafWeight  uint16
THROTTLES
/linux/resources/hugepageLimits         array           config-linux.md#huge-page-limits
/linux/resources/hugepageLimits/0/pageSize string R
/linux/resources/hugepageLimits/0/limit uint64 R
/linux/resources/network                object          config-linux.md#network
/linux/resources/network/classID        uint32
/linux/resources/network/priorities     array
/linux/resources/network/priorities/0/name     string R
/linux/resources/network/priorities/0/priority uint32 R
/linux/resources/pids                   object          config-linux.md#pids
/linux/resources/pids/limit             int64
/linux/resources/rdma                   object          config-linux.md#rdma
/linux/resources/rdma/mlx5_1/hcaHandles uint32
/linux/resources/rdma/mlx5_1/hcaObjects uint32
/linux/resources/unified                object          config-linux.md#unified
/linux/intelRdt                         object          config-linux.md#intelrdt
/linux/intelRdt/closID                  string
/linux/intelRdt/l3CacheSchema           string
/linux/intelRdt/memBwSchema             string
/linux/intelRdt/schemata                array
/linux/intelRdt/enableMonitoring        bool
/linux/memoryPolicy                     object          config-linux.md#memory-policy
/linux/memoryPolicy/mode                MPOL_DEFAULT|MPOL_BIND R
/linux/memoryPolicy/nodes               string
/linux/memoryPolicy/flags               array
/linux/sysctl                           object          config-linux.md#sysctl
/linux/seccomp                          object          config-linux.md#seccomp
/linux/seccomp/defaultAction            SCMP_ACT_ALLOW|SCMP_ACT_ERRNO R
/linux/seccomp/defaultErrnoRet          uint
/linux/seccomp/architectures            array
/linux/seccomp/flags                    array
/linux/seccomp/listenerPath             string
/linux/seccomp/listenerMetadata         string
/linux/seccomp/syscalls                 array
/linux/seccomp/syscalls/0/names         array R
/linux/seccomp/syscalls/0/action        SCMP_ACT_ALLOW|SCMP_ACT_ERRNO R
/linux/seccomp/syscalls/0/errnoRet      uint32
/linux/seccomp/syscalls/0/args          array
/linux/seccomp/syscalls/0/args/0/index  uint R
/linux/seccomp/syscalls/0/args/0/value  uint64 R
/linux/seccomp/syscalls/0/args/0/valueTwo uint64
/linux/seccomp/syscalls/0/args/0/op     SCMP_CMP_EQ|SCMP_CMP_NE R
/linux/rootfsPropagation                shared|slave    config-linux.md#rootfs-mount-propagation
/linux/maskedPaths                      array           config-linux.md#masked-paths
/linux/readonlyPaths                    array           config-linux.md#readonly-paths
/linux/mountLabel                       string          config-linux.md#mount-label
/linux/personality                      object          config-linux.md#personality
/linux/personality/domain               LINUX|LINUX32 R
/linux/personality/flags                array
"""

_HOOK_LINES = """/hooks/{0} array
/hooks/{0}/0/path string R
/hooks/{0}/0/args array
/hooks/{0}/0/env array
/hooks/{0}/0/timeout int"""
THROTTLES = [f"throttle{way}{unit}Device" for way in ("Read", "Write") for unit in ("Bps", "IOPS")]
_THROTTLE_LINES = """/linux/resources/blockIO/{0} array
/linux/resources/blockIO/{0}/0/major int64 R
/linux/resources/blockIO/{0}/0/minor int64 R
/linux/resources/blockIO/{0}/0/rate uint64 R"""

# For each object below an array or an object that the minimal configuration does not have: one that
# is valid with nothing but what is REQUIRED in it.
LEAST: dict[str, Any] = {
    "/mounts/-": {"destination": "/mnt", "source": "/etc", "options": ["bind"]},
    "/process/consoleSize": {"height": 25, "width": 80},
    "/process/rlimits/0": {"type": "RLIMIT_NOFILE", "soft": 64, "hard": 64},
    "/process/capabilities": {},
    "/process/scheduler": {"policy": "SCHED_OTHER"},
    "/process/ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
    "/process/execCPUAffinity": {},
    "/linux/timeOffsets": {"monotonic": {}},
    "/linux/devices/0": {"type": "c", "path": "/dev/conform", "major": 1, "minor": 3},
    "/linux/netDevices": {"lo": {}},
    # Without type and numbers it is for all devices; what an entry without access says is open.
    "/linux/resources/devices/0": {"allow": True, "access": "rwm"},
    "/linux/resources/memory": {},
    "/linux/resources/cpu": {},
    "/linux/resources/blockIO": {},
    "/linux/resources/blockIO/weightDevice/0": {"major": 8, "minor": 0, "weight": 500},
    "/linux/resources/hugepageLimits/0": {"pageSize": "2MB", "limit": 4194304},
    "/linux/resources/network": {},
    "/linux/resources/network/priorities/0": {"name": "lo", "priority": 1},
    "/linux/resources/pids": {"limit": 100},
    "/linux/resources/rdma": {"mlx5_1": {"hcaHandles": 3}},
    "/linux/resources/unified": {},
    "/linux/intelRdt": {},
    "/linux/memoryPolicy": {"mode": "MPOL_DEFAULT"},
    "/linux/seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
    "/linux/seccomp/syscalls/0": {"names": ["chroot"], "action": "SCMP_ACT_ERRNO"},
    "/linux/seccomp/syscalls/0/args/0": {"index": 0, "value": 7, "op": "SCMP_CMP_EQ"},
    "/linux/personality": {"domain": "LINUX"},
    **{f"/hooks/{kind}/0": {"path": "/bin/true"} for kind in HOOKS},
    **{
        f"/linux/resources/blockIO/{name}/0": {"major": 8, "minor": 0, "rate": 1048576}
        for name in THROTTLES
    },
    **{
        f"{where}/{kind}Mappings/0": {"containerID": 0, "hostID": 100000, "size": 10}
        for where in ("/linux", "/mounts/-")
        for kind in ("uid", "gid")
    },
}

_WRONG_TYPE: dict[str, Any] = {"string": 7, "bool": "yes", "array": "wrong", "object": "wrong"}
# An integer of 64 bits is all that most parsers have: only what is below zero is tried of those.
_RANGE = {
    "uint": (-1,), "uint16": (-1, 2**16), "uint32": (-1, 2**32), "uint64": (-1,),
    "int32": (-(2**31) - 1, 2**31),
}  # fmt: skip


class Field:
    """One property: its pointer, its kind, whether it is required, and where it is described."""

    def __init__(self, pointer: str, kind: str, required: bool, section: str) -> None:
        self.pointer, self.kind, self.required, self.section = pointer, kind, required, section

    @property
    def name(self) -> str:
        """The pointer as part of a case's id: `mounts.destination`."""
        return ".".join(w for w in self.pointer.split("/") if w and not w.isdigit() and w != "-")

    @property
    def wrong_type(self) -> Any:
        return _WRONG_TYPE.get(self.kind, 7 if "|" in self.kind else "7")

    @property
    def wrong_values(self) -> list[Any]:
        """Values of the right type that are none: out of the range, not among the names."""
        if "|" in self.kind:
            return ["BANANA"]
        return list(_RANGE.get(self.kind, ()))


def _fields() -> list[Field]:
    text = _TABLE.replace("HOOKS", "\n".join(_HOOK_LINES.format(kind) for kind in HOOKS), 1)
    text = text.replace("THROTTLES", "\n".join(_THROTTLE_LINES.format(n) for n in THROTTLES), 1)
    found, section = [], ""
    for line in filter(None, text.splitlines()):
        pointer, kind, *rest = line.split()
        required = "R" in rest
        section = rest[-1] if rest and "#" in rest[-1] else section
        found.append(Field(pointer, kind, required, section))
    return found


FIELDS = _fields()


def surroundings(pointer: str) -> list[tuple[str, Any]]:
    """Return what has to be set, outermost first, so that `pointer` has a place: (pointer, value).

    The values are copies.
    """
    outer = sorted(p for p in LEAST if pointer.startswith(f"{p}/") or pointer == p)
    return [(p, json.loads(json.dumps(LEAST[p]))) for p in outer]
