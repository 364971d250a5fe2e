"""Files of the image that shall give privileges: file capabilities, set-user-ID, device nodes.

CVE-2022-29162, CVE-2022-27650, CVE-2025-27612 (inheritable capabilities), GHSA-g54h-m393-cpwq (a
list of devices taken for a list of exceptions), CVE-2026-41579 (/dev is a link).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.attacks.tracer import tracer  # noqa: F401
from tests.attacks.verdict import against

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Call, Container

CAP_NET_RAW, CAP_SYS_ADMIN = 13, 21
USER = 1000


@pytest.fixture
def marked(container: Container, tracer: Path) -> Callable[..., Call]:  # noqa: F811
    """Return a function that runs, as a user, a program of the image with a file capability."""
    container.process["capabilities"] = {
        name: ["CAP_CHOWN", "CAP_NET_RAW"] for name in ("bounding", "effective", "permitted")
    }
    container.process["user"] = {"uid": USER, "gid": USER}
    container.process["noNewPrivileges"] = False
    program = f"{container.bundle.rootfs}/marked/grep"
    os.mkdir(os.path.dirname(program))
    shutil.copy("/bin/busybox", program)

    def run(verb: str, kind: str, capability: int) -> Call:
        subprocess.run([tracer, "mark", program, str(capability), kind], check=True)
        words = ["/marked/grep", "CapPrm", "/proc/self/status"]
        if verb == "run":
            return container.args(*words).run(check=False)
        container.up()
        return container.exec(*words, check=False)

    return run


def has(call: Call, capability: int) -> bool:
    found = re.search(r"CapPrm:\s*(\w+)", call.out)
    return bool(found and int(found[1], 16) >> capability & 1)


@against("bounding-set-kept")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_capability_outside_of_the_bounding_set(
    marked: Callable[..., Call], attack: Attack, verb: str
) -> None:
    call = marked(verb, "permitted", CAP_SYS_ADMIN)
    attack.succeeded(has(call, CAP_SYS_ADMIN), call)


@against("new-privileges")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_capability_without_new_privileges(
    container: Container, marked: Callable[..., Call], attack: Attack, verb: str
) -> None:
    container.process["noNewPrivileges"] = True
    container.process["capabilities"]["permitted"] = ["CAP_CHOWN"]
    container.process["capabilities"]["effective"] = ["CAP_CHOWN"]
    call = marked(verb, "permitted", CAP_NET_RAW)
    attack.succeeded(has(call, CAP_NET_RAW), call)


@against("inheritable")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_an_inheritable_capability(marked: Callable[..., Call], attack: Attack, verb: str) -> None:
    call = marked(verb, "inheritable", CAP_NET_RAW)
    attack.succeeded(has(call, CAP_NET_RAW), call)


@against("new-privileges")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_set_user_id_program(
    container: Container,
    tracer: Path,  # noqa: F811
    attack: Attack,
    verb: str,
) -> None:
    container.process["noNewPrivileges"] = True
    container.process["user"] = {"uid": USER, "gid": USER}
    program = f"{container.bundle.rootfs}/bin/of-root"
    shutil.copy(tracer, program)
    os.chmod(program, 0o4755)
    words = ["/bin/of-root", "whoami"]
    if verb == "run":
        call = container.args(*words).run(check=False)
    else:
        container.up()
        call = container.exec(*words, check=False)
    attack.succeeded(call.out == "0\n", call)


# -- devices


@pytest.mark.requires("cgroup-v1")
@against("devices-allowed")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_device_that_nobody_has_allowed(container: Container, attack: Attack, verb: str) -> None:
    """/dev/kmsg stands for the disks of the host: a node of the image, and one made by mknod."""
    os.mknod(f"{container.bundle.rootfs}/log", 0o20666, os.makedev(1, 11))
    container.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    script = "mknod /log2 c 1 11; for log in /log /log2; do (echo >$log) && echo written; done"
    if verb == "run":
        call = container.script(script).run(check=False)
    else:
        container.up()
        call = container.exec("/bin/sh", "-c", script, check=False)
    attack.succeeded("written" in call.out, call)


@pytest.fixture
def outside(directory: str) -> str:
    path = f"{directory}/outside"
    os.mkdir(path)
    with open(f"{path}/secret", "w", encoding="utf-8") as file:
        file.write("secret of the host")
    os.chmod(f"{path}/secret", 0o600)
    return path


def without_dev_mounts(container: Container) -> None:
    mounts = container.config["mounts"]
    container.config["mounts"] = [m for m in mounts if not m["destination"].startswith("/dev")]


@against("device-of-the-image")
@pytest.mark.parametrize("kind", ["hard link", "other device", "fifo"])
@pytest.mark.parametrize("verb", ["run", "create"])
def test_another_file_in_the_place_of_a_device(
    container: Container, outside: str, attack: Attack, kind: str, verb: str
) -> None:
    """A hard link to a file of the host's would get its mode and owner."""
    without_dev_mounts(container)
    path = f"{container.bundle.rootfs}/dev/device"
    if kind == "hard link":
        os.link(f"{outside}/secret", path)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.mknod(path, 0o20600, os.makedev(1, 11))
    container.linux["devices"] = [
        {"path": "/dev/device", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}
    ]
    container.args("/bin/true")
    call = container.run(check=False) if verb == "run" else container.create(check=False)
    changed = os.stat(f"{outside}/secret").st_mode & 0o777 != 0o600
    attack.succeeded(call.status == 0 or changed, call)


@against("dev-may-be-a-link")
@pytest.mark.parametrize("verb", ["run", "create"])
def test_dev_is_a_link(container: Container, outside: str, attack: Attack, verb: str) -> None:
    without_dev_mounts(container)
    shutil.rmtree(f"{container.bundle.rootfs}/dev")
    os.symlink(outside, f"{container.bundle.rootfs}/dev")
    container.args("/bin/true")
    call = container.run(check=False) if verb == "run" else container.create(check=False)
    attack.succeeded(os.listdir(outside) != ["secret"], (call, os.listdir(outside)))
