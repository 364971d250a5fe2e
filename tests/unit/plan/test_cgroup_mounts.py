from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.facts import CgroupFacts, Hierarchy
from ocipy.plan._generated_steps import MakeSymlink, MountBind, MountFilesystem
from ocipy.plan.mounts import plan_mounts
from ocipy.plan.request import CreateRequest
from ocipy.plan.step import Step
from ocipy.sys.mount_constants import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
)
from tests.unit.host_facts import host_facts

ROOT = "/sys/fs/cgroup"
SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
V1 = (
    Hierarchy(f"{ROOT}/cpu,cpuacct", ("cpu", "cpuacct"), "/user"),
    Hierarchy(f"{ROOT}/systemd", ("name=systemd",), "/user"),
)
V2 = Hierarchy(ROOT, ("cpu", "memory"), "/user")
PATHS = {"cpu,cpuacct": f"{ROOT}/cpu,cpuacct/c", "name=systemd": f"{ROOT}/systemd/c"}


def plan(cgroup: CgroupFacts, namespaces: str, *options: str, **facts: Any) -> list[Step]:
    config: Any = {
        "mounts": [
            {
                "destination": ROOT,
                "type": "cgroup",
                "source": "cgroup",
                "options": ["nosuid", "noexec", "nodev", *options],
            }
        ],
        "linux": {"namespaces": [{"type": kind} for kind in f"mount {namespaces}".split()]},
    }
    request = CreateRequest("c", bundle="/b", rootfs="/b/r", cgroup_paths=PATHS)
    return plan_mounts(config, host_facts(cgroup=cgroup, **facts), request)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("unified", [None, V2])
def test_v1_in_a_cgroup_namespace(unified: Hierarchy | None, read_only: bool) -> None:
    steps = plan(CgroupFacts(V1, unified), "cgroup", *["ro"] * read_only)
    attributes = SAFE | (MOUNT_ATTR_RDONLY if read_only else 0)
    tmpfs, cpu, systemd, *links = steps
    assert tmpfs == MountFilesystem(
        "/mounts/0",
        fstype="tmpfs",
        source_name="tmpfs",
        target=ROOT,
        options=("mode=755",),
        attr_set=SAFE,
    )
    assert cpu == MountFilesystem(
        "/mounts/0",
        fstype="cgroup",
        source_name="cgroup",
        target=f"{ROOT}/cpu,cpuacct",
        options=("cpu", "cpuacct"),
        attr_set=attributes,
    )
    assert systemd.options == ("name=systemd",)  # type: ignore[attr-defined]
    assert links == [
        MakeSymlink("/mounts/0", path=f"{ROOT}/{name}", content="cpu,cpuacct")
        for name in ("cpu", "cpuacct")
    ]


def test_a_user_who_may_not_make_cgroups_shows_the_one_ocipy_is_in() -> None:
    steps = plan(CgroupFacts(V1), "user", in_user_namespace=True)
    binds = [step for step in steps if isinstance(step, MountBind)]
    assert [step.or_path for step in binds] == [
        f"{ROOT}/cpu,cpuacct/user",
        f"{ROOT}/systemd/user",
    ]


def test_v1_without_one_shows_the_containers_own_cgroup() -> None:
    _, cpu, systemd, *_ = plan(CgroupFacts(V1), "", "ro")
    assert cpu == MountBind(
        "/mounts/0",
        tree=None,
        path=f"{ROOT}/cpu,cpuacct/c",
        target=f"{ROOT}/cpu,cpuacct",
        recursive=1,
        attr_set=SAFE | MOUNT_ATTR_RDONLY,
    )
    assert systemd.path == f"{ROOT}/systemd/c"  # type: ignore[attr-defined]


@pytest.mark.parametrize("namespaces", ["", "cgroup", "cgroup user"])
def test_v2_is_mounted(namespaces: str) -> None:
    (step,) = plan(CgroupFacts((), V2), namespaces, "nsdelegate")
    assert step == MountFilesystem(
        "/mounts/0",
        fstype="cgroup2",
        source_name="cgroup",
        target=ROOT,
        options=("nsdelegate",),
        attr_set=SAFE,
    )


@pytest.mark.parametrize(("namespaces", "inside"), [("user", False), ("user", True), ("", True)])
def test_v2_is_bound_where_it_cannot_be_mounted(namespaces: str, *, inside: bool) -> None:
    (step,) = plan(CgroupFacts((), V2), namespaces, "ro", in_user_namespace=inside)
    assert isinstance(step, MountBind)
    assert (step.path, step.target, step.recursive) == (ROOT, ROOT, 0)
    assert step.attr_set == SAFE | MOUNT_ATTR_RDONLY


@pytest.mark.parametrize(("namespaces", "read_only"), [("user", True), ("user cgroup", False)])
def test_an_unprivileged_users_cgroups_are_not_writable(namespaces: str, read_only: bool) -> None:
    """CVE-2023-25809."""
    for cgroup in (CgroupFacts((), V2), CgroupFacts(V1)):
        steps = plan(cgroup, namespaces, in_user_namespace=True)
        attributes = [getattr(step, "attr_set", 0) for step in steps if "tmpfs" not in repr(step)]
        mounts = [bool(mask & MOUNT_ATTR_RDONLY) for mask in attributes if mask]
        assert set(mounts) == {read_only}
