"""Rules of the `linux` section but for its resources and its seccomp profile: config-linux.md.

See ocipy.config.rules for what a rule is.
"""

from __future__ import annotations

from ocipy.config.cpu_list import list_problem
from ocipy.errors import ConfigError, pointer_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocipy.config._generated_types import IdMapping, Linux
    from ocipy.config.found import Found

_UINT32_END = 1 << 32
_NANOSECONDS = 1_000_000_000

# mknod(2) takes 12 bits of mode; Docker sends the type bits of stat(2) as well.
_MODE_BITS = 0o177777
# Of the kernel's dev_t, include/linux/kdev_t.h.
_DEVICE_NUMBERS = {"major": 4095, "minor": 1048575}

# IFNAMSIZ, which counts the final NUL.
_MAX_INTERFACE_BYTES = 15

# What an IPC namespace owns, see ipc_namespaces(7).
_IPC_SYSCTLS = (
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
)


def has_namespace(linux: Linux, kind: str) -> bool:
    """Does the config name a namespace of this type, new or joined? Else it is the runtime's."""
    return any(namespace["type"] == kind for namespace in linux.get("namespaces", ()))


def namespaces(linux: Linux, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#namespaces): no type twice, paths MUST be absolute."""
    seen: set[str] = set()
    for i, namespace in enumerate(linux.get("namespaces", ())):
        kind, path = namespace["type"], namespace.get("path")
        if kind in seen:
            yield ConfigError(f"{at}/namespaces/{i}", f'a second "{kind}" namespace')
        seen.add(kind)
        if path and path[0] != "/":
            yield ConfigError(f"{at}/namespaces/{i}/path", f'"{path}" is not an absolute path')


def mapping_faults(mappings: Sequence[IdMapping], at: str) -> Iterator[Found]:
    """user_namespaces(7): lines not empty, not past the last id, not overlapping on either side."""
    for i, line in enumerate(mappings):
        size = line["size"]
        if not size:
            yield ConfigError(f"{at}/{i}/size", "an id mapping of size 0")
        for key in ("containerID", "hostID"):
            start = line[key]
            if start + size > _UINT32_END:
                yield ConfigError(f"{at}/{i}", f"{key} + size is past the last id, 4294967295")
            for other in mappings[:i]:
                other_start = other[key]
                if start < other_start + other["size"] and other_start < start + size:
                    yield ConfigError(f"{at}/{i}/{key}", "overlaps with an earlier mapping")
                    break


def user_namespace(linux: Linux, at: str) -> Iterator[Found]:
    """As runc: id mappings and a user namespace go together (joined ones may come with a copy)."""
    uids, gids = linux.get("uidMappings", []), linux.get("gidMappings", [])
    if not has_namespace(linux, "user"):
        for key, mappings in (("uidMappings", uids), ("gidMappings", gids)):
            if mappings:
                yield ConfigError(
                    f"{at}/{key}",
                    f"{key} without a user namespace: root in the container would be root outside",
                    hint='add {"type": "user"} to /linux/namespaces',
                )
        return
    for i, namespace in enumerate(linux["namespaces"]):
        if namespace["type"] == "user" and not namespace.get("path") and not (uids and gids):
            lack = "gidMappings" if uids else "uidMappings"
            yield ConfigError(f"{at}/namespaces/{i}", f"a new user namespace needs {lack}")
    yield from mapping_faults(uids, f"{at}/uidMappings")
    yield from mapping_faults(gids, f"{at}/gidMappings")


def time_offsets(linux: Linux, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#offset-for-time-namespace); time_namespaces(7)."""
    offsets = linux.get("timeOffsets")
    if not offsets:
        return
    kinds = [(ns["type"], ns.get("path")) for ns in linux.get("namespaces", ())]
    if ("time", None) not in kinds and ("time", "") not in kinds:
        joined = "a joined one has its own" if has_namespace(linux, "time") else "there is none"
        yield ConfigError(f"{at}/timeOffsets", f"offsets need a new time namespace: {joined}")
    for clock, offset in offsets.items():
        if clock not in ("monotonic", "boottime"):
            # A key is a value here, the clock's name: not an unknown property to be ignored.
            yield ConfigError(
                f"{at}/timeOffsets/{clock}",
                f'a time namespace has no offset for the clock "{clock}"',
                hint="it has monotonic and boottime",
            )
            continue
        nanoseconds: int = offset.get("nanosecs", 0)  # type: ignore[attr-defined]
        if nanoseconds >= _NANOSECONDS:
            pointer = f"{at}/timeOffsets/{clock}/nanosecs"
            yield ConfigError(pointer, f"{nanoseconds} is a second or more")


def devices(linux: Linux, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#devices): full path; major and minor REQUIRED unless type is p."""
    for i, device in enumerate(linux.get("devices", ())):
        here = f"{at}/devices/{i}"
        if device["path"][:1] != "/":
            yield ConfigError(f"{here}/path", f'"{device["path"]}" is not an absolute path')
        if device["type"] != "p":
            for key in ("major", "minor"):
                number: int | None = device.get(key)  # type: ignore[assignment]
                if number is None:
                    problem = f'a device of type "{device["type"]}" needs a {key} number'
                    yield ConfigError(here, problem)
                elif not 0 <= number <= _DEVICE_NUMBERS[key]:
                    # mknod(2) would take the lowest bits, and make another device.
                    problem = f"{number} is no {key} number: they end at {_DEVICE_NUMBERS[key]}"
                    yield ConfigError(f"{here}/{key}", problem)
        if device.get("fileMode", 0) > _MODE_BITS:
            yield ConfigError(
                f"{here}/fileMode",
                f"{device['fileMode']} is no file mode",
                hint="modes are written in decimal: 438 is 0666",
            )


def _is_interface_name(name: str) -> bool:
    """Does the kernel take it as the name of a network device (dev_valid_name())?"""
    if (
        not name
        or name in (".", "..")
        or len(name.encode("utf-8", "replace")) > _MAX_INTERFACE_BYTES
    ):
        return False
    return not any(c in "/:" or c.isspace() for c in name)


def net_devices(linux: Linux, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#network-devices): into the container's network namespace."""
    given = linux.get("netDevices")
    if not given:
        return
    if not has_namespace(linux, "network"):
        yield ConfigError(f"{at}/netDevices", "no network namespace to move network devices into")
    taken: set[str] = set()
    for name, device in given.items():
        here = f"{at}/netDevices/{pointer_token(name)}"
        new_name = device.get("name") or name
        for pointer, tried in ((here, name), (f"{here}/name", new_name)):
            if not _is_interface_name(tried):
                yield ConfigError(pointer, f'"{tried}" is no name for a network device')
                break
        if "%" in name:
            yield ConfigError(here, f'"{name}" is a template, and names no device of the host')
        elif "%" in new_name and (new_name.count("%") > 1 or "%d" not in new_name):
            # As dev_alloc_name() in net/core/dev.c.
            problem = f'"{new_name}" is no template: it has %d once, and no other %'
            yield ConfigError(f"{here}/name", problem)
        # The kernel finds a free name for each use of a template.
        if new_name in taken and "%" not in new_name:
            yield ConfigError(f"{here}/name", f'a second network device with the name "{new_name}"')
        taken.add(new_name)


def cgroups_path(linux: Linux, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#cgroups-path): a runtime MAY consider values invalid: .. is."""
    path = linux.get("cgroupsPath", "")
    if ".." in path and ".." in path.split("/"):
        yield ConfigError(f"{at}/cgroupsPath", f'"{path}" leads out of its place by ..')


def hidden_paths(linux: Linux, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#masked-paths, #readonly-paths): values MUST be absolute paths."""
    masked, readonly = linux.get("maskedPaths", ()), linux.get("readonlyPaths", ())
    for key, paths in (("maskedPaths", masked), ("readonlyPaths", readonly)):
        for i, path in enumerate(paths):
            if path[:1] != "/":
                yield ConfigError(f"{at}/{key}/{i}", f'"{path}" is not an absolute path')
        if paths and not has_namespace(linux, "mount"):
            # As runc: in the runtime's own mount namespace they would be hidden from everyone.
            yield ConfigError(
                f"{at}/{key}",
                f"{key} need a mount namespace: they would change the host",
                hint='add {"type": "mount"} to /linux/namespaces',
            )


def sysctls(linux: Linux, at: str) -> Iterator[Found]:
    """As runc: only what a namespace of the container owns; all else would be set for the host."""
    for given in linux.get("sysctl", {}):
        name = dotted_sysctl(given)
        pointer = f"{at}/sysctl/{pointer_token(given)}"
        if ".." in name or "//" in name or name[:1] in ("", ".", "/") or "\n" in name:
            yield ConfigError(pointer, f'"{given}" is no name of a kernel parameter')
            continue
        kind = sysctl_namespace(name)
        if name == "kernel.hostname" and has_namespace(linux, "uts"):
            yield ConfigError(
                pointer,
                'sysctl "kernel.hostname" conflicts with the hostname of the config',
                hint="set /hostname instead",
            )
        elif not kind:
            yield ConfigError(
                pointer,
                f'sysctl "{given}" is not in a separate kernel namespace: it would be set for the '
                "whole host",
            )
        elif not has_namespace(linux, kind):
            yield ConfigError(
                pointer,
                f'sysctl "{given}" is not allowed in the host\'s {kind} namespace',
                hint=f'add {{"type": "{kind}"}} to /linux/namespaces',
            )


def dotted_sysctl(name: str) -> str:
    """Return a kernel parameter's name with its parts separated by dots, as sysctl(8) takes both.

    In "net/ipv4/conf/eno2.100/rp_filter" the slash comes first: it separates, and dots are part of
    names; they come back as slashes.
    """
    slash, dot = name.find("/"), name.find(".")
    if slash < 0 or 0 <= dot < slash:
        return name
    return name.translate({ord("/"): ".", ord("."): "/"})


def sysctl_namespace(name: str) -> str:
    """Return the type of the namespace that owns a kernel parameter (dotted), "" for the host."""
    if name in _IPC_SYSCTLS or name.startswith("fs.mqueue."):
        return "ipc"
    if name.startswith("net."):
        return "network"
    if name in ("kernel.domainname", "kernel.hostname"):
        return "uts"
    if name.startswith("user."):
        return "user"
    return ""


def personality(linux: Linux, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#personality): domain REQUIRED, no flags are supported."""
    given = linux.get("personality")
    if given is None:
        return
    if "domain" not in given:
        problem = 'the required field "domain" is missing'
        yield ConfigError(f"{at}/personality", problem, hint="it is LINUX or LINUX32")
    if given.get("flags"):
        problem = "flags are not supported: the specification has none yet"
        yield ConfigError(f"{at}/personality/flags", problem)


def memory_policy(linux: Linux, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#memory-policy): mode REQUIRED; nodes as set_mempolicy(2) wants them."""
    given = linux.get("memoryPolicy")
    if given is None:
        return
    mode, nodes = given.get("mode"), given.get("nodes", "")
    if mode is None:
        yield ConfigError(f"{at}/memoryPolicy", 'the required field "mode" is missing')
        return
    if problem := list_problem(nodes):
        yield ConfigError(f"{at}/memoryPolicy/nodes", problem)
    if nodes and mode in ("MPOL_DEFAULT", "MPOL_LOCAL"):
        yield ConfigError(f"{at}/memoryPolicy/nodes", f"{mode} takes no nodes")
    if not nodes and mode not in ("MPOL_DEFAULT", "MPOL_LOCAL", "MPOL_PREFERRED"):
        yield ConfigError(f"{at}/memoryPolicy", f"{mode} needs at least one node")
    flags = given.get("flags", ())
    if "MPOL_F_STATIC_NODES" in flags and "MPOL_F_RELATIVE_NODES" in flags:
        problem = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other"
        yield ConfigError(f"{at}/memoryPolicy/flags", problem)


def intel_rdt(linux: Linux, at: str) -> Iterator[Found]:
    """Spec (config-linux.md#intelrdt): closID names one directory, or is /; lines are lines."""
    given = linux.get("intelRdt")
    if given is None:
        return
    name = given.get("closID", "")
    if name in (".", "..") or (len(name) > 1 and "/" in name):
        yield ConfigError(f"{at}/intelRdt/closID", f'"{name}" is no name of a class of service')
    schemata = enumerate(given.get("schemata", ()))
    lines = [("l3CacheSchema", given.get("l3CacheSchema", ""))]
    lines += [(f"schemata/{i}", line) for i, line in schemata]
    for key, line in lines:
        if "\n" in line:
            yield ConfigError(f"{at}/intelRdt/{key}", "more than one line")


RULES = (
    namespaces,
    user_namespace,
    time_offsets,
    devices,
    net_devices,
    cgroups_path,
    hidden_paths,
    sysctls,
    personality,
    memory_policy,
    intel_rdt,
)
