"""`features`: of the right form, and true."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.schema.schemas import OFFICIAL, SPEC, validator

if TYPE_CHECKING:
    from tests.integration.containers import Container


@pytest.fixture(scope="module")
def features(runtime_program: str) -> dict[str, Any]:
    done = subprocess.run([runtime_program, "features"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_it_has_the_form_of_our_schema(features: dict[str, Any]) -> None:
    validator(SPEC, "features.json#").validate(features)


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official schemas are not here")
def test_it_has_the_form_of_the_official_schema(features: dict[str, Any]) -> None:
    validator(OFFICIAL, "features-schema.json#").validate(features)


@pytest.mark.runc_deviates("1.1 is for an older specification")
def test_versions(features: dict[str, Any]) -> None:
    assert (features["ociVersionMin"], features["ociVersionMax"]) == ("1.0.0", "1.3.0")


@pytest.mark.parametrize("which", ["ociVersionMin", "ociVersionMax"])
def test_both_versions_are_accepted(
    features: dict[str, Any], container: Container, which: str
) -> None:
    """Spec (features.md#specification-version): the runtime MUST accept them as ociVersion."""
    container.config["ociVersion"] = features[which]
    call = container.run()
    assert "ociVersion" not in call.err


@pytest.mark.runc_deviates("1.1 has fewer sections")
def test_every_section_is_there(features: dict[str, Any]) -> None:
    linux = features["linux"]
    assert set(features) == {
        "ociVersionMin",
        "ociVersionMax",
        "hooks",
        "mountOptions",
        "linux",
        "annotations",
        "potentiallyUnsafeConfigAnnotations",
    }
    assert set(linux) == {
        "namespaces",
        "capabilities",
        "cgroup",
        "seccomp",
        "apparmor",
        "selinux",
        "memoryPolicy",
        "intelRdt",
        "mountExtensions",
        "netDevices",
    }


def test_each_namespace_can_be_asked_for(features: dict[str, Any], container: Container) -> None:
    kinds = set(features["linux"]["namespaces"])
    assert kinds >= {"cgroup", "ipc", "mount", "network", "pid", "user", "uts"}
    container.linux["namespaces"] = [{"type": kind} for kind in sorted(kinds - {"user"})]
    if not os.path.exists("/proc/self/ns/time"):
        container.linux["namespaces"].remove({"type": "time"})
    container.run()


@pytest.mark.runc_deviates("1.1 passes `defaults` to tmpfs")
def test_each_mount_option_is_recognized(features: dict[str, Any], container: Container) -> None:
    """An option that is not is passed to the file system, which then refuses it."""
    options = features["mountOptions"]
    odd = {"bind", "rbind", "remount", "idmap", "ridmap", "mand", "iversion"}
    for propagation in ("", "r"):
        odd |= {propagation + kind for kind in ("shared", "slave", "private", "unbindable")}
    container.config["mounts"].append(
        {
            "destination": "/mnt",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": [option for option in options if option not in odd],
        }
    )
    container.run()


@pytest.mark.runc_deviates("1.1 knows no RISC-V")
def test_each_seccomp_architecture_is_recognized(
    features: dict[str, Any], container: Container
) -> None:
    for name in ("SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_RISCV64"):
        assert name in features["linux"]["seccomp"]["archs"]
    words = ("X86", "X86_64", "X32", "ARM", "AARCH64", "MIPSEL", "MIPSEL64", "PPC64LE", "RISCV64")
    container.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [f"SCMP_ARCH_{name}" for name in words],
    }
    container.run()


@pytest.mark.runc_deviates("1.1 has no flags")
def test_each_supported_seccomp_flag_is_accepted(
    features: dict[str, Any], container: Container
) -> None:
    seccomp = features["linux"]["seccomp"]
    assert set(seccomp["supportedFlags"]) <= set(seccomp["knownFlags"])
    container.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "flags": seccomp["supportedFlags"],
    }
    container.run()


def test_annotations_are_strings(features: dict[str, Any]) -> None:
    """Spec (features.md#annotations): as the annotations of config.json."""
    assert all(key and isinstance(value, str) for key, value in features["annotations"].items())
