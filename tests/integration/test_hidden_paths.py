"""Masked and read-only paths, and kernel parameters; config-linux.md."""

from __future__ import annotations

import os

import pytest

from tests.bundles import with_namespace, without_namespace
from tests.integration import mountinfo
from tests.integration.containers import Container

runc_deviates = pytest.mark.runc_deviates

DOCKER_MASKED = """/proc/asound /proc/acpi /proc/kcore /proc/keys /proc/latency_stats
/proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware"""
DOCKER_READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"


def test_masked_files_and_directories(container: Container) -> None:
    container.bundle.add_file("secret/file", "secret\n")
    container.bundle.add_file("etc/key", "secret\n")
    container.linux["maskedPaths"] = ["/secret", "/etc/key", "/proc/keys", "/nonexistent"]
    out = container.sh(
        "ls -A /secret; cat /etc/key /proc/keys; stat -c %F /secret /etc/key;"
        "touch /secret/new || echo denied; cat /secret/file || echo gone"
    )
    assert out.splitlines() == ["directory", "character special file", "denied", "gone"]
    assert not os.path.exists(f"{container.bundle.rootfs}/nonexistent")


def test_dockers_lists(container: Container) -> None:
    container.linux["maskedPaths"] = DOCKER_MASKED.split()
    container.linux["readonlyPaths"] = DOCKER_READONLY.split()
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    for path in DOCKER_MASKED.split():
        if os.path.exists(path):
            assert path in mounts, path
            assert "ro" in mounts[path].options or mounts[path].root == "/null"
    for path in filter(os.path.exists, DOCKER_READONLY.split()):
        assert "ro" in mounts[path].options, path
        assert {"nosuid", "nodev", "noexec"} <= mounts[path].options, path


def test_readonly_paths(container: Container) -> None:
    container.bundle.add_file("data/sub/file", "data\n")
    container.bundle.add_file("etc/fixed", "fixed\n")
    container.linux["readonlyPaths"] = ["/data", "/etc/fixed", "/nonexistent", "/proc/sys"]
    out = container.sh(
        "touch /data/sub/x || echo ro; echo x > /etc/fixed || echo ro; cat /data/sub/file;"
        "hostname changed || true; echo x > /proc/sys/kernel/hostname || echo ro"
    )
    assert out.split() == ["ro", "ro", "data", "ro"]


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
@runc_deviates("accepts relative paths")
def test_relative_paths(container: Container, field: str) -> None:
    container.linux[field] = ["/proc/keys", "etc/passwd"]
    container.is_rejected(f"/linux/{field}/1")


def test_a_mask_covers_what_a_mount_brought(container: Container, directory: str) -> None:
    os.mkdir(f"{directory}/volume")
    with open(f"{directory}/volume/secret", "w", encoding="utf-8") as file:
        file.write("secret\n")
    container.bundle.add_mount("/m", "bind", f"{directory}/volume", "bind")
    container.linux["maskedPaths"] = ["/m/secret"]
    assert container.sh("cat /m/secret; echo end") == "end"


@pytest.mark.parametrize("leads_to", ["/etc/passwd", "../../../../../../etc/hostname"])
def test_a_mask_on_a_link_stays_inside(container: Container, leads_to: str) -> None:
    os.symlink(leads_to, f"{container.bundle.rootfs}/link")
    container.linux["maskedPaths"] = ["/link"]
    container.run(check=False)
    with open("/etc/passwd", encoding="utf-8") as file:
        assert file.read().startswith("root:")


def test_the_containers_dev_null_is_not_trusted(container: Container) -> None:
    """CVE-2025-31133: a link in its place must not become what masks the path."""
    container.config["mounts"] = [
        entry for entry in container.config["mounts"] if not entry["destination"].startswith("/dev")
    ]
    os.symlink("/proc/sysrq-trigger", f"{container.bundle.rootfs}/dev/null")
    container.linux["maskedPaths"] = ["/proc/keys"]
    call = container.script("stat -c '%F %t:%T' /proc/keys").run(check=False)
    assert call.status != 0 or call.out == "character special file 1:3\n"


def test_masks_in_a_user_namespace(container: Container) -> None:
    with_namespace(container.config, "user")
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    container.linux["uidMappings"] = container.linux["gidMappings"] = mapping
    container.linux["maskedPaths"] = ["/proc/keys", "/sys/firmware"]
    container.linux["readonlyPaths"] = ["/proc/sys"]
    out = container.sh("cat /proc/keys; ls -A /sys/firmware; touch /proc/sys/x || echo ro")
    assert out == "ro"


def test_sysctl(container: Container) -> None:
    container.linux["sysctl"] = {
        "net.ipv4.ip_forward": "1",
        "net/ipv4/ip_default_ttl": "77",
        "kernel.shmmax": "123456",
        "kernel.msgmax": "4321",
        "fs.mqueue.msg_max": "11",
    }
    out = container.sh(
        "cd /proc/sys; cat net/ipv4/ip_forward net/ipv4/ip_default_ttl kernel/shmmax kernel/msgmax"
        " fs/mqueue/msg_max"
    )
    assert out.split() == ["1", "77", "123456", "4321", "11"]


def test_sysctl_although_proc_sys_is_readonly(container: Container) -> None:
    container.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    container.linux["readonlyPaths"] = ["/proc/sys"]
    assert container.sh("cat /proc/sys/net/ipv4/ip_forward") == "1"


def test_sysctl_of_an_interface_with_a_dot(container: Container) -> None:
    container.linux["sysctl"] = {"net/ipv4/conf/lo/forwarding": "0"}
    assert container.sh("cat /proc/sys/net/ipv4/conf/lo/forwarding") == "0"


@pytest.mark.parametrize(
    "name", ["kernel.core_pattern", "vm.swappiness", "fs.file-max", "kernel.pid_max", "nosuch"]
)
def test_sysctls_of_the_host_are_refused(container: Container, name: str) -> None:
    container.linux["sysctl"] = {name: "1"}
    container.is_rejected("/linux/sysctl", name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("net.ipv4.ip_forward", "network"), ("kernel.shmmax", "ipc"), ("fs.mqueue.msg_max", "ipc")],
)
def test_sysctls_need_their_namespace(container: Container, name: str, kind: str) -> None:
    path = f"/proc/sys/{name.replace('.', '/')}"
    with open(path, encoding="utf-8") as file:
        before = file.read()
    without_namespace(container.config, kind)
    container.config["mounts"] = [
        entry for entry in container.config["mounts"] if entry["type"] not in ("mqueue", "sysfs")
    ]
    container.linux["sysctl"] = {name: before.strip()}
    container.is_rejected("/linux/sysctl", name)


def test_a_sysctl_that_does_not_exist(container: Container) -> None:
    container.linux["sysctl"] = {"net.ipv4.nosuch_thing": "1"}
    container.is_rejected("/linux/sysctl", "nosuch_thing")


def test_a_value_that_the_kernel_refuses(container: Container) -> None:
    container.linux["sysctl"] = {"net.ipv4.ip_default_ttl": "banana"}
    container.is_rejected("/linux/sysctl", "invalid argument")
