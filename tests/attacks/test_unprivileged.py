"""A user without privileges makes containers: they must not give what the user has not.

CVE-2014-8989 (a group that denies access is dropped), CVE-2023-25809 (the user's other cgroups).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.tracer import tracer  # noqa: F401
from tests.attacks.verdict import against
from tests.integration.leftovers import remove
from tests.integration.test_rootless import AS_USER, USER, call  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.attacks.verdict import Attack
    from tests.integration.containers import Call, Container

pytestmark = pytest.mark.requires("user-namespaces")

GROUP = USER + 1


@pytest.fixture
def denied(directory: str) -> str:
    """A file that all may read but the members of a group."""
    path = f"{directory}/denied"
    with open(path, "w", encoding="utf-8") as file:
        file.write("not for this group")
    os.chown(path, 0, GROUP)
    os.chmod(path, 0o604)
    return path


# A newgidmap(1) that writes what it is told to, without a word about setgroups (CVE-2018-7169).
CARELESS = """
#include <stdio.h>
int main(int argc, char **argv)
{
	char path[100];
	FILE *map;

	snprintf(path, sizeof(path), "/proc/%s/gid_map", argv[1]);
	map = fopen(path, "w");
	return !map || fprintf(map, "%s %s %s\\n", argv[2], argv[3], argv[4]) < 0 || fclose(map);
}
"""


@pytest.fixture
def careless_helper(directory: str) -> str:
    """Return a PATH on which newgidmap is careless, and runs as root."""
    path = f"{directory}/careless"
    os.mkdir(path)
    with open(f"{path}/newgidmap.c", "w", encoding="utf-8") as file:
        file.write(CARELESS)
    command = ["gcc", "-w", f"{path}/newgidmap.c", "-o", f"{path}/newgidmap"]
    subprocess.run(command, check=True)
    os.chmod(f"{path}/newgidmap", 0o4755)
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        pytest.skip(f"{path} is mounted nosuid: no helper can become root there")
    return f"{path}:{os.environ['PATH']}"


@against("setgroups-not-denied")
def test_a_group_that_denies(
    container: Container,
    call: Callable[..., Call],  # noqa: F811
    tracer: Path,  # noqa: F811
    denied: str,
    attack: Attack,
    careless_helper: str,
) -> None:
    """Without the denial the kernel refuses the map to the user, and the helper is asked for it."""
    os.link(tracer, f"{container.bundle.rootfs}/bin/tracer")
    container.bundle.add_mount("/denied", "bind", denied, "bind")
    container.args("/bin/tracer", "regroup", "/denied")
    container.bundle.write()
    environment = os.environ | {"PATH": careless_helper}
    run = call("run", "--bundle", container.bundle.path, container.id, env=environment)
    run.succeeded()
    assert attack.is_weakened or "setgroups: Operation not permitted" in run.out
    attack.succeeded("not for this group" in run.out, run)


def test_the_same_where_setgroups_is_allowed(tracer: Path, denied: str, directory: str) -> None:  # noqa: F811
    """The attack itself works: in a user namespace whose maps root has written without a word."""
    shutil.copy(tracer, f"{directory}/tracer")
    os.chmod(f"{directory}/tracer", 0o755)
    script = f"echo up; read go; exec {directory}/tracer regroup {denied}"
    options: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": [GROUP], "text": True}
    process = subprocess.Popen(
        ["unshare", "--user", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **options,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    for kind in ("uid", "gid"):
        with open(f"/proc/{process.pid}/{kind}_map", "w", encoding="utf-8") as file:
            file.write(f"0 {USER} 1")
    out, _ = process.communicate("go\n", timeout=60)
    assert "not for this group" in out


@pytest.fixture
def delegated(tag: str) -> Iterator[str]:
    """A cgroup that belongs to the user: in the first hierarchy of v1, or in v2."""
    top = "/sys/fs/cgroup/pids" if os.path.isdir("/sys/fs/cgroup/pids") else "/sys/fs/cgroup"
    path = f"{top}/{tag}deleg"
    os.mkdir(path)
    os.chown(path, USER, USER)
    os.chown(f"{path}/cgroup.procs", USER, USER)
    yield path
    remove(tag)


@against("cgroups-writable")
def test_cgroups_of_the_user(
    container: Container,
    call: Callable[..., Call],  # noqa: F811
    delegated: str,
    attack: Attack,
) -> None:
    """Without a cgroup namespace, the container sees cgroups that are the user's own."""
    container.bundle.add_mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev")
    container.script(
        "at=/sys/fs/cgroup/pids; [ -d $at ] || at=/sys/fs/cgroup$(cut -c 4- /proc/self/cgroup);"
        "mkdir $at/made && rmdir $at/made && echo made; true"
    )
    container.bundle.write()
    program = [container.runtime.program, *container.runtime.global_options]
    program += ["run", "--bundle", container.bundle.path, container.id]
    done = subprocess.run(
        ["sh", "-c", f'echo $$ > {delegated}/cgroup.procs && exec setpriv --reuid {USER}'
         f' --regid {USER} --clear-groups "$@"', "sh", *program],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done
    attack.succeeded("made" in done.stdout, done)
