from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.facts import CgroupFacts
from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan._generated_steps import (
    InheritMount,
    MountBind,
    MountFilesystem,
    MountLegacy,
    Remount,
    SetMountAttributes,
)
from ocipy.plan.mounts import plan_inherited_mounts, plan_late_mounts, plan_mounts
from ocipy.plan.request import CreateRequest
from ocipy.plan.step import HostFd, Step
from ocipy.sys.constants import MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE
from ocipy.sys.mount_constants import (
    AT_RECURSIVE,
    IDMAP_RECURSIVE,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_I_VERSION,
    MS_NOSUID,
    MS_RDONLY,
)
from tests.unit.host_facts import host_facts

REQUEST = CreateRequest("c", bundle="/b", rootfs="/b/rootfs")
REC_SLAVE = MS_SLAVE | MS_REC
MAPPING = [{"containerID": 0, "hostID": 1000, "size": 10}]


def config(*mounts: dict[str, Any], namespaces: str = "mount", **linux: Any) -> Any:
    types = [{"type": name} for name in namespaces.split()]
    return {"mounts": list(mounts), "linux": {"namespaces": types, **linux}}


def mount(destination: str, kind: str, source: str, *options: str, **more: Any) -> dict[str, Any]:
    entry = {"destination": destination, "source": source, "options": list(options), **more}
    return {**entry, "type": kind} if kind else entry


def plan(*mounts: dict[str, Any], unprivileged: bool = False, **more: Any) -> list[Step]:
    facts = host_facts(in_user_namespace=unprivileged, cgroup=CgroupFacts())
    return plan_mounts(config(*mounts, **more), facts, REQUEST)


def only(steps: list[Step]) -> Any:
    (step,) = steps
    return step


