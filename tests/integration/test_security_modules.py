"""AppArmor and SELinux, where the host has them; where not, a clear refusal."""

from __future__ import annotations

import os

import pytest

from tests.integration.containers import Container

runc_deviates = pytest.mark.runc_deviates


def has(module: str) -> bool:
    try:
        with open("/sys/kernel/security/lsm", encoding="utf-8") as file:
            return module in file.read().split(",")
    except FileNotFoundError:
        # securityfs is not mounted. Each module that is active has a label for this process.
        path = "/proc/self/attr/apparmor/current" if module == "apparmor" else "/sys/fs/selinux"
        return os.path.exists(path) and readable(path)


def readable(path: str) -> bool:
    try:
        if os.path.isdir(path):
            return bool(os.listdir(path))
        with open(path, encoding="utf-8") as file:
            return bool(file.read())
    except OSError:
        return False


@pytest.mark.skipif(has("apparmor"), reason="this host has AppArmor")
def test_apparmor_profile_without_apparmor(container: Container) -> None:
    container.process["apparmorProfile"] = "some-profile"
    container.is_rejected("/process/apparmorProfile", "apparmor")


@pytest.mark.skipif(has("selinux"), reason="this host has SELinux")
@pytest.mark.parametrize(
    "field",
    ["selinuxLabel", pytest.param("mountLabel", marks=runc_deviates("says nothing"))],
)
def test_selinux_labels_without_selinux(container: Container, field: str) -> None:
    label = "system_u:system_r:container_t:s0:c1,c2"
    part, name = (
        (container.process, "/process/selinuxLabel")
        if field == "selinuxLabel"
        else (container.linux, "/linux/mountLabel")
    )
    part[field] = label
    container.is_rejected(name, "selinux")


@pytest.mark.parametrize("field", ["apparmorProfile", "selinuxLabel"])
def test_an_empty_label_is_none(container: Container, field: str) -> None:
    container.process[field] = ""
    container.run()


def test_apparmor_unconfined(container: Container) -> None:
    """Engines write this where they want none."""
    container.process["apparmorProfile"] = "unconfined"
    call = container.run(check=False)
    assert call.status == 0 or not has("apparmor")
