"""`doctor` for a user without privileges, on hosts that were prepared for it more or less."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ocipy.observe.doctor import OK, WARN, Check
from ocipy.observe.doctor_rootless import id_helper_checks, session_check

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return where "/" is of a host on which the user 1000, alice, may map ids."""
    for directory in ("etc", "usr/bin"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n")
    for kind in ("uid", "gid"):
        (tmp_path / f"etc/sub{kind}").write_text("alice:100000:65536\n")
        program = tmp_path / f"usr/bin/new{kind}map"
        program.write_text("")
        program.chmod(0o4755)
    return tmp_path


def checks(root: Path) -> list[Check]:
    return list(id_helper_checks(1000, 1000, "/usr/bin", str(root)))


@pytest.mark.requires("root")
def test_all_is_well(root: Path) -> None:
    found = checks(root)
    assert [(check.name, check.verdict) for check in found] == [
        ("newuidmap", OK),
        ("newgidmap", OK),
    ]
    assert found[0].found == "installed, and gives alice 100000-165535"
    assert not found[0].remedy


@pytest.mark.requires("root")
def test_one_table_lacks_the_user(root: Path) -> None:
    (root / "etc/subgid").write_text("bob:100000:65536\n")
    uid, gid = checks(root)
    assert (uid.verdict, gid.verdict) == (OK, WARN)
    assert gid.found == "/etc/subgid has no entry for alice"
    assert "usermod --add-subgids" in gid.remedy
    assert gid.consequence == "without root a container has one gid only"


@pytest.mark.requires("root")
def test_a_helper_without_privileges(root: Path) -> None:
    os.chmod(root / "usr/bin/newuidmap", 0o755)
    uid, gid = checks(root)
    assert (uid.verdict, gid.verdict) == (WARN, OK)
    assert "neither setuid root nor has it cap_setuid" in uid.found


def test_a_helper_that_is_not_there(root: Path) -> None:
    (root / "usr/bin/newuidmap").unlink()
    uid = checks(root)[0]
    assert uid.found == "newuidmap is not installed"
    assert "apt install uidmap" in uid.remedy


def test_the_users_systemd(tmp_path: Path) -> None:
    nowhere = {"XDG_RUNTIME_DIR": str(tmp_path)}
    check = session_check(1 << 30, nowhere)
    assert check.verdict == WARN
    assert "loginctl enable-linger" in check.remedy
    (tmp_path / "bus").write_text("")
    check = session_check(1 << 30, nowhere)
    assert (check.verdict, check.found) == (OK, f"at unix:path={tmp_path}/bus")
