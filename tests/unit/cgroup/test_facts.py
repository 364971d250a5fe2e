"""Where the hierarchies are: the layouts of real hosts, as the kernel prints them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ocipy.cgroup.facts import (
    DELEGATE_FILES,
    CgroupFacts,
    Hierarchy,
    parse_hierarchies,
    read_cgroup_facts,
)

if TYPE_CHECKING:
    from pathlib import Path

OTHER = b"23 1 0:21 / / rw - ext4 /dev/root rw\n24 23 0:22 / /proc rw - proc proc rw\n"


def mount(mountpoint: str, options: str, fstype: str = "cgroup", root: str = "/") -> bytes:
    line = f"31 23 0:30 {root} {mountpoint} rw,nosuid shared:9 - {fstype} cgroup rw,{options}\n"
    return line.encode()


def test_pure_v2() -> None:
    v1, unified = parse_hierarchies(
        OTHER + mount("/sys/fs/cgroup", "nsdelegate", "cgroup2"),
        b"0::/user.slice/session-1.scope\n",
    )
    assert v1 == []
    assert unified == Hierarchy("/sys/fs/cgroup", (), "/user.slice/session-1.scope")


def test_v1_with_controllers_mounted_together_and_apart() -> None:
    v1, unified = parse_hierarchies(
        OTHER
        + mount("/sys/fs/cgroup/systemd", "xattr,release_agent=/x,name=systemd")
        + mount("/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct")
        + mount("/sys/fs/cgroup/memory", "memory"),
        b"12:memory:/a\n3:cpu,cpuacct:/b\n1:name=systemd:/c\n",
    )
    assert unified is None
    assert v1 == [
        Hierarchy("/sys/fs/cgroup/systemd", ["name=systemd"], "/c"),
        Hierarchy("/sys/fs/cgroup/cpu,cpuacct", ["cpu", "cpuacct"], "/b"),
        Hierarchy("/sys/fs/cgroup/memory", ["memory"], "/a"),
    ]


def test_the_same_hierarchy_mounted_twice_counts_once() -> None:
    v1, unified = parse_hierarchies(
        mount("/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct")
        + mount("/mnt/cpu", "cpuacct,cpu")
        + mount("/sys/fs/cgroup/unified", "nsdelegate", "cgroup2")
        + mount("/mnt/unified", "nsdelegate", "cgroup2"),
        b"3:cpu,cpuacct:/\n0::/\n",
    )
    assert [hierarchy.mountpoint for hierarchy in v1] == ["/sys/fs/cgroup/cpu,cpuacct"]
    assert unified == Hierarchy("/sys/fs/cgroup/unified", (), "")


@pytest.mark.parametrize(
    ("root", "own", "expected"),
    [
        ("/", "/", ""),
        ("/", "/docker/1", "/docker/1"),
        ("/docker/1", "/docker/1", ""),
        ("/docker/1", "/docker/1/sub", "/sub"),
        ("/docker/1", "/docker/12", "/docker/12"),
    ],
)
def test_own_path_is_below_the_mount_point(root: str, own: str, expected: str) -> None:
    v1, _ = parse_hierarchies(
        mount("/sys/fs/cgroup/pids", "pids", root=root), f"8:pids:{own}\n".encode()
    )
    assert v1[0].own_path == expected


def test_escaped_mount_point_and_colon_in_path() -> None:
    v1, _ = parse_hierarchies(mount(r"/cg\040a\134b", "pids"), b"8:pids:/system.slice:docker:1\n")
    assert v1[0].mountpoint == "/cg a\\b"
    assert v1[0].own_path == "/system.slice:docker:1"


def test_a_v1_option_that_is_no_controller_of_ours_is_ignored() -> None:
    v1, unified = parse_hierarchies(mount("/cg/net", "net_cls,clone_children"), b"8:pids:/\n")
    assert (v1, unified) == ([], None)


def proc_self(directory: Path, mountinfo: bytes, cgroup: bytes) -> str:
    (directory / "mountinfo").write_bytes(mountinfo)
    (directory / "cgroup").write_bytes(cgroup)
    return str(directory)


def test_v2_controllers_are_read_from_the_mount_point(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu io memory\n")
    facts = read_cgroup_facts(proc_self(tmp_path, mount(str(tmp_path), "rw", "cgroup2"), b"0::/\n"))
    assert facts.mode == "v2"
    assert facts.unified_has("io")
    assert not facts.unified_has("pids")
    assert set(DELEGATE_FILES) <= set(facts.delegate_files)


def test_a_hidden_unified_hierarchy_does_not_count(tmp_path: Path) -> None:
    """As with a tmpfs over /sys/fs/cgroup/unified: what would be made there is no cgroup."""
    mounts = mount("/sys/fs/cgroup/pids", "pids") + mount(str(tmp_path), "rw", "cgroup2")
    facts = read_cgroup_facts(proc_self(tmp_path, mounts, b"8:pids:/\n0::/\n"))
    assert facts.mode == "v1"
    assert facts.unified is None


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    assert read_cgroup_facts(str(tmp_path)).mode == "none"
    assert CgroupFacts().v1_hierarchy("cpu") is None


def test_this_host_agrees_with_the_kernel() -> None:
    facts = read_cgroup_facts()
    for hierarchy in (*facts.v1, *([facts.unified] if facts.unified else [])):
        assert os.path.exists(f"{hierarchy.mountpoint}{hierarchy.own_path}/cgroup.procs")
    if facts.mode in ("v1", "hybrid"):
        memory = facts.v1_hierarchy("memory")
        assert memory is not None
        assert os.path.exists(f"{memory.mountpoint}/memory.stat")
