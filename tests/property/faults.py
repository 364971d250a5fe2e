"""Changes that make a valid config invalid, each with the pointer that must be named."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from ocipy.json_position import escape
from tests.property.configs import FILE
from tests.unit.schema.documents import FILES
from tests.unit.schema.mutations import Path, at, places

VALUES: dict[str, list[Any]] = {
    "string": [None, True, 0, 1.5, [], {}, ["x"]],
    "boolean": [None, 0, 1, "true", [], {}],
    "integer": [None, False, "1", 1.0, 0.5, [], {}],
    "array": [None, False, 1, "x", {}, {"0": "x"}],
    "object": [None, True, 1, "x", [], [{}]],
}


def pointer_of(path: Path) -> str:
    return "".join(f"/{escape(str(token))}" for token in path)


def wrong_values(schema: dict[str, Any]) -> list[Any]:
    """Return what the schema of one value refuses for sure."""
    wrong = list(VALUES[schema["type"]])
    if "enum" in schema:
        wrong += ["", "no such value", schema["enum"][0].lower() + "x"]
    if "minimum" in schema:
        wrong += [schema["minimum"] - 1, schema["minimum"] - (1 << 70)]
    if "maximum" in schema:
        wrong += [schema["maximum"] + 1, schema["maximum"] << 9]
    return wrong


@st.composite
def structural(draw: st.DrawFn, config: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Draw a copy that breaks the schema in one place, and the pointer of that place."""
    config = copy.deepcopy(config)
    typed = [path for path in places(config) if path and FILES.schema_at(FILE, path).get("type")]
    # The outer ones are few: without this, nearly all would be leaves of a long list.
    depth = draw(st.sampled_from(sorted({len(path) for path in typed})))
    path = draw(st.sampled_from([path for path in typed if len(path) == depth]))
    parent, key = at(config, path[:-1]), path[-1]
    outer = FILES.schema_at(FILE, path[:-1])
    if key in outer.get("required", ()) and draw(st.booleans()):
        del parent[key]
        return config, pointer_of(path[:-1])
    parent[key] = draw(st.sampled_from(wrong_values(FILES.schema_at(FILE, path))))
    return config, pointer_of(path)


