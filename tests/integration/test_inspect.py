"""`inspect`: what is in force is what was asked for, and what is not is found."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.containers import wait_until
from tests.integration.resource_files import PURE_V2

if TYPE_CHECKING:
    from tests.integration.containers import Container, Runtime

pytestmark = pytest.mark.runc_deviates("has no such command", run=False)

MIB = 1 << 20


def inspect(container: Container, *options: str, status: int = 0) -> dict[str, Any]:
    call = container.runtime.call("inspect", *options, container.id)
    assert call.status == status, call
    value: dict[str, Any] = json.loads(call.out)
    return value


def demanding(container: Container) -> Container:
    container.linux["resources"] = {
        "memory": {"limit": 128 * MIB},
        "pids": {"limit": 50},
        "cpu": {"shares": 512, "quota": 50000, "period": 100000},
    }
    container.linux["maskedPaths"] = ["/proc/timer_list", "/proc/not-there"]
    container.linux["readonlyPaths"] = ["/proc/sys"]
    container.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
    container.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    container.process["oomScoreAdj"] = 100
    container.config["root"]["readonly"] = True
    return container


def test_what_is_in_force(container: Container) -> None:
    pid = demanding(container).up()
    found = inspect(container)
    assert (found["id"], found["status"]) == (container.id, "running")
    process = found["process"]
    assert process["pid"] == pid
    assert process["args"] == ["sleep", "1000"]
    namespaces = {kind: value["of"] for kind, value in process["namespaces"].items()}
    assert namespaces["pid"] == namespaces["mount"] == "own"
    assert namespaces["user"] == "host"
    inode = os.stat(f"/proc/{pid}/ns/pid").st_ino
    assert process["namespaces"]["pid"]["inode"] == inode
    assert "CAP_CHOWN" in process["capabilities"]["bounding"]
    assert "CAP_SYS_ADMIN" not in process["capabilities"]["bounding"]
    assert process["noNewPrivileges"] is True
    assert process["seccomp"]["mode"] == "filter"
    assert process["rlimits"]["RLIMIT_NOFILE"] == {"soft": 100, "hard": 200}
    assert process["oomScoreAdj"] == 100
    null = next(device for device in process["devices"] if device["path"] == "/dev/null")
    assert (null["type"], null["major"], null["minor"]) == ("c", 1, 3)
    limits = process["cgroup"]["limits"]
    assert limits["memory.max" if PURE_V2 else "memory.limit_in_bytes"] == str(128 * MIB)
    assert limits["pids.max"] == "50"
    assert process["cgroup"]["usage"]["pids"]["current"] == 1
    assert any(mount["destination"] == "/proc" for mount in process["mounts"])


def test_nothing_has_drifted(container: Container) -> None:
    demanding(container).up()
    assert inspect(container, "--verify")["drift"] == []


def test_mounts_are_looked_for_where_they_are(container: Container) -> None:
    """Links in the image lead to some; of cgroup v1, "ro" is a matter of each hierarchy."""
    demanding(container)
    os.mkdir(f"{container.bundle.rootfs}/var/lib")
    os.symlink("../run", f"{container.bundle.rootfs}/var/run")
    container.bundle.add_mount("/var/run/secrets", "tmpfs", "tmpfs", "ro")
    container.linux["maskedPaths"] = ["/var/run/secrets"]
    container.linux["readonlyPaths"] = ["/var/run/../lib"]
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid")
    container.up()
    assert inspect(container, "--verify")["drift"] == []


def test_drift_is_found(container: Container) -> None:
    demanding(container).up()
    container.verb("update", "--pids-limit", "77")
    with open(f"/proc/{container.pid}/oom_score_adj", "w", encoding="utf-8") as file:
        file.write("500")
    found = inspect(container, "--verify", status=10)["drift"]
    drift = {entry["pointer"]: entry for entry in found}
    assert set(drift) == {"/linux/resources/pids/limit", "/process/oomScoreAdj"}
    assert drift["/linux/resources/pids/limit"]["found"] == "77"
    assert drift["/process/oomScoreAdj"] == {
        "pointer": "/process/oomScoreAdj", "asked": "100", "found": "500",
    }  # fmt: skip
    call = container.runtime.call("inspect", "--verify", "--format", "text", container.id)
    call.failed("", status=10)
    assert "2 differences from config.json" in call.out


def test_text_and_host(container: Container) -> None:
    container.up()
    out = container.verb("inspect", "--format=text").out
    assert f"{container.id}: running, process {container.pid}, sleep 1000" in out
    assert "noNewPrivileges: yes" in out
    assert "/dev/null c 1:3" in out
    out = container.verb("inspect", "--host", "--format=text").out
    assert "pid namespace" in out
    host = inspect(container, "--host")["host"]
    assert host["namespaces"]["pid"]["of"] == "host"


def test_sockets(container: Container) -> None:
    container.up("nc -l -p 4567 & echo up; exec sleep 1000")

    def listens() -> bool:
        sockets = inspect(container)["process"]["sockets"]
        return any(socket["address"].endswith(":4567") for socket in sockets)

    wait_until(listens, "the listener")


def test_hostile_names(container: Container) -> None:
    """Names of the image and arguments of the process do not drive the terminal."""
    container.bundle.add_script("bin/evil", "echo up; exec sleep 1000")
    container.args("/bin/sh", "/bin/evil", "\x1b]0;pwned\x07", "\u202etxt").create()
    container.start()
    wait_until(lambda: "up" in container.created.out, "the script")
    call = container.runtime.call("inspect", "--format", "text", container.id).succeeded()
    assert "\x1b" not in call.out
    assert "\x07" not in call.out
    container.runtime.call("inspect", container.id).succeeded()


def test_hostile_socket_names(container: Container, runtime: Runtime) -> None:
    """A Unix socket whose name imitates further lines of /proc/PID/net/unix."""
    python = "/usr/bin/python3"
    if not os.path.exists(python):
        pytest.skip(f"no {python} to bind such a socket with")
    for path in ("usr", "lib", "lib64"):
        if os.path.isdir(f"/{path}"):
            os.makedirs(f"{container.bundle.rootfs}/{path}", exist_ok=True)
            container.bundle.add_mount(f"/{path}", "bind", f"/{path}", "rbind", "ro")
    code = (
        "import socket, time\n"
        "s = socket.socket(socket.AF_UNIX); s.bind('/tmp/a\\nx x x zz x x x y'); s.listen()\n"
        "print('up', flush=True); time.sleep(1000)"
    )
    container.args(python, "-I", "-S", "-c", code).create()
    container.start()
    wait_until(lambda: "up" in container.created.out, "the socket", 120)
    sockets = inspect(container)["process"]["sockets"]
    assert {"type": "unix", "address": "/tmp/a"} in sockets


def test_a_dead_container_and_none(container: Container, runtime: Runtime, tag: str) -> None:
    runtime.call("inspect", tag).failed("does not exist")
    container.wait(container.up("echo up"))
    assert inspect(container) == {"id": container.id, "status": "stopped"}
    container.verb("inspect", "--verify", check=False).failed("no process to verify")


def test_audit_of_a_container(container: Container, runtime: Runtime, tag: str) -> None:
    """Running or dead, by the config that it was made with, whatever its bundle says by now."""
    container.linux["namespaces"] = [{"type": "mount"}, {"type": "uts"}]
    container.create()
    container.config["linux"]["namespaces"] = [{"type": "pid"}]
    container.bundle.write()
    call = runtime.call("audit", "--format", "json", container.id).failed("", status=20)
    rules = {finding["rule"] for finding in json.loads(call.out)["findings"]}
    assert "host-pid-namespace" in rules
    container.kill_and_wait()
    assert json.loads(runtime.call("audit", "--format=json", container.id).out)["findings"]
    runtime.call("audit", tag).failed("does not exist")
