"""Where the container's process is, and what it sees of cgroups; config-linux.md#control-groups."""

from __future__ import annotations

import os

import pytest

from tests.bundles import with_namespace
from tests.integration import leftovers
from tests.integration.containers import Container

runc_deviates = pytest.mark.runc_deviates

PURE_V2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def places(pid: int | str) -> dict[str, str]:
    """Return the cgroup path of a process in each hierarchy; "" is v2's."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        lines = [line.strip().split(":", 2) for line in file]
    return {controllers: path for _, controllers, path in lines}


def test_in_every_hierarchy(container: Container) -> None:
    pid = container.up()
    for controllers, path in places(pid).items():
        # runc leaves the unified hierarchy of a hybrid host alone.
        if controllers == "" and not PURE_V2:
            continue
        assert path == f"/{container.id}", controllers


def test_before_start_already(container: Container) -> None:
    container.create()
    paths = {path for name, path in places(container.pid).items() if name or PURE_V2}
    assert paths == {f"/{container.id}"}


def test_nested_path(container: Container) -> None:
    container.linux["cgroupsPath"] = f"/{container.id}/one/two"
    pid = container.up()
    paths = {path for name, path in places(pid).items() if name or PURE_V2}
    assert paths == {f"/{container.id}/one/two"}
    container.kill("KILL")
    container.wait(pid)
    container.delete()
    left = leftovers.cgroups(container.id)
    # The parents may stay, as they may be somebody else's; what the container was in may not.
    assert all(not path.endswith("/two") for path in left), left
    leftovers.remove(container.id)


def test_without_a_path(container: Container) -> None:
    """The path is then the runtime's choice, and names the container."""
    del container.linux["cgroupsPath"]
    pid = container.up()
    ours = places("self")
    for controllers, path in places(pid).items():
        if controllers == "" and not PURE_V2:
            continue
        assert container.id in path
        assert path.startswith(ours[controllers].rstrip("/") + "/") or ours[controllers] != "/"


def test_a_relative_path(container: Container) -> None:
    """config-linux.md#cgroups-path: may be interpreted relative to a runtime-chosen place."""
    container.linux["cgroupsPath"] = f"{container.id}/relative"
    pid = container.up()
    for controllers, path in places(pid).items():
        if controllers or PURE_V2:
            assert path.endswith(f"{container.id}/relative"), path
    container.kill("KILL")
    container.wait(pid)
    container.delete()
    leftovers.remove(container.id)


def test_a_path_that_climbs(container: Container) -> None:
    container.linux["cgroupsPath"] = f"/../../../{container.id}/../{container.id}"
    call = container.create(check=False)
    if call.status == 0:
        paths = {path for name, path in places(container.pid).items() if name or PURE_V2}
        assert paths == {f"/{container.id}"}


@pytest.mark.runc_deviates("leaves cgroups behind", run=False)
@pytest.mark.parametrize("where", ["cgroup.procs", "ID/cgroup.procs", "ID/cgroup.procs/below"])
def test_a_path_that_is_a_file(container: Container, where: str) -> None:
    container.linux["cgroupsPath"] = f"/{where.replace('ID', container.id)}"
    call = container.create(check=False).failed("cgroup.procs", "cgroupsPath")
    assert "while cleaning up" not in call.err, call
    assert not container.runtime.holds(container.id)


def test_an_existing_cgroup_of_that_name(container: Container) -> None:
    """Made by the caller, with limits of its own perhaps: used, if it is empty."""
    made = []
    for root in leftovers.cgroup_roots():
        if PURE_V2 or not root.endswith("unified"):
            os.mkdir(f"{root}/{container.id}")
            made.append(f"{root}/{container.id}")
    try:
        container.script("echo ok")
        call = container.run(check=False)
        assert call.status == 0 or "exist" in call.err
    finally:
        for path in made:
            if os.path.exists(path):
                os.rmdir(path)


