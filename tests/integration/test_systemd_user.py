"""A user with a systemd of their own: scopes, limits, delegation; what happens without."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.bundles import with_namespace
from tests.integration.containers import wait_until
from tests.integration.systemd_units import cgroup_of, scope_of, show, values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.containers import Call, Container, Runtime

pytestmark = [
    pytest.mark.requires("systemd"),
    pytest.mark.skipif(
        not os.environ.get("DISPOSABLE"),
        reason="it makes a user of the machine: DISPOSABLE=1 permits that, as in the VM",
    ),
]
USER = "oci-user"


@pytest.fixture(scope="module")
def account() -> Iterator[pwd.struct_passwd]:
    """A user whose systemd runs without a session: useradd(8) gives subordinate ids, too."""
    subprocess.run(["useradd", "--create-home", USER], check=True)
    subprocess.run(["loginctl", "enable-linger", USER], check=True)
    found = pwd.getpwnam(USER)
    bus = f"/run/user/{found.pw_uid}/bus"
    wait_until(lambda: os.path.exists(bus), "the user's bus", 300)
    yield found
    subprocess.run(["loginctl", "disable-linger", USER], check=True)
    subprocess.run(["loginctl", "terminate-user", USER], check=False)
    subprocess.run(["userdel", "--remove", "--force", USER], check=False)


class Session:
    """Calls the runtime as the user, who owns the bundle."""

    def __init__(self, account: pwd.struct_passwd, container: Container, runtime: Runtime) -> None:
        self.account, self.container, self.runtime = account, container, runtime
        self.identity: dict[str, Any] = {
            "user": account.pw_uid,
            "group": account.pw_gid,
            "extra_groups": [],
        }
        runtime_dir = f"/run/user/{account.pw_uid}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": account.pw_dir,
            "XDG_RUNTIME_DIR": runtime_dir,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime_dir}/bus",
        }

    def call(self, *words: str, **environment: str) -> Call:
        env = {k: v for k, v in (self.environment | environment).items() if v}
        return self.runtime.call(*words, **self.identity, env=env)

    def create(self, *options: str) -> Call:
        self.container.bundle.write()
        for top, _, _ in os.walk(self.container.bundle.path):
            os.chown(top, self.account.pw_uid, self.account.pw_gid)
        return self.call(
            "create", "--bundle", self.container.bundle.path, *options, self.container.id
        )

    def up(self) -> int:
        self.container.script("echo up; exec sleep 1000")
        self.create().succeeded()
        pid = self.container.pid
        self.call("start", self.container.id).succeeded()
        return pid

    def show(self, unit: str, *names: str) -> dict[str, str]:
        return show(unit, *names, manager="--user", **self.identity, env=self.environment)


@pytest.fixture
def session(
    account: pwd.struct_passwd, container: Container, runtime: Runtime, directory: str
) -> Iterator[Session]:
    linux = container.linux
    linux["namespaces"] = [ns for ns in linux["namespaces"] if ns["type"] != "network"]
    with_namespace(container.config, "user")
    for field, host_id in (("uidMappings", account.pw_uid), ("gidMappings", account.pw_gid)):
        linux[field] = [{"containerID": 0, "hostID": host_id, "size": 1}]
    linux.pop("cgroupsPath")
    mounts = [m for m in container.config["mounts"] if m["type"] != "sysfs"]
    for mount in mounts:
        mount["options"] = [option for option in mount["options"] if option != "gid=5"]
    container.config["mounts"] = mounts
    os.makedirs(runtime.root)
    os.chown(runtime.root, account.pw_uid, account.pw_gid)
    session = Session(account, container, runtime)
    yield session
    session.call("delete", "--force", container.id)


def test_life_in_a_scope(session: Session) -> None:
    """Made by the user's systemd, though we are called from outside of what it manages."""
    container, runtime = session.container, session.runtime
    runtime.global_options.append("--systemd-cgroup")
    container.linux["cgroupsPath"] = f"user.slice:test:{container.id}"
    container.linux["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 77}}
    unit, directory = scope_of(session.up())
    uid = session.account.pw_uid
    assert unit == f"test-{container.id}.scope"
    assert directory == (
        f"/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/user.slice/{unit}"
    )
    shown = session.show(unit, "ActiveState", "MemoryMax", "TasksMax", "Delegate")
    assert shown == {
        "ActiveState": "active",
        "MemoryMax": str(64 << 20),
        "TasksMax": "77",
        "Delegate": "yes",
    }
    limits = values(directory)
    assert (limits["memory.max"], limits["pids.max"]) == (str(64 << 20), "77")
    session.call("update", "--memory", "50M", container.id).succeeded()
    assert values(directory)["memory.max"] == str(50 << 20)
    assert session.show(unit, "MemoryMax") == {"MemoryMax": str(50 << 20)}

    # exec: into the scope, though the user may not move a process there.
    inside = session.call("exec", container.id, "/bin/cat", "/proc/self/cgroup").succeeded()
    assert unit in inside.out or inside.out.strip() in ("0::/", "0::/../"), inside
    begun = session.runtime.begin(
        *("exec", container.id, "/bin/sh", "-c", "echo in; sleep 1000"),
        **session.identity,
        env=session.environment,
    )
    wait_until(lambda: begun.out == "in\n", "the second process runs")
    with open(f"{directory}/cgroup.procs", encoding="utf-8") as file:
        assert len(file.read().split()) >= 2
    session.call("kill", container.id, "KILL").succeeded()
    begun.wait(120)
    session.call("delete", "--force", container.id).succeeded()
    assert not os.path.exists(directory)
    assert session.show(unit, "LoadState") == {"LoadState": "not-found"}


def test_delete_without_the_environment_of_the_session(session: Session) -> None:
    """The record knows the bus: conmon, say, calls with less of an environment than podman."""
    session.runtime.global_options.append("--systemd-cgroup")
    unit, directory = scope_of(session.up())
    session.call(
        "delete", "--force", session.container.id, XDG_RUNTIME_DIR="", DBUS_SESSION_BUS_ADDRESS=""
    ).succeeded()
    assert not os.path.exists(directory)
    assert session.show(unit, "LoadState") == {"LoadState": "not-found"}


def test_without_a_session(session: Session) -> None:
    session.runtime.global_options.append("--systemd-cgroup")
    nowhere = {"XDG_RUNTIME_DIR": "/nonexistent", "DBUS_SESSION_BUS_ADDRESS": ""}
    session.container.bundle.write()
    failed = session.call(
        "create", "--bundle", session.container.bundle.path, session.container.id, **nowhere
    )
    assert failed.status == 1, failed
    if session.runtime.is_ocipy:
        failed.failed("cannot reach the user's systemd", "loginctl enable-linger")
    assert not session.runtime.holds(session.container.id)


def test_a_users_manager_without_dbus(session: Session) -> None:
    """Its own socket does, where dbus-user-session is not installed."""
    if not session.runtime.is_ocipy:
        pytest.skip("runc and crun know only the bus")
    session.runtime.global_options.append("--systemd-cgroup")
    runtime_dir = f"{session.runtime.directory}/run"
    os.makedirs(f"{runtime_dir}/systemd")
    own = session.environment["XDG_RUNTIME_DIR"]
    os.symlink(f"{own}/systemd/private", f"{runtime_dir}/systemd/private")
    session.environment.update(XDG_RUNTIME_DIR=runtime_dir, DBUS_SESSION_BUS_ADDRESS="")
    unit, _ = scope_of(session.up())
    session.call("delete", "--force", session.container.id).succeeded()
    session.environment["XDG_RUNTIME_DIR"] = own
    assert session.show(unit, "LoadState") == {"LoadState": "not-found"}


def test_limits_that_nobody_has_delegated(session: Session) -> None:
    session.container.linux["resources"] = {"memory": {"limit": 64 << 20}}
    session.container.script("echo ran")
    created = session.create()
    if session.runtime.is_ocipy:
        created.succeeded()
        assert "without a cgroup there are no limits: memory" in created.err
        assert "--systemd-cgroup" in created.err
    else:
        created.failed()


@pytest.mark.requires("program:newuidmap")
def test_ids_of_useradd(session: Session, account: pwd.struct_passwd) -> None:
    with open("/etc/subuid", encoding="utf-8") as file:
        (entry,) = (line for line in file if line.startswith(f"{USER}:"))
    first = int(entry.split(":")[1])
    for field in ("uidMappings", "gidMappings"):
        session.container.linux[field].append({"containerID": 1, "hostID": first, "size": 65535})
    pid = session.up()
    with open(f"/proc/{pid}/uid_map", encoding="utf-8") as file:
        assert [line.split() for line in file] == [
            ["0", str(account.pw_uid), "1"],
            ["1", str(first), "65535"],
        ]


@pytest.mark.requires("program:runc", "program:crun")
@pytest.mark.parametrize("other", ["runc", "crun"])
def test_side_by_side(session: Session, runtime: Runtime, other: str) -> None:
    """The same scope and cgroup values as the other runtime makes for the user."""
    if not runtime.is_ocipy:
        pytest.skip("it compares ocipy with the others")
    container = session.container
    container.linux["cgroupsPath"] = f"user.slice:test:{container.id}"
    container.linux["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 77}}
    runtime.global_options.append("--systemd-cgroup")
    program, ours = shutil.which(other), runtime.program
    assert program
    found = []
    for runtime.program in (ours, program):
        pid = session.up()
        unit, directory = scope_of(pid)
        shown = session.show(
            unit, "Slice", "MemoryMax", "TasksMax", "CPUWeight", "Delegate", "DevicePolicy"
        )
        found.append((unit, directory, shown, values(cgroup_of(pid))))
        session.call("delete", "--force", container.id).succeeded()
    runtime.program = ours
    (unit, directory, shown, limits), its = found
    assert (unit, directory, limits) == (its[0], its[1], its[3])
    if other == "crun":
        return  # it tells systemd less, and sets the limits in a cgroup below the scope's
    different = {name for name in shown if shown[name] != its[2][name]}
    assert different <= {"DevicePolicy"}, (shown, its[2])
