"""An image or a volume with its own idea of /proc and /sys: ocipy must not write to it instead.

CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: a false /proc, a linked one.
CVE-2025-52881, CVE-2025-62596: sysctls and labels that are written to another file.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.attacks.verdict import against

if TYPE_CHECKING:
    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container


@pytest.fixture
def volume(container: Container, directory: str) -> str:
    """A volume at /v with a directory and a file that shall be taken for those of /proc."""
    path = f"{directory}/volume"
    os.makedirs(f"{path}/fake")
    for name in ("fake/exec", "fake/current", "file"):
        with open(f"{path}/{name}", "w", encoding="utf-8") as file:
            file.write("false")
    container.bundle.add_mount("/v", "bind", path, "rbind")
    return path


@against("proc-through-a-link")
@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_link_in_its_place(container: Container, attack: Attack, name: str, verb: str) -> None:
    """What is masked and made read-only below it could be uncovered by renaming the link."""
    shutil.rmtree(f"{container.bundle.rootfs}/{name}")
    os.symlink("/tmp", f"{container.bundle.rootfs}/{name}")
    container.args("/bin/true")
    call = container.run(check=False) if verb == "run" else container.create(check=False)
    attack.succeeded(call.status == 0, call)


@against("proc-may-be-covered")
@pytest.mark.parametrize("name", ["proc", "proc/sys", "proc/self/attr", "proc/1/attr"])
@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_mount_over_it(
    container: Container, volume: str, attack: Attack, name: str, verb: str
) -> None:
    container.bundle.add_mount(f"/{name}", "bind", f"{volume}/fake", "bind")
    container.script(f"cat /{name}/exec")
    call = container.run(check=False) if verb == "run" else container.create(check=False)
    attack.succeeded(call.status == 0 and (verb == "create" or call.out == "false"), call)


@against("proc-may-be-covered")
@pytest.mark.parametrize("target", ["sys/kernel", "self/attr", "thread-self/attr"])
def test_a_mount_over_it_through_a_link(
    container: Container, volume: str, attack: Attack, target: str
) -> None:
    os.symlink(f"/proc/{target}", f"{volume}/link")
    container.bundle.add_mount("/v/link", "bind", f"{volume}/fake", "bind")
    container.args("/bin/true")
    call = container.run(check=False)
    attack.succeeded(call.status == 0, call)


def ask_for_sysctl(container: Container, volume: str) -> None:
    os.symlink("/proc/sys/kernel/domainname", f"{volume}/link")
    container.bundle.add_mount("/v/link", "bind", f"{volume}/file", "bind")
    container.linux["sysctl"] = {"kernel.domainname": "of.the.config"}
    container.args("/bin/true")


def content(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


@against("sysctls-through-the-containers-proc")
@pytest.mark.parametrize("verb", ["run", "create"])
def test_sysctls(container: Container, volume: str, attack: Attack, verb: str) -> None:
    """What is written reaches a file of the volume: it could as well be the host's core_pattern."""
    ask_for_sysctl(container, volume)
    call = container.run(check=False) if verb == "run" else container.create(check=False)
    attack.succeeded("of.the.config" in content(f"{volume}/file"), call)


@pytest.mark.parametrize("build_name", ["proc-may-be-covered"], indirect=True)
def test_sysctls_have_a_second_defence(container: Container, volume: str) -> None:
    """Where the file is covered in the container, it is still that of the host's /proc."""
    ask_for_sysctl(container, volume)
    container.run()
    assert content(f"{volume}/file") == "false"


@pytest.mark.parametrize(
    "build_name",
    ["pretends-to-have-selinux", "labels-through-the-containers-proc"],
    indirect=True,
)
def test_labels(container: Container, volume: str, attack: Attack, build_name: str) -> None:
    """A label that goes to another file leaves the program unconfined. Both builds believe that
    this host has SELinux; the first has all defences, and fails, as the kernel knows no labels."""
    attack.is_weakened = build_name.startswith("labels")
    os.symlink("/proc/thread-self/attr", f"{volume}/link")
    container.bundle.add_mount("/v/link", "bind", f"{volume}/fake", "bind")
    container.process["selinuxLabel"] = "system_u:system_r:container_t:s0"
    container.args("/bin/true")
    call = container.run(check=False)
    attack.succeeded(call.status == 0 or "container_t" in content(f"{volume}/fake/exec"), call)
