"""Six kinds of hooks: order, namespaces, state, environment; config.md#posix-platform-hooks."""

from __future__ import annotations

import os

import pytest

from tests.bundles import with_namespace
from tests.integration.containers import Container, Runtime
from tests.integration.hook_scripts import KINDS, Hooks

runc_deviates = pytest.mark.runc_deviates


@pytest.fixture
def hooks(container: Container, directory: str) -> Hooks:
    return Hooks(container, directory)


def namespaces_of(pid: int | str) -> dict[str, str]:
    names = ("mnt", "net", "pid", "uts")
    return {n: os.readlink(f"/proc/{pid}/ns/{n}").split("[")[1].rstrip("]") for n in names}


@runc_deviates("runs poststart in create")
def test_order_over_the_whole_life(container: Container, hooks: Hooks) -> None:
    for kind in KINDS:
        hooks.add(kind, f"{kind}-1")
        hooks.add(kind, f"{kind}-2")
    created = ["prestart", "createRuntime", "createContainer"]
    started = [*created, "startContainer", "poststart"]

    def twice(kinds: list[str]) -> list[str]:
        return [f"{kind}-{number}" for kind in kinds for number in (1, 2)]

    container.script("echo up; exec sleep 1000").create()
    assert hooks.order == twice(created)
    container.start()
    assert hooks.order == twice(started)
    container.kill_and_wait()
    assert hooks.order == twice(started)
    container.delete()
    assert hooks.order == twice([*started, "poststop"])


@runc_deviates("runs poststart in create")
def test_order_in_run(container: Container, hooks: Hooks) -> None:
    for kind in KINDS:
        hooks.add(kind)
    container.run()
    assert hooks.order == list(KINDS)


def test_state_on_stdin(container: Container, hooks: Hooks) -> None:
    container.config["annotations"] = {"org.example": "value"}
    for kind in KINDS:
        hooks.add(kind)
    pid = container.up()
    container.kill_and_wait()
    container.delete()
    states = {kind: hooks.state(kind) for kind in KINDS}
    for kind, state in states.items():
        assert state["id"] == container.id, kind
        assert state["bundle"] == container.bundle.path, kind
        assert state["annotations"]["org.example"] == "value", kind
        assert state["ociVersion"].count(".") == 2, kind
    statuses = {kind: state["status"] for kind, state in states.items()}
    assert statuses == {
        "prestart": "creating",
        "createRuntime": "creating",
        "createContainer": "creating",
        "startContainer": "created",
        "poststart": statuses["poststart"] if container.runtime.is_runc else "running",
        "poststop": "stopped",
    }
    for kind in ("prestart", "createRuntime", "poststart"):
        assert states[kind]["pid"] == pid, kind
    assert states["poststop"].get("pid", 0) == 0


def test_pid_as_seen_in_the_container(container: Container, hooks: Hooks) -> None:
    """config.md#state: hooks of the container's namespaces get the pid that is valid there."""
    hooks.add("createContainer")
    hooks.add("startContainer")
    container.run()
    assert hooks.state("createContainer")["pid"] == 1
    assert hooks.state("startContainer")["pid"] == 1


def test_namespaces(container: Container, hooks: Hooks) -> None:
    for kind in KINDS:
        hooks.add(kind)
    inside = namespaces_of(container.up())
    container.kill_and_wait()
    container.delete()
    ours = namespaces_of("self")
    for kind in ("prestart", "createRuntime", "poststart", "poststop"):
        assert hooks.namespaces(kind) == ours, kind
    for kind in ("createContainer", "startContainer"):
        assert hooks.namespaces(kind) == inside, kind


def test_where_paths_lead(container: Container, hooks: Hooks, directory: str) -> None:
    """createContainer is looked up before pivot_root, startContainer after it."""
    container.bundle.add_script("bin/hook", f"echo image >> {hooks.directory}/where")
    with open(f"{directory}/host-hook", "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\necho host >> {hooks.directory}/where\n")
    os.chmod(f"{directory}/host-hook", 0o755)
    hooks.config["createContainer"] = [{"path": f"{directory}/host-hook"}]
    hooks.config["startContainer"] = [{"path": "/bin/hook"}]
    container.run()
    with open(f"{hooks.directory}/where", encoding="utf-8") as file:
        assert file.read() == "host\nimage\n"


def test_create_container_sees_the_mounts_of_the_container(
    container: Container, hooks: Hooks, directory: str
) -> None:
    """runtime.md: after the environment was made, before pivot_root."""
    script = f"{directory}/look"
    with open(script, "w", encoding="utf-8") as file:
        file.write(
            f"#!/bin/sh\ngrep -c {container.bundle.rootfs} /proc/self/mountinfo > {script}.n"
        )
    os.chmod(script, 0o755)
    hooks.config["createContainer"] = [{"path": script, "env": ["PATH=/bin:/usr/bin"]}]
    container.run()
    with open(f"{script}.n", encoding="utf-8") as file:
        assert int(file.read()) >= len(container.config["mounts"])


