"""The systemd cgroup driver: which scope, with which properties, and what is left of it."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.bundles import with_namespace
from tests.integration.containers import Runtime, wait_until
from tests.integration.namespaces import map_ids
from tests.integration.systemd_units import (
    cgroup_of,
    is_loaded,
    scope_of,
    show,
    systemctl,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.containers import Container

pytestmark = pytest.mark.requires("systemd")

RESOURCES: dict[str, Any] = {
    "memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 96 << 20},
    "cpu": {"quota": 12345, "period": 50000},
    "pids": {"limit": 77},
    "unified": {"memory.high": str(48 << 20)},
}


@pytest.fixture(autouse=True)
def options(runtime: Runtime) -> None:
    runtime.global_options.append("--systemd-cgroup")


@pytest.fixture
def scoped(container: Container, tag: str) -> Iterator[Container]:
    """A container in the scope test-TAG.scope of a nested slice of its own."""
    container.linux["cgroupsPath"] = f"{tag}-low.slice:test:{tag}"
    yield container
    container.runtime.call("delete", "--force", container.id)
    # Slices stay until somebody stops them.
    systemctl("stop", f"{tag}.slice", check=False)


def unit_of(container: Container) -> str:
    _, prefix, name = container.linux["cgroupsPath"].split(":")
    return f"{prefix}-{name}.scope"


def test_scope_and_cgroup(scoped: Container, tag: str) -> None:
    scoped.linux["resources"] = copy.deepcopy(RESOURCES)
    unit, directory = scope_of(scoped.up())
    assert unit == f"test-{tag}.scope"
    assert directory == f"/sys/fs/cgroup/{tag}.slice/{tag}-low.slice/{unit}"
    shown = show(unit)
    expected = {
        "Slice": f"{tag}-low.slice",
        "ActiveState": "active",
        "Delegate": "yes",
        "DefaultDependencies": "no",
        "MemoryMax": str(64 << 20),
        "MemoryLow": str(32 << 20),
        "MemorySwapMax": str(32 << 20),
        "MemoryHigh": str(48 << 20),
        "CPUQuotaPerSecUSec": "250ms",
        "CPUQuotaPeriodUSec": "50ms",
        "TasksMax": "77",
        "DevicePolicy": "strict",
    }
    assert {name: shown[name] for name in expected} == expected
    limits = values(directory)
    assert limits["cpu.max"] == "12345 50000", "exact in the file; systemd rounds"
    assert (limits["memory.max"], limits["pids.max"]) == (str(64 << 20), "77")
    # systemd now writes what it knows.
    systemctl("daemon-reload")
    again = values(directory)
    assert again.pop("cpu.max") in ("12500 50000", limits.pop("cpu.max"))
    assert again == limits
    scoped.kill_and_wait()
    scoped.delete()
    assert not is_loaded(unit)
    assert not os.path.exists(directory)


def test_default_scope(container: Container) -> None:
    del container.linux["cgroupsPath"]
    unit, directory = scope_of(container.up())
    prefix = "ocipy" if container.runtime.is_ocipy else "runc"
    assert unit == f"{prefix}-{container.id}.scope"
    assert directory == f"/sys/fs/cgroup/system.slice/{unit}"


def test_annotations(scoped: Container) -> None:
    scoped.config["annotations"] = {
        "org.systemd.property.TimeoutStopSec": "uint64 7",
        "org.systemd.property.CollectMode": "'inactive-or-failed'",
        "org.systemd.property.KillSignal": "10",
    }
    unit, _ = scope_of(scoped.up())
    shown = show(unit, "TimeoutStopUSec", "CollectMode", "KillSignal")
    assert shown == {
        "TimeoutStopUSec": "7s",
        "CollectMode": "inactive-or-failed",
        "KillSignal": "10",
    }


def test_a_property_that_systemd_does_not_know(scoped: Container) -> None:
    scoped.config["annotations"] = {"org.systemd.property.Nonsense": "true"}
    call = scoped.create(check=False).failed("Nonsense")
    if scoped.runtime.is_ocipy:
        assert "/linux/cgroupsPath" in call.message
    assert not is_loaded(unit_of(scoped))
    assert not scoped.runtime.holds(scoped.id)


def test_update(scoped: Container) -> None:
    unit, directory = scope_of(scoped.up())
    scoped.verb("update", "--memory", "50M", "--pids-limit", "33", "--cpu-quota", "20000")
    systemctl("daemon-reload")
    limits = values(directory)
    assert limits["memory.max"] == str(50 << 20)
    assert limits["pids.max"] == "33"
    assert limits["cpu.max"] == "20000 100000"
    assert show(unit, "MemoryMax", "TasksMax") == {"MemoryMax": str(50 << 20), "TasksMax": "33"}


@pytest.mark.runc_deviates("it has no inspect")
def test_nothing_has_drifted(scoped: Container) -> None:
    """`inspect --verify`: not by what systemd rounds when it writes limits anew, either."""
    scoped.linux["resources"] = copy.deepcopy(RESOURCES)
    unit, directory = scope_of(scoped.up())

    def drift() -> dict[str, str]:
        call = scoped.runtime.call("inspect", "--verify", "--format", "json", scoped.id)
        entries = json.loads(call.out)["drift"]
        assert call.status == (10 if entries else 0), call
        return {entry["pointer"]: entry["found"] for entry in entries}

    assert drift() == {}
    systemctl("daemon-reload")
    wait_until(lambda: values(directory)["cpu.max"] == "12500 50000", "systemd has written", 60)
    assert drift() == {}
    systemctl("set-property", "--runtime", unit, "MemoryMax=50M")
    assert drift() == {"/linux/resources/memory/limit": str(50 << 20)}


@pytest.mark.runc_deviates("1.1 does not know cpu.burst")
def test_what_systemd_has_no_property_for(scoped: Container) -> None:
    """It is written into the cgroup, and systemd lets it be."""
    scoped.linux["resources"] = {
        "cpu": {"quota": 20000, "period": 100000, "burst": 10000},
        "unified": {"memory.swap.high": "99999744"},
    }
    _, directory = scope_of(scoped.up())

    def found() -> list[str]:
        texts = []
        for name in ("cpu.max.burst", "memory.swap.high"):
            with open(f"{directory}/{name}", encoding="utf-8") as file:
                texts.append(file.read().strip())
        return texts

    assert found() == ["10000", "99999744"]
    systemctl("daemon-reload")
    assert found() == ["10000", "99999744"]


def test_exec_is_in_the_scope(scoped: Container) -> None:
    _, directory = scope_of(scoped.up())
    call = scoped.runtime.begin("exec", scoped.id, "/bin/sh", "-c", "echo in; sleep 1000")
    wait_until(lambda: call.out == "in\n", "the second process runs")
    with open(f"{directory}/cgroup.procs", encoding="utf-8") as file:
        assert len(file.read().split()) >= 2
    scoped.kill_and_wait()
    call.wait(60)


def test_run_leaves_no_unit(scoped: Container) -> None:
    assert scoped.sh("echo ran") == "ran"
    assert not is_loaded(unit_of(scoped))


@pytest.mark.runc_deviates("1.1 leaves the unit loaded")
def test_a_unit_that_has_failed(scoped: Container) -> None:
    """The name is free again, though systemd keeps units that have failed."""
    unit = unit_of(scoped)
    slice_name = scoped.linux["cgroupsPath"].partition(":")[0]
    left = ["-p", "RuntimeMaxSec=1", f"--slice={slice_name}", f"--unit={unit}", "sleep", "1000"]
    subprocess.run(
        ["systemd-run", "--scope", *left],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    wait_until(lambda: show(unit, "ActiveState")["ActiveState"] == "failed", "it has failed", 60)
    assert scoped.sh("echo ran") == "ran"
    assert not is_loaded(unit)


@pytest.mark.runc_deviates("1.1 makes the container in the cgroup of the other")
def test_a_unit_that_another_container_has(
    scoped: Container, make_container: Callable[[], Container]
) -> None:
    """It is refused, and the other one is left in peace."""
    pid = scoped.up()
    other = make_container()
    other.linux["cgroupsPath"] = scoped.linux["cgroupsPath"]
    other.create(check=False).failed()
    assert os.path.exists(f"/proc/{pid}")
    assert scoped.status == "running"
    assert is_loaded(unit_of(scoped))
    assert not other.runtime.holds(other.id)


def test_a_killed_program_leaves_nothing(scoped: Container) -> None:
    """The kernel ends it for its memory: systemd says that the scope has failed."""
    scoped.linux["resources"] = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
    scoped.script("tail /dev/zero")
    call = scoped.run(check=False)
    assert call.status == 137
    assert not is_loaded(unit_of(scoped))


def test_pause(scoped: Container) -> None:
    _, directory = scope_of(scoped.up())
    scoped.verb("pause")
    with open(f"{directory}/cgroup.freeze", encoding="utf-8") as file:
        assert file.read().strip() == "1"
    scoped.verb("resume")
    assert scoped.status == "running"


def test_the_mapped_root_owns_its_cgroup(scoped: Container) -> None:
    """Spec (config-linux.md#cgroup-ownership)."""
    map_ids(scoped)
    with_namespace(scoped.config, "cgroup")
    scoped.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "rw")
    _, directory = scope_of(scoped.up("mkdir /sys/fs/cgroup/own && echo up; exec sleep 1000"))
    assert os.stat(directory).st_uid == 100000
    assert os.stat(f"{directory}/own").st_uid == 100000
    scoped.kill_and_wait()
    scoped.delete()
    assert not os.path.exists(directory)