# What rules refuse: a name, where to put what, and the pointer, where {n} is the index of what was
# appended. The path begins at the config; lists that do not exist are made.
RULES: list[tuple[str, str, Any, str]] = [
    ("no version", "/ociVersion", "1.3", "/ociVersion"),
    ("another major version", "/ociVersion", "2.0.0", "/ociVersion"),
    ("an empty rootfs", "/root/path", "", "/root/path"),
    ("a mount without destination", "/mounts/-", {"destination": "", "type": "tmpfs"},
     "/mounts/{n}/destination"),
    ("a mount without type", "/mounts/-", {"destination": "/x"}, "/mounts/{n}"),
    ("a bind without source", "/mounts/-", {"destination": "/x", "options": ["bind"]},
     "/mounts/{n}"),
    ("a relative cwd", "/process/cwd", "tmp", "/process/cwd"),
    ("no program", "/process/args", [], "/process/args"),
    ("a variable without =", "/process/env/-", "X", "/process/env/{n}"),
    ("a variable without name", "/process/env/-", "=x", "/process/env/{n}"),
    ("uid -1", "/process/user", {"uid": 4294967295, "gid": 0}, "/process/user/uid"),
    ("a umask of four digits", "/process/user", {"uid": 0, "gid": 0, "umask": 512},
     "/process/user/umask"),
    ("an unknown limit", "/process/rlimits/-", {"type": "RLIMIT_X", "soft": 1, "hard": 1},
     "/process/rlimits/{n}/type"),
    ("soft above hard", "/process/rlimits", [{"type": "RLIMIT_AS", "soft": 2, "hard": 1}],
     "/process/rlimits/0/soft"),
    ("a score out of range", "/process/oomScoreAdj", 1001, "/process/oomScoreAdj"),
    ("nice out of range", "/process/scheduler", {"policy": "SCHED_OTHER", "nice": 20},
     "/process/scheduler/nice"),
    ("no priority", "/process/scheduler", {"policy": "SCHED_RR"}, "/process/scheduler"),
    ("I/O priority 8", "/process/ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8},
     "/process/ioPriority/priority"),
    ("CPUs backwards", "/process/execCPUAffinity", {"initial": "3-1"},
     "/process/execCPUAffinity/initial"),
    ("a long name", "/hostname", "x" * 65, "/hostname"),
    ("a relative hook", "/hooks", {"poststop": [{"path": "bin/true"}]}, "/hooks/poststop/0/path"),
    ("an empty key", "/annotations", {"": "x"}, "/annotations/"),
    ("a namespace twice", "/linux/namespaces/-", {"type": "mount"}, "/linux/namespaces/{n}"),
    ("a mapping of nothing", "/linux/uidMappings",
     [{"containerID": 0, "hostID": 0, "size": 0}, {"containerID": 0, "hostID": 0, "size": 65536}],
     "/linux/uidMappings/0/size"),
    ("a relative device", "/linux/devices/-", {"type": "p", "path": "x"},
     "/linux/devices/{n}/path"),
    ("a device without number", "/linux/devices/-", {"type": "c", "path": "/x", "major": 1},
     "/linux/devices/{n}"),
    ("a cgroup outside", "/linux/cgroupsPath", "/a/../../b", "/linux/cgroupsPath"),
    ("a relative mask", "/linux/maskedPaths/-", "proc", "/linux/maskedPaths/{n}"),
    ("a relative read-only path", "/linux/readonlyPaths/-", "x", "/linux/readonlyPaths/{n}"),
    ("the host's parameter", "/linux/sysctl", {"kernel.panic": "1"}, "/linux/sysctl/kernel.panic"),
    ("a personality without domain", "/linux/personality", {}, "/linux/personality"),
    ("a policy without nodes", "/linux/memoryPolicy", {"mode": "MPOL_BIND"}, "/linux/memoryPolicy"),
    ("a rule without access", "/linux/resources/devices/-", {"allow": True},
     "/linux/resources/devices/{n}"),
    ("swap below memory", "/linux/resources/memory", {"limit": 9, "swap": 8},
     "/linux/resources/memory/swap"),
    ("swappiness 101", "/linux/resources/memory", {"swappiness": 101},
     "/linux/resources/memory/swappiness"),
    ("burst above quota", "/linux/resources/cpu", {"quota": 9, "burst": 10},
     "/linux/resources/cpu/burst"),
    ("idle 2", "/linux/resources/cpu", {"idle": 2}, "/linux/resources/cpu/idle"),
    ("a weight of nothing", "/linux/resources/blockIO",
     {"weightDevice": [{"major": 7, "minor": 0}]}, "/linux/resources/blockIO/weightDevice/0"),
    ("no errno", "/linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1},
     "/linux/seccomp/defaultErrnoRet"),
    ("argument 6", "/linux/seccomp", {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{
            "names": ["read"], "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}],
        }],
    }, "/linux/seccomp/syscalls/0/args/0/index"),
]  # fmt: skip


def broken(config: dict[str, Any], rule: tuple[str, str, Any, str]) -> tuple[dict[str, Any], str]:
    """Return a copy that breaks one of RULES, and the pointer of the fault."""
    _, path, value, pointer = rule
    config = copy.deepcopy(config)
    *outer, last = path.split("/")[1:]
    # What rules say of a process holds where there is one.
    if outer[:1] == ["process"]:
        config.setdefault("process", {"cwd": "/", "args": ["/bin/true"]})
    if path == "/linux/uidMappings":
        kinds = [namespace["type"] for namespace in config["linux"]["namespaces"]]
        if "user" not in kinds:
            config["linux"]["namespaces"].append({"type": "user"})
            config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    here: Any = config
    for token in outer if last != "-" else outer[:-1]:
        here = here.setdefault(token, {})
    if last == "-":
        here = here.setdefault(outer[-1], [])
        pointer = pointer.format(n=len(here))
        here.append(copy.deepcopy(value))
    else:
        here[last] = copy.deepcopy(value)
    return config, pointer
