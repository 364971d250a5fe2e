"""Which unit a container becomes; what systemd and runc 1.1 do was read off both."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.cgroup.systemd.scope import container_scope, slice_path
from ocipy.errors import ConfigError, UnsupportedError
from tests.unit.cgroup.hosts import HYBRID, V1, V2


def scope(cgroups_path: str, **options: Any) -> Any:
    linux = {"cgroupsPath": cgroups_path} if cgroups_path else {}
    config: Any = {"linux": linux}
    return container_scope(config, options.pop("facts", V2), "web", **options)


@pytest.mark.parametrize(
    ("cgroups_path", "unit", "path"),
    [
        ("", "ocipy-web.scope", "/cg/system.slice/ocipy-web.scope"),
        ("system.slice:docker:abc", "docker-abc.scope", "/cg/system.slice/docker-abc.scope"),
        (":x:nam", "x-nam.scope", "/cg/system.slice/x-nam.scope"),
        ("a.slice::nam", "-nam.scope", "/cg/a.slice/-nam.scope"),
        ("a-b-c.slice:x:n", "x-n.scope", "/cg/a.slice/a-b.slice/a-b-c.slice/x-n.scope"),
        ("-.slice:x:n", "x-n.scope", "/cg/x-n.scope"),
    ],
)
def test_unit_and_path(cgroups_path: str, unit: str, path: str) -> None:
    found = scope(cgroups_path)
    assert (found.unit, found.path, found.bus) == (unit, path, "")


def test_below_the_users_manager() -> None:
    manager = "/user.slice/user-1.slice/user@1.service"
    found = scope("", bus="unix:path=/run/user/1/bus", manager_cgroup=manager)
    assert found.slice == "user.slice"
    assert found.path == f"/cg{manager}/user.slice/ocipy-web.scope"
    assert found.bus == "unix:path=/run/user/1/bus"


@pytest.mark.parametrize(
    ("cgroups_path", "text"),
    [
        ("/a/path", 'of format "slice:prefix:name"'),
        ("a.slice:x", 'of format "slice:prefix:name"'),
        ("a.slice:x:", 'of format "slice:prefix:name"'),
        ("a:x:n", "invalid slice name: 'a'"),
        (".slice:x:n", "invalid slice name"),
        ("a--b.slice:x:n", "invalid slice name"),
        ("-a.slice:x:n", "invalid slice name"),
        ("a-.slice:x:n", "invalid slice name"),
        ("../a.slice:x:n", "invalid slice name"),
        ("a.slice:x:n/../m", "not the name of a unit"),
        ("a.slice:x:n m", "not the name of a unit"),
        (f"a.slice:x:{'n' * 250}", "not the name of a unit"),
        ("a.slice:x:n.slice", "is a slice"),
    ],
)
def test_wrong_paths(cgroups_path: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        scope(cgroups_path)
    assert caught.value.pointer == "/linux/cgroupsPath"


@pytest.mark.parametrize("facts", [V1, HYBRID], ids=["v1", "hybrid"])
def test_only_cgroup_v2(facts: Any) -> None:
    with pytest.raises(UnsupportedError, match=facts.mode) as caught:
        scope("", facts=facts)
    assert "cgroupfs" in caught.value.hint


def test_slice_path() -> None:
    assert slice_path("user-1000.slice") == "/user.slice/user-1000.slice"