@pytest.mark.parametrize("path", ["/a/path", "a:x:n", "a--b.slice:x:n"])
def test_paths_that_name_no_scope(container: Container, path: str) -> None:
    container.linux["cgroupsPath"] = path
    container.is_rejected("/linux/cgroupsPath")


@pytest.fixture
def without_bus() -> Iterator[None]:
    """systemd where D-Bus does not answer: only its own socket does.

    The daemon itself stays. With it would go what requires it, and logind, which loses its
    connection, comes again and takes along what requires logind; in the VM that is the service in
    which the tests run, which nobody would then be left to end.
    """
    os.rename("/run/dbus/system_bus_socket", "/run/dbus/hidden")
    yield
    os.rename("/run/dbus/hidden", "/run/dbus/system_bus_socket")


@pytest.mark.usefixtures("without_bus")
def test_without_the_daemon_of_the_bus(scoped: Container) -> None:
    """Its whole life takes no longer than with it: nothing waits for an answer in vain."""
    unit, directory = scope_of(scoped.up())
    scoped.verb("update", "--pids-limit", "33")
    assert values(directory)["pids.max"] == "33"
    scoped.kill_and_wait()
    scoped.delete()
    assert not is_loaded(unit)
    assert scoped.sh("echo ran") == "ran"
    assert not is_loaded(unit)


