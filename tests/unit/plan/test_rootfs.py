from __future__ import annotations

from typing import Any

import pytest

from ocipy.errors import ConfigError
from ocipy.plan._generated_steps import (
    BindRootfs,
    ChangeRoot,
    MoveRoot,
    OpenRoot,
    PivotRoot,
    SetHostPropagation,
    SetMountAttributes,
)
from ocipy.plan.request import CreateRequest
from ocipy.plan.rootfs import plan_pivot, plan_root_read_only, plan_rootfs
from ocipy.plan.step import HostFd, Step
from ocipy.sys.constants import MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE
from ocipy.sys.mount_constants import MOUNT_ATTR_RDONLY
from tests.unit.host_facts import host_facts

WHERE = "/linux/rootfsPropagation"
FOUND = HostFd("/b/rootfs", "rootfs")


def request(no_pivot: bool = False) -> CreateRequest:
    return CreateRequest("c", bundle="/b", rootfs="/b/rootfs", no_pivot=no_pivot)


def config(propagation: str = "", *, namespace: str = "mount", readonly: bool = False) -> Any:
    linux: dict[str, Any] = {"namespaces": [{"type": namespace}]}
    if propagation:
        linux["rootfsPropagation"] = propagation
    return {"root": {"path": "rootfs", "readonly": readonly}, "linux": linux}


def whole(propagation: str) -> tuple[list[Step], list[Step], list[Step]]:
    wanted = config(propagation)
    return (
        plan_rootfs(wanted, host_facts(), request()),
        plan_pivot(wanted, host_facts(), request()),
        plan_root_read_only(wanted),
    )


def test_by_default_the_host_reaches_in_and_the_container_not_out() -> None:
    before, pivot, after = whole("")
    assert before == [
        SetHostPropagation("", propagation=MS_SLAVE | MS_REC),
        BindRootfs("/root/path", path="/b/rootfs", propagation=MS_PRIVATE, found=FOUND),
    ]
    assert pivot == [PivotRoot("/root/path")]
    assert after == []


@pytest.mark.parametrize(
    ("value", "host", "root", "pivoted", "last"),
    [
        ("shared", 0, MS_PRIVATE, MS_SHARED, 0),
        ("rshared", 0, MS_PRIVATE, MS_SHARED | MS_REC, 0),
        ("slave", MS_SLAVE | MS_REC, MS_SLAVE, 0, 0),
        ("rslave", MS_SLAVE | MS_REC, MS_SLAVE, 0, 0),
        ("private", MS_PRIVATE | MS_REC, MS_PRIVATE, 0, 0),
        ("unbindable", MS_PRIVATE | MS_REC, MS_PRIVATE, 0, MS_UNBINDABLE),
        ("runbindable", MS_PRIVATE | MS_REC, MS_PRIVATE, 0, MS_UNBINDABLE | MS_REC),
    ],
)
def test_propagation(value: str, host: int, root: int, pivoted: int, last: int) -> None:
    before, pivot, after = whole(value)
    bind = BindRootfs("/root/path", path="/b/rootfs", propagation=root, found=FOUND)
    assert before == [*([SetHostPropagation(WHERE, propagation=host)] if host else []), bind]
    assert pivot[1:] == attributes(pivoted)
    assert after == attributes(last)


def attributes(propagation: int) -> list[Step]:
    step = SetMountAttributes(WHERE, target="/", propagation=propagation)
    return [step] if propagation else []


def test_in_a_joined_mount_namespace_the_path_may_lead_elsewhere() -> None:
    joined = config()
    joined["linux"]["namespaces"][0]["path"] = "/proc/7/ns/mnt"
    assert plan_rootfs(joined, host_facts(), request())[-1] == BindRootfs(
        "/root/path", path="/b/rootfs", propagation=MS_PRIVATE
    )


def test_unknown_propagation() -> None:
    with pytest.raises(ConfigError, match="'salve' is no propagation type"):
        whole("salve")


def test_without_pivot() -> None:
    assert plan_pivot(config(), host_facts(), request(no_pivot=True)) == [MoveRoot("/root/path")]
    with pytest.raises(ConfigError, match="not safe with --no-pivot"):
        plan_rootfs(config("rprivate"), host_facts(), request(no_pivot=True))


def test_without_a_mount_namespace() -> None:
    inherited = config(namespace="pid")
    assert plan_rootfs(inherited, host_facts(), request()) == [
        OpenRoot("/root/path", path="/b/rootfs", found=FOUND)
    ]
    assert plan_pivot(inherited, host_facts(), request()) == [ChangeRoot("/root/path")]
    with pytest.raises(ConfigError, match="needs a mount namespace"):
        plan_root_read_only(config(namespace="pid", readonly=True))


def test_read_only() -> None:
    assert plan_root_read_only(config(readonly=True)) == [
        SetMountAttributes("/root/readonly", target="/", attr_set=MOUNT_ATTR_RDONLY)
    ]
