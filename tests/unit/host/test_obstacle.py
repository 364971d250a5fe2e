"""What is in a user's way, on hosts made of a few files."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

from ocipy.host.obstacle import (
    delegation_obstacle,
    id_map_obstacle,
    names_of_user,
    subordinate_ids,
    user_namespace_obstacle,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SYSCTL = "proc/sys/kernel/{}"


@pytest.fixture
def root() -> Iterator[str]:
    path = tempfile.mkdtemp(prefix="ocipy-")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def write(root: str) -> Callable[..., str]:
    def write(path: str, text: str = "", mode: int = 0o644) -> str:
        os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
        with open(f"{root}/{path}", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(f"{root}/{path}", mode)
        return f"{root}/{path}"

    return write


def test_a_kernel_without_user_namespaces(root: str) -> None:
    assert "CONFIG_USER_NS" in str(user_namespace_obstacle(root))


@pytest.mark.parametrize(
    ("sysctl", "bad", "good", "text"),
    [
        ("user/max_user_namespaces", "0", "15000", "user.max_user_namespaces is 0"),
        ("kernel/unprivileged_userns_clone", "0", "1", "kernel.unprivileged_userns_clone is 0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0", "AppArmor restricts"),
    ],
)
def test_sysctls(
    root: str, write: Callable[..., str], sysctl: str, bad: str, good: str, text: str
) -> None:
    write("proc/self/ns/user")
    assert user_namespace_obstacle(root) is None
    write(f"proc/sys/{sysctl}", f"{good}\n")
    assert user_namespace_obstacle(root) is None
    write(f"proc/sys/{sysctl}", f"{bad}\n")
    found = user_namespace_obstacle(root)
    assert found is not None
    assert text in found.problem
    assert "sysctl -w" in found.remedy


def problem(root: str, *lines: str) -> str:
    found = id_map_obstacle(
        "uid", lines, names=["maps", "1000"], own_id=1000, path="/usr/bin", root=root
    )
    return found.problem if found else ""


def test_id_maps(root: str, write: Callable[..., str]) -> None:
    lines = "0 1000 1", "1 100000 65536"
    assert "newuidmap is not installed" in problem(root, *lines)
    write("usr/bin/newuidmap", mode=0o755)
    assert "neither setuid root nor has it cap_setuid" in problem(root, *lines)
    if os.geteuid() != 0:
        return
    write("usr/bin/newuidmap", mode=0o4755)
    if os.statvfs(root).f_flag & os.ST_NOSUID:
        assert "nosuid" in problem(root, *lines)
        return
    assert "has no entry for maps" in problem(root, *lines)
    assert problem(root, "0 1000 1") == "", "one's own id needs none"
    write("etc/subuid", "# none\nother:100000:65536\nmaps:200000:65536\n1000:300000:5\n")
    assert "gives maps 200000-265535, 300000-300004, not 100000-165535" in problem(root, *lines)
    write("etc/subuid", "maps:100000:65536\n")
    assert problem(root, *lines) == ""
    assert "not 100000-165536" in problem(root, "0 100000 65537")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file capabilities")
def test_a_helper_with_file_capabilities(root: str, write: Callable[..., str]) -> None:
    helper = write("usr/bin/newuidmap", mode=0o755)
    write("etc/subuid", "maps:100000:65536\n")
    cap_setuid, revision, effective = 7, 0x02000000, 1
    data = [revision | effective, 1 << cap_setuid, 0, 0, 0]
    try:
        os.setxattr(helper, "security.capability", b"".join(n.to_bytes(4, "little") for n in data))
    except OSError as error:
        pytest.skip(f"no file capabilities on {root}: {error}")
    if not os.statvfs(root).f_flag & os.ST_NOSUID:
        assert problem(root, "0 100000 10") == ""


def test_subordinate_ids(root: str, write: Callable[..., str]) -> None:
    path = write("subuid", "a:1:2\nb:3:4\na:5:6\na:x:7\na\n\n")
    assert subordinate_ids(path, ["a", "7"]) == [(1, 2), (5, 6)]
    assert subordinate_ids(f"{root}/none", ["a"]) == []


def test_names(root: str, write: Callable[..., str]) -> None:
    write("etc/passwd", "root:x:0:0::/:\nmaps:x:1000:1000::/:\n")
    assert names_of_user(1000, root) == ["maps", "1000"]
    assert names_of_user(4294967, root) == ["4294967"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes directories that it may not write")
def test_delegation(root: str, write: Callable[..., str]) -> None:
    write("slice/cgroup.controllers", "cpu memory pids\n")
    own = f"{root}/slice/own"
    assert delegation_obstacle(own) is None
    assert delegation_obstacle(own, ["memory"]) is None
    found = delegation_obstacle(own, ["memory", "io", "cpuset"])
    assert found is not None
    assert "io, cpuset are not delegated" in found.problem
    assert "Delegate=" in found.remedy
    missing = delegation_obstacle(f"{root}/none/own", uid=1000)
    assert missing is not None
    assert "is not delegated to you" in missing.problem
    assert "chown 1000" in missing.remedy