def test_children_are_there_too_and_die_with_it(container: Container) -> None:
    """What the container leaves behind in its cgroup is killed when it is deleted."""
    container.linux["namespaces"] = [
        ns for ns in container.linux["namespaces"] if ns["type"] != "pid"
    ]
    pid = container.up("sleep 1000 & sleep 1001 & echo up; exit 0")
    container.wait(pid)
    procs = [pid for pid in leftovers.processes(container.id) if pid]
    assert len(procs) == 2
    container.delete("--force")
    assert leftovers.describe_after(container.id, container.runtime.root) == []


@pytest.mark.requires("cgroup-v1")
def test_v1_view_without_a_cgroup_namespace(container: Container) -> None:
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev")
    out = container.sh(
        "cat /sys/fs/cgroup/pids/cgroup.procs; ls /sys/fs/cgroup/; "
        "touch /sys/fs/cgroup/x || echo denied; mkdir /sys/fs/cgroup/memory/sub && echo made;"
        "rmdir /sys/fs/cgroup/memory/sub"
    ).split()
    assert out[0] == "1"
    assert {"memory", "pids", "devices", "freezer"} <= set(out)
    assert out[-1] == "made"


@pytest.mark.requires("cgroup-v1")
def test_v1_view_in_a_cgroup_namespace(container: Container) -> None:
    with_namespace(container.config, "cgroup")
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid")
    out = container.sh(
        "cat /proc/self/cgroup; cat /sys/fs/cgroup/pids/cgroup.procs;"
        "mkdir /sys/fs/cgroup/memory/sub || echo denied"
    ).splitlines()
    places_inside = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in out if ":" in line}
    assert places_inside["pids"] == places_inside["memory"] == "/"
    assert "1" in out
    assert out[-1] == "denied"


@pytest.mark.requires("cgroup-v2")
@pytest.mark.parametrize("kind", ["cgroup", "cgroup2"])
def test_v2_view_in_a_cgroup_namespace(container: Container, kind: str) -> None:
    with_namespace(container.config, "cgroup")
    container.bundle.add_mount("/sys/fs/cgroup", kind, "cgroup", "ro", "nosuid", "noexec")
    out = container.sh(
        "cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs | head -1;"
        "mkdir /sys/fs/cgroup/sub || echo denied"
    )
    assert out.splitlines() == ["0::/", "1", "denied"]


@pytest.mark.requires("cgroup-v2")
def test_v2_view_without_a_cgroup_namespace(container: Container) -> None:
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec")
    out = container.sh(
        "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/cgroup.controllers;"
        "mkdir /sys/fs/cgroup/sub || echo denied"
    )
    assert out.splitlines() == [
        f"0::/{container.id}",
        "/sys/fs/cgroup/cgroup.controllers",
        "denied",
    ]


def test_cgroup_namespace_is_rooted_at_the_containers_cgroup(container: Container) -> None:
    with_namespace(container.config, "cgroup")
    lines = container.lines("cat /proc/self/cgroup")
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers or PURE_V2:
            assert path == "/", line


def test_the_runtime_itself_stays_where_it_was(container: Container) -> None:
    before = places("self")
    container.up()
    assert places("self") == before


@pytest.mark.parametrize("limited", [True, False])
@runc_deviates("has no such option")
def test_disabled(container: Container, limited: bool) -> None:
    """It stays in the runtime's own cgroups; limits that it cannot have are not passed over."""
    container.runtime.global_options.append("--cgroup-manager=disabled")
    container.linux["cgroupsPath"] = f"/{container.id}"
    if limited:
        container.linux["resources"] = {"pids": {"limit": 5}}
    pid = container.up()
    assert ("without a cgroup there are no limits: pids" in container.created.err) == limited
    assert places(pid) == places("self")
    container.verb("pause", check=False).failed("has no cgroup of its own")
    container.verb("update", "--pids-limit=5", check=False).failed("has no cgroup of its own")
