"""Claims of `features` against what a config may say: nothing is left out, nothing made up."""

from __future__ import annotations

from typing import Any

import pytest

from ocipy.commands.features import features
from ocipy.plan.mount_options import parse_mount_options
from ocipy.schema._generated_schema import CONFIG


def linux() -> dict[str, Any]:
    section: Any = features()["linux"]
    assert isinstance(section, dict)
    return section


def words(definition: str) -> set[str]:
    """Return the words that the schema allows."""
    return set(CONFIG["definitions"][definition]["enum"])


@pytest.mark.parametrize(
    ("section", "key", "definition"),
    [
        ("seccomp", "actions", "SeccompAction"),
        ("seccomp", "operators", "SeccompOperator"),
        ("seccomp", "knownFlags", "SeccompFlag"),
        ("memoryPolicy", "modes", "MemoryPolicyMode"),
        ("memoryPolicy", "flags", "MemoryPolicyFlag"),
    ],
)
def test_what_the_schema_allows_is_claimed(section: str, key: str, definition: str) -> None:
    assert set(linux()[section][key]) == words(definition)


def test_namespaces_and_hooks() -> None:
    assert set(linux()["namespaces"]) == words("NamespaceType")
    hooks: Any = features()["hooks"]
    assert set(hooks) == set(CONFIG["definitions"]["Hooks"]["properties"])


def test_architectures_are_known_words() -> None:
    assert set(linux()["seccomp"]["archs"]) <= words("SeccompArch")


def test_mount_options_leave_nothing_to_the_file_system() -> None:
    options: Any = features()["mountOptions"]
    assert parse_mount_options(options, "/mounts/0/options").data == []
    # Spec (config.md#linux-mount-options): those that MUST be supported.
    required = """async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime
        nodev nodiratime noexec noiversion nolazytime norelatime nostrictatime nosuid private
        rbind relatime remount ro rprivate rshared rslave runbindable rw shared silent slave
        strictatime suid sync unbindable"""
    assert set(required.split()) <= set(options)


def test_everything_is_implemented() -> None:
    section = linux()
    for name in ("seccomp", "apparmor", "selinux", "intelRdt", "netDevices"):
        assert section[name]["enabled"] is True, name
    assert section["intelRdt"] == {"enabled": True, "schemata": True, "monitoring": True}
    assert section["mountExtensions"]["idmap"]["enabled"] is True
    assert section["cgroup"]["v1"] is section["cgroup"]["v2"] is section["cgroup"]["rdma"] is True
