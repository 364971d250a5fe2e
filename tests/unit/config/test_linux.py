"""Rules of the linux section, but for resources and seccomp."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.config.linux import dotted_sysctl, sysctl_namespace
from tests.unit.config.checks import assert_refused, faults_of, warnings_of

MINIMAL = [{"type": "uts"}, {"type": "mount"}]
LINES = [{"containerID": 0, "hostID": 1000, "size": 10}]


def test_namespaces() -> None:
    twice = [*MINIMAL, {"type": "pid"}, {"type": "pid", "path": "/proc/1/ns/pid"}]
    assert_refused({"/linux/namespaces": twice}, "/linux/namespaces/3", 'a second "pid" namespace')
    relative = [*MINIMAL, {"type": "pid", "path": "proc/1/ns/pid"}]
    pointer = "/linux/namespaces/2/path"
    assert_refused({"/linux/namespaces": relative}, pointer, "is not an absolute path")
    new = [*MINIMAL, {"type": "pid", "path": ""}]
    assert warnings_of({"/linux/namespaces": new}) == []


@pytest.mark.parametrize(
    ("lines", "pointer"),
    [
        ([{"containerID": 0, "hostID": 0, "size": 0}], "0/size"),
        ([{"containerID": 4294967295, "hostID": 0, "size": 2}], "0"),
        ([{"containerID": 0, "hostID": 4294967290, "size": 10}], "0"),
        ([*LINES, {"containerID": 9, "hostID": 5000, "size": 1}], "1/containerID"),
        ([*LINES, {"containerID": 50, "hostID": 1009, "size": 9}], "1/hostID"),
    ],
)
def test_id_mappings_the_kernel_refuses(lines: Any, pointer: str) -> None:
    user = {"/linux/namespaces": [{"type": "user"}, *MINIMAL]}
    whole = [{"containerID": 0, "hostID": 0, "size": 4294967295}]
    assert warnings_of(user | {"/linux/uidMappings": whole, "/linux/gidMappings": whole}) == []
    mappings = {"/linux/uidMappings": lines, "/linux/gidMappings": whole}
    faults = faults_of(user | mappings)
    assert f"/linux/uidMappings/{pointer}" in [fault[0] for fault in faults]


def test_user_namespace_and_mappings_go_together() -> None:
    assert_refused({"/linux/uidMappings": LINES}, "/linux/uidMappings", "without a user namespace")
    assert_refused({"/linux/gidMappings": LINES}, "/linux/gidMappings", "without a user namespace")
    assert warnings_of({"/linux/uidMappings": []}) == []
    user: dict[str, Any] = {"/linux/namespaces": [*MINIMAL, {"type": "user"}]}
    assert_refused(user, "/linux/namespaces/2", "needs uidMappings")
    assert_refused(user | {"/linux/uidMappings": LINES}, "/linux/namespaces/2", "needs gidMappings")
    assert warnings_of(user | {"/linux/uidMappings": LINES, "/linux/gidMappings": LINES}) == []
    joined = {"/linux/namespaces": [*MINIMAL, {"type": "user", "path": "/proc/1/ns/user"}]}
    assert warnings_of(joined) == []
    assert warnings_of(joined | {"/linux/uidMappings": LINES, "/linux/gidMappings": LINES}) == []


def test_time_offsets_need_a_new_time_namespace() -> None:
    offsets = {"/linux/timeOffsets": {"monotonic": {"secs": -5, "nanosecs": 999999999}}}
    assert_refused(offsets, "/linux/timeOffsets", "need a new time namespace: there is none")
    joined = {"/linux/namespaces": [*MINIMAL, {"type": "time", "path": "/proc/1/ns/time"}]}
    assert_refused(offsets | joined, "/linux/timeOffsets", "a joined one has its own")
    new = {"/linux/namespaces": [*MINIMAL, {"type": "time"}]}
    assert warnings_of(offsets | new) == []
    assert warnings_of({"/linux/timeOffsets": {}}) == []
    offsets = {"/linux/timeOffsets": {"boottime": {"nanosecs": 1000000000}}}
    assert_refused(offsets | new, "/linux/timeOffsets/boottime/nanosecs", "a second or more")
    offsets = {"/linux/timeOffsets": {"realtime": {"secs": 1}}}
    assert_refused(
        offsets | new, "/linux/timeOffsets/realtime", 'no offset for the clock "realtime"'
    )


@pytest.mark.parametrize(
    ("device", "pointer", "sentence"),
    [
        ({"type": "c", "path": "dev/x", "major": 1, "minor": 3}, "/path", "absolute"),
        ({"type": "c", "path": "/dev/x", "minor": 3}, "", "needs a major number"),
        ({"type": "b", "path": "/dev/x", "major": 3}, "", "needs a minor number"),
        ({"type": "u", "path": "/dev/x", "major": 3, "minor": -1}, "/minor", "no minor number"),
        ({"type": "c", "path": "/dev/x", "major": 4096, "minor": 1}, "/major", "no major number"),
        ({"type": "c", "path": "/dev/x", "major": 1, "minor": 1048576}, "/minor", "end at 1048575"),
        ({"type": "p", "path": "/dev/x", "fileMode": 65536}, "/fileMode", "is no file mode"),
    ],
)
def test_devices_that_cannot_be(device: Any, pointer: str, sentence: str) -> None:
    assert_refused({"/linux/devices": [device]}, f"/linux/devices/0{pointer}", sentence)


def test_devices_that_can_be() -> None:
    podman = {"type": "c", "path": "/dev/x", "major": 1, "minor": 3, "fileMode": 0o20666}
    pipe = {"type": "p", "path": "/run/pipe", "fileMode": 0o1777}
    assert warnings_of({"/linux/devices": [podman, pipe]}) == []


def test_network_devices() -> None:
    where = {"/linux/namespaces": [*MINIMAL, {"type": "network"}]}
    moved: dict[str, Any] = {"eth0": {}, "a": {"name": "eth%d"}, "b": {"name": "eth%d"}}
    assert warnings_of(where | {"/linux/netDevices": moved}) == []
    assert_refused(
        {"/linux/namespaces": MINIMAL, "/linux/netDevices": moved},
        "/linux/netDevices",
        "no network namespace",
    )
    for name in ("", "..", "a/b", "a b", "a:b", "a" * 16):
        faults = faults_of(where | {"/linux/netDevices": {name: {"name": "x"}}})
        assert [fault[0] for fault in faults] == [f"/linux/netDevices/{name.replace('/', '~1')}"]
    wrong = {"eth0": {"name": "a" * 16}, "eth1": {"name": "x"}, "x": {}}
    pointers = [fault[0] for fault in faults_of(where | {"/linux/netDevices": wrong})]
    assert pointers == ["/linux/netDevices/eth0/name", "/linux/netDevices/x/name"]


@pytest.mark.parametrize("path", ["..", "/a/../b", "a/..", "../a"])
def test_cgroups_path_does_not_climb(path: str) -> None:
    assert_refused({"/linux/cgroupsPath": path}, "/linux/cgroupsPath", "leads out of its place")


@pytest.mark.parametrize("path", ["", "/", "a..b", "/a/..b", "user.slice:ocipy:x", "x"])
def test_cgroups_paths(path: str) -> None:
    assert warnings_of({"/linux/cgroupsPath": path}) == []


@pytest.mark.parametrize("key", ["maskedPaths", "readonlyPaths"])
def test_hidden_paths(key: str) -> None:
    pointer = f"/linux/{key}"
    assert warnings_of({pointer: ["/proc/kcore"]}) == []
    assert_refused({pointer: ["/x", "proc/kcore"]}, f"{pointer}/1", "is not an absolute path")
    assert_refused({pointer: [""]}, f"{pointer}/0", "is not an absolute path")
    host = {"/linux/namespaces": [{"type": "uts"}]}
    assert_refused(host | {pointer: ["/proc"]}, pointer, "need a mount namespace")
    assert warnings_of(host | {pointer: []}) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "ipc") for name in ("kernel.sem", "kernel/shmmax", "fs.mqueue.msg_max")),
        ("net.ipv4.ip_forward", "network"),
        ("net/ipv4/conf/eno2.100/rp_filter", "network"),
        ("kernel.domainname", "uts"),
        ("user.max_user_namespaces", "user"),
        *((name, "") for name in ("kernel.core_pattern", "vm.swappiness", "network.x", "kernel")),
    ],
)
def test_sysctls_belong_to_a_namespace(name: str, kind: str) -> None:
    assert sysctl_namespace(dotted_sysctl(name)) == kind
    pointer = f"/linux/sysctl/{name.replace('/', '~1')}"
    here = [*MINIMAL, *([] if kind in ("uts", "") else [{"type": kind}])]
    user = {"/linux/uidMappings": LINES, "/linux/gidMappings": LINES} if kind == "user" else {}
    changes: dict[str, Any] = {"/linux/sysctl": {name: "1"}, "/linux/namespaces": here} | user
    if not kind:
        assert_refused(changes, pointer, "is not in a separate kernel namespace")
        return
    assert warnings_of(changes) == []
    lacking = [ns for ns in MINIMAL if ns["type"] != kind]
    faults = faults_of({"/linux/sysctl": {name: "1"}, "/linux/namespaces": lacking})
    assert (pointer, f'sysctl "{name}" is not allowed in the host\'s {kind} namespace') in faults


def test_sysctls_that_are_none_or_have_a_field() -> None:
    assert_refused(
        {"/linux/sysctl": {"kernel.hostname": "x"}},
        "/linux/sysctl/kernel.hostname",
        "conflicts with the hostname",
    )
    for name in ("net.../../kernel.core_pattern", "net..x", "", "/net.x", "net/../x", "net.a\n"):
        pointer = f"/linux/sysctl/{name.replace('/', '~1')}"
        assert_refused({"/linux/sysctl": {name: "1"}}, pointer, "is no name of a kernel parameter")


def test_dots_in_the_names_of_interfaces() -> None:
    dotted = "net.ipv4.conf.eno2/100.rp_filter"
    assert dotted_sysctl("net/ipv4/conf/eno2.100/rp_filter") == dotted
    assert dotted_sysctl(dotted) == dotted


def test_personality() -> None:
    assert warnings_of({"/linux/personality": {"domain": "LINUX32", "flags": []}}) == []
    assert_refused({"/linux/personality": {}}, "/linux/personality", '"domain" is missing')
    flags = {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}
    pointer = "/linux/personality/flags"
    assert_refused({"/linux/personality": flags}, pointer, "flags are not supported")


@pytest.mark.parametrize(
    ("policy", "pointer", "sentence"),
    [
        ({}, "", '"mode" is missing'),
        ({"mode": "MPOL_BIND"}, "", "at least one node"),
        ({"mode": "MPOL_DEFAULT", "nodes": "0"}, "/nodes", "takes no nodes"),
        ({"mode": "MPOL_BIND", "nodes": "1-0"}, "/nodes", "runs backwards"),
    ],
)
def test_memory_policies_that_cannot_be(policy: Any, pointer: str, sentence: str) -> None:
    assert_refused({"/linux/memoryPolicy": policy}, f"/linux/memoryPolicy{pointer}", sentence)


def test_memory_policies_that_can_be() -> None:
    for policy in (
        {"mode": "MPOL_LOCAL"},
        {"mode": "MPOL_PREFERRED"},
        {"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]},
    ):
        assert warnings_of({"/linux/memoryPolicy": policy}) == []


def test_intel_rdt() -> None:
    for name in ("", "/", "guaranteed"):
        assert warnings_of({"/linux/intelRdt": {"closID": name}}) == []
    for name in (".", "..", "../x", "a/b", "/a"):
        assert_refused({"/linux/intelRdt": {"closID": name}}, "/linux/intelRdt/closID", name)
    lines: dict[str, Any] = {"schemata": ["L3:0=f", "MB:0=1\nL3:0=0"], "l3CacheSchema": "L3:0\n"}
    pointers = [fault[0] for fault in faults_of({"/linux/intelRdt": lines})]
    assert pointers == ["/linux/intelRdt/l3CacheSchema", "/linux/intelRdt/schemata/1"]
