"""`linux.resources.devices`: the allow list, in v1's files and by its effect in both."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration import resource_files
from tests.integration.containers import Container

DENY_ALL = {"allow": False, "access": "rwm"}
TRY = (
    "mknod /tmp/full c 1 7 2>/dev/null && echo made;"
    "head -c 1 /dev/full > /dev/null 2>&1 && echo read;"
    "head -c 1 /dev/test > /dev/null 2>&1 && echo test-read;"
    "(echo > /dev/test) 2>/dev/null && echo test-written; echo end"
)


def tried(container: Container, *rules: dict[str, Any]) -> set[str]:
    """Return what could be done with /dev/full, and with /dev/test, which is fuse's number."""
    container.linux["devices"] = [
        {"path": "/dev/test", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666}
    ]
    container.linux["resources"] = {"devices": list(rules)}
    return set(container.sh(TRY, check=False).split()) - {"end"}


def rule(access: str, minor: int | None = 11, *, allow: bool = True) -> dict[str, Any]:
    made = {"allow": allow, "type": "c", "major": 1, "minor": minor, "access": access}
    return {key: value for key, value in made.items() if value is not None}


def test_deny_all_but_the_defaults(container: Container) -> None:
    """config-linux.md#allowed-device-list; the default devices always work, and mknod does."""
    done = tried(container, DENY_ALL)
    assert "read" in done
    assert not done & {"test-read", "test-written"}


@pytest.mark.parametrize(
    ("access", "expected"),
    [("r", {"test-read"}), ("w", {"test-written"}), ("rw", {"test-read", "test-written"})],
)
def test_access(container: Container, access: str, expected: set[str]) -> None:
    done = tried(container, DENY_ALL, rule(access)) & {"test-read", "test-written"}
    # /dev/kmsg (1:11) itself may refuse to be read where dmesg is restricted.
    assert done <= expected
    assert "test-written" in done or "w" not in access


def test_later_rules_win(container: Container) -> None:
    done = tried(container, DENY_ALL, rule("rw"), rule("rw", allow=False))
    assert not done & {"test-read", "test-written"}


def test_a_wildcard_minor(container: Container) -> None:
    assert "test-written" in tried(container, DENY_ALL, rule("rwm", None))


def test_allow_all(container: Container) -> None:
    assert "test-written" in tried(container, DENY_ALL, {"allow": True, "access": "rwm"})


@pytest.mark.parametrize(
    "access",
    ["x", pytest.param("rwx", marks=pytest.mark.runc_deviates("ignores the x")), "banana"],
)
def test_wrong_access(container: Container, access: str) -> None:
    container.linux["resources"] = {"devices": [DENY_ALL, rule(access)]}
    container.is_rejected("/linux/resources/devices/1")


@pytest.mark.requires("cgroup-v1")
def test_the_list_in_v1(container: Container) -> None:
    container.linux["resources"] = {"devices": [DENY_ALL, rule("r")]}
    container.create()
    lines = resource_files.read(container, "devices/devices.list").splitlines()
    assert "a *:* rwm" not in lines
    assert "c 1:11 r" in lines
    assert {"c 1:3 rwm", "c 1:5 rwm", "c 5:2 rwm", "c 136:* rwm"} <= set(lines)


def test_dockers_form_of_deny_all(container: Container) -> None:
    container.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    assert container.sh("echo x > /dev/null && head -c1 /dev/urandom | wc -c") == "1"
