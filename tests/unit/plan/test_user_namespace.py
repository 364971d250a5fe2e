from __future__ import annotations

from typing import Any

import pytest

from ocipy.errors import ConfigError, UnsupportedError
from ocipy.plan.user_namespace import check_mount, require_user_namespace


def config(*kinds: str, **linux: Any) -> Any:
    namespaces = [{"type": kind} for kind in ("mount", *kinds)]
    one = [{"containerID": 0, "hostID": 1000, "size": 1}]
    return {"linux": {"namespaces": namespaces, "uidMappings": one, "gidMappings": one, **linux}}


@pytest.mark.parametrize(
    ("fstype", "kind"), [("sysfs", "network"), ("mqueue", "ipc"), ("proc", "pid")]
)
def test_file_systems_that_show_a_namespace(fstype: str, kind: str) -> None:
    mount: Any = {"type": fstype}
    check_mount(config("user", kind), mount, [], "/mounts/0")
    check_mount(config(), mount, [], "/mounts/0")
    joined = config(kind)
    joined["linux"]["namespaces"].append({"type": "user", "path": "/proc/1/ns/user"})
    check_mount(joined, mount, [], "/mounts/0")
    with pytest.raises(UnsupportedError, match=f"{fstype} shows the {kind} namespace") as caught:
        check_mount(config("user"), mount, [], "/mounts/0")
    assert caught.value.pointer == "/mounts/0"
    assert caught.value.hint


def test_file_systems_of_the_host() -> None:
    mount: Any = {"type": "ext4"}
    check_mount(config(), mount, [], "/mounts/0")
    with pytest.raises(UnsupportedError, match="ext4 cannot be mounted in a user namespace"):
        check_mount(config("user"), mount, [], "/mounts/0")


@pytest.mark.parametrize("option", ["gid=5", "uid=1"])
def test_ids_without_a_mapping(option: str) -> None:
    mount: Any = {"type": "devpts"}
    check_mount(config("user"), mount, ["gid=0", "uid=0", "mode=5"], "/mounts/0")
    check_mount(config(), mount, [option], "/mounts/0")
    wide = [{"containerID": 0, "hostID": 1000, "size": 65536}]
    check_mount(config("user", uidMappings=wide, gidMappings=wide), mount, [option], "/mounts/0")
    with pytest.raises(ConfigError, match=f"{option}: .* no mapping") as caught:
        check_mount(config("user"), mount, [option], "/mounts/0")
    assert caught.value.pointer == "/mounts/0/options"


def test_who_needs_a_user_namespace() -> None:
    require_user_namespace(config("user"))
    with pytest.raises(UnsupportedError, match="rootless container requires user namespaces"):
        require_user_namespace(config())