# What names the container or the moment, and what says how systemd was told rather than what.
APART = {"Id", "Names", "Description", "ControlGroup", "ControlGroupId", "InvocationID"}
APART |= {"DropInPaths", "NeedDaemonReload", "CPUUsageNSec"}
MEASURED = tuple(
    "Timestamp TimestampMonotonic Usage Bytes Operations Current Packets Available Peak".split()
)


@pytest.mark.requires("program:runc", "program:crun")
@pytest.mark.parametrize("other", ["runc", "crun"])
def test_side_by_side(scoped: Container, other: str) -> None:
    """The same scope and cgroup values as the other's, and the same properties as runc's."""
    scoped.linux["resources"] = copy.deepcopy(RESOURCES)
    scoped.linux["resources"]["cpu"]["shares"] = 1024
    scoped.config["annotations"] = {"org.systemd.property.TimeoutStopUSec": "uint64 7000000"}
    found = []
    program = shutil.which(other, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program
    ours = scoped.runtime
    for runtime in (ours, Runtime(program, f"{ours.directory}/{other}", ours.directory)):
        scoped.runtime = runtime
        if runtime is not ours:
            runtime.global_options.append("--systemd-cgroup")
        pid = scoped.up()
        unit, directory = scope_of(pid)
        limits = values(cgroup_of(pid))
        shown = {
            name: value
            for name, value in show(unit).items()
            if name not in APART and not name.endswith(MEASURED)
        }
        found.append((unit, directory, shown, limits))
        scoped.kill_and_wait()
        scoped.delete()
    scoped.runtime = ours
    (unit, directory, shown, limits), (its_unit, its_directory, its_shown, its_limits) = found
    assert (unit, directory) == (its_unit, its_directory)
    # The old linear formula, and the new one: docs/decisions/0013.
    assert (limits.pop("cpu.weight"), its_limits.pop("cpu.weight")) == ("100", "39")
    assert limits == its_limits
    if other == "crun":
        return  # it tells systemd less, and sets the limits in a cgroup below the scope's
    different = {
        name for name in shown | its_shown if shown.get(name, "") != its_shown.get(name, "")
    }
    # runc 1.1 has the old formula, leaves out devices that the host has no node of, and names the
    # others by group.
    assert different <= {"CPUWeight", "DeviceAllow"}, {
        name: (shown.get(name), its_shown.get(name)) for name in different
    }