def test_a_file_system() -> None:
    step = only(plan(mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev", "hidepid=2")))
    assert step == MountFilesystem(
        "/mounts/0",
        fstype="proc",
        source_name="proc",
        target="/proc",
        options=("hidepid=2",),
        attr_set=MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV,
        ordinary=1,
        on_proc=1,
    )


def test_mounts_keep_their_order() -> None:
    """Spec (config.md#mounts): MUST mount entries in the listed order."""
    entries = [mount(f"/{name}", "tmpfs", "t") for name in "zam"]
    assert [getattr(step, "target", "") for step in plan(*entries)] == ["/z", "/a", "/m"]


@pytest.mark.parametrize(
    ("destination", "target"),
    [
        ("data", "/data"),
        ("./data/", "/data"),
        ("//a//b", "/a/b"),
        ("/a/../b", "/b"),
        ("../../b", "/b"),
    ],
)
def test_destinations(destination: str, target: str) -> None:
    assert only(plan(mount(destination, "tmpfs", "t"))).target == target


def test_a_bind_is_opened_by_the_host_and_cut_off_from_it() -> None:
    step = only(plan(mount("/data", "bind", "vol", "rbind", "ro", "rprivate")))
    tree = HostFd("/b/vol", "tree", AT_RECURSIVE, wanted_by="/mounts/0")
    assert step == MountBind(
        "/mounts/0",
        tree=tree,
        path="/b/vol",
        target="/data",
        recursive=1,
        origin_propagation=REC_SLAVE,
        attr_set=MOUNT_ATTR_RDONLY,
        attr_reset=step.attr_reset,
        propagation=MS_PRIVATE | MS_REC,
        in_order=True,
    )


@pytest.mark.parametrize(
    ("source", "options", "namespaces", "in_order"),
    [
        ("/v", "bind", "mount", True),
        ("/v", "rbind", "mount", True),
        ("/", "bind", "mount", True),
        ("/", "rbind", "mount", False),  # the container's own root is mounted below
        ("/b/", "rbind", "mount", False),
        ("/v", "bind", "mount user", False),  # inherited mounts are locked
    ],
)
def test_what_init_may_copy_at_its_turn(
    source: str, options: str, namespaces: str, in_order: bool
) -> None:
    step = only(plan(mount("/data", "", source, options), namespaces=namespaces))
    assert bool(step.in_order) == in_order


def test_two_binds_of_one_source_need_two_trees() -> None:
    first, second = plan(mount("/a", "", "/v", "bind"), mount("/b", "", "/v", "bind"))
    assert first.tree != second.tree  # type: ignore[attr-defined]


def test_an_unprivileged_bind_is_opened_by_init() -> None:
    step = only(plan(mount("/data", "", "/v", "bind"), unprivileged=True))
    assert (step.tree, step.path, step.origin_propagation) == (None, "/v", 0)


def test_in_a_user_namespace_the_mounts_inherited_by_it_come_first() -> None:
    step = only(plan(mount("/data", "", "/v", "bind", "ro"), namespaces="mount user"))
    assert (step.attr_set, step.attr_reset) == (MOUNT_ATTR_RDONLY, 0)
    tree = HostFd("/v", "tree", wanted_by="/mounts/0")
    assert step.tree == tree
    assert plan_inherited_mounts([step], config(namespaces="mount user")) == [
        InheritMount("/mounts/0", tree=tree, path="/v", recursive=0)
    ]
    assert plan_inherited_mounts([step], config()) == []


@pytest.mark.parametrize(
    ("rootfs_propagation", "expected"),
    [
        ("", REC_SLAVE),
        ("slave", REC_SLAVE),
        ("rslave", REC_SLAVE),
        ("shared", 0),
        ("rshared", 0),
        ("private", MS_PRIVATE | MS_REC),
        ("unbindable", MS_PRIVATE | MS_REC),
    ],
)
def test_only_a_shared_root_leaves_binds_peers_of_the_host(
    rootfs_propagation: str, expected: int
) -> None:
    entry = mount("/data", "", "/v", "bind", "rshared")
    step = only(plan(entry, rootfsPropagation=rootfs_propagation))
    assert step.origin_propagation == expected
    assert step.propagation == MS_SHARED | MS_REC


def test_a_second_propagation_type_is_a_step_of_its_own() -> None:
    first, second = plan(mount("/data", "", "/v", "bind", "slave", "shared"))
    assert first.propagation == MS_SLAVE  # type: ignore[attr-defined]
    assert second == SetMountAttributes("/mounts/0", target="/data", propagation=MS_SHARED)


def test_a_read_only_tmpfs_becomes_so_after_devices_and_links() -> None:
    entry = mount("/dev", "tmpfs", "tmpfs", "nosuid", "ro", "mode=755")
    step = only(plan(entry))
    assert step.attr_set == MOUNT_ATTR_NOSUID
    assert step.options == ("mode=755",)
    late = plan_late_mounts(config(entry), host_facts(), REQUEST)
    assert late == [SetMountAttributes("/mounts/0", target="/dev", attr_set=MOUNT_ATTR_RDONLY)]


def test_another_read_only_file_system_is_so_from_the_start() -> None:
    entry = mount("/sys", "sysfs", "sysfs", "ro")
    step = only(plan(entry))
    assert (step.attr_set, step.options) == (MOUNT_ATTR_RDONLY, ("ro",))
    assert plan_late_mounts(config(entry), host_facts(), REQUEST) == []


def test_tmpfs_takes_the_mode_of_its_directory_unless_told() -> None:
    first, second = plan(mount("/a", "tmpfs", "t"), mount("/b", "tmpfs", "t", "size=1m,mode=700"))
    assert (first.take_mode, second.take_mode) == (1, 0)  # type: ignore[attr-defined]


def test_iversion_takes_a_remount() -> None:
    steps = plan(mount("/m", "ext4", "/dev/x", "iversion", "nosuid"))
    assert [type(step) for step in steps] == [MountFilesystem, Remount]
    assert steps[1] == Remount("/mounts/0", target="/m", mount_flags=MS_I_VERSION | MS_NOSUID)


@pytest.mark.parametrize(
    "option", ["lowerdir=/a\\,b", 'context="x,y"', f"lowerdir={'/l' * 128}"], ids=["\\", '"', "256"]
)
def test_what_fsconfig_cannot_take_goes_to_mount2(option: str) -> None:
    step = only(plan(mount("/m", "overlay", "o", option, "ro", "rprivate")))
    assert step == MountLegacy(
        "/mounts/0",
        fstype="overlay",
        source_name="o",
        target="/m",
        mount_flags=MS_RDONLY,
        data=option,
        propagation=MS_PRIVATE | MS_REC,
    )


def test_a_long_source_goes_there_too() -> None:
    assert isinstance(only(plan(mount("/m", "9p", "s" * 256))), MountLegacy)
    assert isinstance(only(plan(mount("/m", "9p", "s" * 255))), MountFilesystem)


def test_255_bytes_fit() -> None:
    option = "lowerdir=" + "x" * 255
    assert only(plan(mount("/m", "overlay", "o", option))).options == (option,)


def test_remount_of_a_file_system_and_of_a_bind() -> None:
    steps = plan(
        mount("/m", "", "", "remount", "ro", "size=2m"),
        mount("/", "", "", "bind", "remount", "nodev", "rslave"),
    )
    assert steps == [
        Remount("/mounts/0", target="/m", mount_flags=MS_RDONLY, data="size=2m"),
        SetMountAttributes("/mounts/1", target="/", attr_set=MOUNT_ATTR_NODEV),
        SetMountAttributes("/mounts/1", target="/", propagation=REC_SLAVE),
    ]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (mount("/", "tmpfs", "t"), "nothing can be mounted on the root"),
        (mount("/x/..", "tmpfs", "t"), "nothing can be mounted on the root"),
        (mount("/m", "", ""), "needs a type"),
        (mount("/m", "bind", "/v"), "needs the option bind or rbind"),
        (mount("/m", "bind", "", "bind"), "needs a source"),
        (mount("/m", "ext4", "/v", "tmpcopyup"), "tmpcopyup is for mounts of type tmpfs"),
        (mount("/proc", "tmpfs", "t"), "not of type proc"),
        (mount("/proc/sys/kernel", "tmpfs", "t"), "it is inside /proc"),
        (mount("proc/../proc/self/attr", "tmpfs", "t"), "it is inside /proc"),
        (mount("/m", "", "/v", "bind", "idmap"), "idmap without uidMappings"),
        (mount("/m", "", "/v", "bind", "idmap", uidMappings=MAPPING), "given together"),
        (mount("/m", "", "/v", "bind", gidMappings=MAPPING), "given together"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_wrong_entries(entry: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        plan(entry)
    assert error.value.pointer.startswith("/mounts/0")


def test_mounts_without_a_mount_namespace_would_be_on_the_host() -> None:
    with pytest.raises(ConfigError, match="need a mount namespace"):
        plan(mount("/m", "tmpfs", "t"), namespaces="pid")
    assert plan(namespaces="pid") == []


@pytest.mark.parametrize("target", ["/proc/cpuinfo", "/proc/sys/kernel/ns_last_pid"])
def test_files_of_proc_that_lxcfs_covers(target: str) -> None:
    assert only(plan(mount(target, "", "/v", "bind"))).on_proc


def test_a_bind_on_proc_must_be_a_procfs() -> None:
    step = only(plan(mount("/proc", "", "/proc", "rbind")))
    assert (step.on_proc, step.of_proc) == (1, 1)


ONE_TO_ONE = (("0 1000 10",), ("0 1000 10",))


@pytest.mark.parametrize(
    ("option", "flags"), [("idmap", AT_RECURSIVE), ("ridmap", AT_RECURSIVE | IDMAP_RECURSIVE)]
)
def test_idmapped_binds_are_mapped_by_the_host(option: str, flags: int) -> None:
    entry = mount("/m", "", "/v", "rbind", option, uidMappings=MAPPING, gidMappings=MAPPING)
    for namespaces in ("mount", "mount user"):
        step = only(plan(entry, namespaces=namespaces))
        assert step.tree == HostFd("/v", "tree", flags, ONE_TO_ONE, wanted_by="/mounts/0")
        assert plan_inherited_mounts([step], config(namespaces=namespaces)) == []


def test_mappings_without_the_option_count() -> None:
    entry = mount("/m", "", "/v", "bind", uidMappings=MAPPING, gidMappings=MAPPING)
    assert only(plan(entry)).tree.mappings == ONE_TO_ONE


def test_idmap_takes_the_containers_mappings_or_namespace() -> None:
    entry = mount("/m", "", "/v", "bind", "idmap")
    made = only(plan(entry, namespaces="mount user", uidMappings=MAPPING, gidMappings=MAPPING))
    assert made.tree.mappings == ONE_TO_ONE
    joined = config(entry)
    joined["linux"]["namespaces"].append({"type": "user", "path": "/proc/7/ns/user"})
    step = only(plan_mounts(joined, host_facts(), REQUEST))
    assert (step.tree.userns, step.tree.mappings) == ("/proc/7/ns/user", ((), ()))


def test_idmap_of_a_file_system() -> None:
    entry = mount("/m", "tmpfs", "t", "idmap", uidMappings=MAPPING, gidMappings=MAPPING)
    assert only(plan(entry)).idmap_fd == HostFd(
        "", "userns", mappings=ONE_TO_ONE, wanted_by="/mounts/0"
    )


def test_idmap_takes_the_hosts_privileges() -> None:
    entry = mount("/m", "", "/v", "bind", "idmap", uidMappings=MAPPING, gidMappings=MAPPING)
    with pytest.raises(UnsupportedError, match="CAP_SYS_ADMIN"):
        plan(entry, unprivileged=True)


LABEL = "system_u:object_r:svirt_sandbox_file_t:s0:c1,c2"


def test_mount_label() -> None:
    entries = (
        mount("/t", "tmpfs", "t"),
        mount("/proc", "proc", "p"),
        mount("/q", "mqueue", "q"),
        mount("/o", "overlay", "o", 'x="y"'),
    )
    host = host_facts(lsms=("selinux",))
    steps = plan_mounts(config(*entries, mountLabel=LABEL), host, REQUEST)
    assert [getattr(step, "options", None) for step in steps] == [
        (f"context={LABEL}",),
        (),
        (),
        None,
    ]
    assert steps[3].data == f'x="y",context="{LABEL}"'  # type: ignore[attr-defined]


def test_mount_label_without_selinux() -> None:
    with pytest.raises(UnsupportedError, match="SELinux is not enabled here"):
        plan(mountLabel=LABEL)