def test_a_prestart_hook_reaches_the_new_network_namespace(
    container: Container, hooks: Hooks, directory: str
) -> None:
    """What Docker's libnetwork hook does: work on /proc/PID/ns/net with the pid of the state."""
    script = f"{directory}/net"
    with open(script, "w", encoding="utf-8") as file:
        file.write(
            "#!/bin/sh\npid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')\n"
            "nsenter --net=/proc/$pid/ns/net ip addr add 10.9.8.7/24 dev lo\n"
        )
    os.chmod(script, 0o755)
    hooks.config["prestart"] = [{"path": script, "env": ["PATH=/sbin:/usr/sbin:/bin:/usr/bin"]}]
    assert "10.9.8.7/24" in container.sh("ip addr show dev lo")


def test_arguments(container: Container, hooks: Hooks, directory: str) -> None:
    hooks.config["createRuntime"] = [
        {
            "path": "/bin/sh",
            "args": ["zero", "-c", f'printf "<%s>" "$0" "$@" > {directory}/out', "a b", "", "$x"],
        }
    ]
    container.run()
    with open(f"{directory}/out", encoding="utf-8") as file:
        assert file.read() == "<a b><><$x>"


def test_environment(container: Container, hooks: Hooks) -> None:
    for kind in ("createRuntime", "createContainer", "startContainer", "poststart"):
        hooks.add(kind, env=["A=1", "B=two words", "PATH=/bin:/usr/bin"])
    container.run(env={**os.environ, "LEAK": "yes"})
    for kind in ("createRuntime", "createContainer", "startContainer", "poststart"):
        shown = [
            line
            for line in hooks.environment(kind)
            if not line.startswith(("PWD=", "OLDPWD=", "SHLVL=", "_="))
        ]
        assert sorted(shown) == ["A=1", "B=two words", "PATH=/bin:/usr/bin"], kind


def test_no_environment_is_an_empty_one(container: Container, hooks: Hooks) -> None:
    hooks.add("createRuntime", env=[])
    container.run(env={**os.environ, "LEAK": "yes"})
    assert not [line for line in hooks.environment("createRuntime") if line.startswith("LEAK")]


def test_hooks_hold_no_descriptor_of_the_runtime(
    container: Container, hooks: Hooks, directory: str
) -> None:
    script = f"{directory}/fds"
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nls -l /proc/self/fd > {script}.out\n")
    os.chmod(script, 0o755)
    hooks.config["createRuntime"] = [{"path": script, "env": ["PATH=/bin:/usr/bin"]}]
    container.run()
    with open(f"{script}.out", encoding="utf-8") as file:
        numbers = [line.split(" -> ")[0].split()[-1] for line in file if " -> " in line]
    # ls itself has the directory open.
    assert set(numbers) <= {"0", "1", "2", "3"}


def test_much_state_for_a_hook_that_does_not_read_it(container: Container, hooks: Hooks) -> None:
    container.config["annotations"] = {f"key{n}": "x" * 1000 for n in range(200)}
    hooks.config["createRuntime"] = [{"path": "/bin/true"}]
    hooks.config["poststart"] = [{"path": "/bin/true"}]
    container.run()


def test_much_state_arrives_completely(container: Container, hooks: Hooks) -> None:
    annotations = {f"key{n}": "x" * 1000 for n in range(200)}
    container.config["annotations"] = annotations
    for kind in ("createRuntime", "createContainer", "startContainer"):
        hooks.add(kind)
    container.run()
    for kind in ("createRuntime", "createContainer", "startContainer"):
        assert hooks.state(kind)["annotations"].items() >= annotations.items(), kind


def test_hooks_need_not_the_bundle_any_longer(container: Container, hooks: Hooks) -> None:
    """runtime.md: config.json may change after create; start and delete use what was read."""
    hooks.add("poststart")
    hooks.add("poststop")
    container.create()
    pid = container.pid
    os.unlink(f"{container.bundle.path}/config.json")
    container.start()
    container.wait(pid)
    container.delete()
    assert hooks.order == ["poststart", "poststop"]


def test_hooks_of_a_container_in_a_user_namespace(container: Container, hooks: Hooks) -> None:
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    container.linux["uidMappings"] = container.linux["gidMappings"] = mapping
    # Root of the namespace cannot make the mountpoint in a directory of the host's root.
    os.makedirs(f"{container.bundle.rootfs}{hooks.directory}")
    for kind in ("createRuntime", "createContainer", "startContainer"):
        hooks.add(kind)
    call = container.run(check=False)
    assert call.status == 0, call
    assert set(hooks.order) == {"createRuntime", "createContainer", "startContainer"}


def test_delete_force_runs_poststop(container: Container, hooks: Hooks, runtime: Runtime) -> None:
    hooks.add("poststop")
    container.up()
    container.delete("--force")
    assert hooks.order == ["poststop"]
    runtime.call("delete", "--force", container.id)
    assert hooks.order == ["poststop"]
