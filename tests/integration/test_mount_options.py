"""Every option of config.md#mounts, seen in the container's mountinfo; many in one container."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration import mountinfo
from tests.integration.containers import Container

if TYPE_CHECKING:
    from collections.abc import Iterator

runc_deviates = pytest.mark.runc_deviates

# Of a new tmpfs: option, what must be among the flags of mount or file system, what must not.
FLAGS = {
    "async": ("", "sync"),
    "atime": ("relatime", "noatime"),
    "dev": ("", "nodev"),
    "diratime": ("", "nodiratime"),
    "dirsync": ("dirsync", ""),
    "exec": ("", "noexec"),
    "iversion": ("", ""),
    "lazytime": ("lazytime", ""),
    "loud": ("", ""),
    "mand": ("", ""),
    "noatime": ("noatime", "relatime"),
    "nodev": ("nodev", ""),
    "nodiratime": ("nodiratime", ""),
    "noexec": ("noexec", ""),
    "noiversion": ("", ""),
    "nolazytime": ("", "lazytime"),
    "nomand": ("", "mand"),
    "norelatime": ("", "noatime"),
    "nostrictatime": ("", "noatime"),
    "nosymfollow": ("nosymfollow", ""),
    "nosuid": ("nosuid", ""),
    "relatime": ("relatime", "noatime"),
    "ro": ("ro", "rw"),
    "rw": ("rw", "ro"),
    "silent": ("", ""),
    "strictatime": ("", "relatime"),
    "suid": ("", "nosuid"),
    "symfollow": ("", "nosymfollow"),
    "sync": ("sync", ""),
}
PROPAGATION = {
    "private": set(),
    "rprivate": set(),
    "shared": {"shared"},
    "rshared": {"shared"},
    "slave": set(),
    "rslave": set(),
    "unbindable": {"unbindable"},
    "runbindable": {"unbindable"},
}
# A later option takes back an earlier one.
PAIRS = {
    "ro,rw": ("rw", "ro"),
    "nodev,dev": ("", "nodev"),
    "noexec,exec": ("", "noexec"),
    "nosuid,suid": ("", "nosuid"),
    "noatime,atime": ("", "noatime"),
    "sync,async": ("", "sync"),
    "dirsync,nosuid": ("dirsync", ""),
    "noexec,nodev,nosuid,ro,noatime": ("ro", "rw"),
}


def check(container: Container, flags: dict[str, tuple[str, str]], fstype: str = "tmpfs") -> None:
    """Mount one file system for each set of options and compare its flags."""
    for index, options in enumerate(flags):
        container.bundle.add_mount(f"/m/{index}", fstype, "none", *options.split(","))
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    wrong = []
    for index, (options, (present, absent)) in enumerate(flags.items()):
        mount = mounts[f"/m/{index}"]
        got = mount.options | (mount.super_options - {"ro", "rw"})
        if (present and present not in got) or (absent and absent in got):
            wrong.append(f"{options}: {mount}")
    assert not wrong, "\n".join(wrong)


def test_flags(container: Container) -> None:
    check(container, FLAGS)


def test_later_options_win(container: Container) -> None:
    check(container, PAIRS)


@runc_deviates("passes `defaults` on to the file system, which refuses it")
def test_defaults(container: Container) -> None:
    check(container, {"defaults": ("rw", "nodev")})


def test_propagation(container: Container) -> None:
    for index, option in enumerate(PROPAGATION):
        container.bundle.add_mount(f"/m/{index}", "tmpfs", "none", option)
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    got = {option: mounts[f"/m/{i}"].propagation for i, option in enumerate(PROPAGATION)}
    assert got == PROPAGATION


def test_remount(container: Container) -> None:
    container.bundle.add_mount("/m", "tmpfs", "tmpfs", "size=64k")
    container.bundle.add_mount("/m", "tmpfs", "tmpfs", "remount", "ro", "nosuid")
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    assert {"ro", "nosuid"} <= mounts["/m"].options
    assert "size=64k" in mounts["/m"].super_options


def test_data_options_are_passed_on(container: Container) -> None:
    container.bundle.add_mount("/m", "tmpfs", "name", "size=128k", "nosuid", "mode=711", "uid=7")
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo; stat -c %a:%u /m >&2"))
    assert {"size=128k", "mode=711", "uid=7"} <= mounts["/m"].super_options
    assert mounts["/m"].source == "name"
    assert container.last is not None
    assert container.last.err == "711:7\n"


def test_an_option_that_the_file_system_refuses(container: Container) -> None:
    container.bundle.add_mount("/m", "tmpfs", "tmpfs", "nosuid", "sizzle=1")
    index = len(container.config["mounts"]) - 1
    container.is_rejected(f"/mounts/{index}", "sizzle")


@pytest.fixture
def tree(directory: str) -> Iterator[str]:
    """Return a directory of the host with a mount, and another mount below it."""
    path = f"{directory}/tree"
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "upper", path], check=True)
    subprocess.run(["mount", "--make-private", path], check=True)
    os.mkdir(f"{path}/sub")
    subprocess.run(["mount", "-t", "tmpfs", "lower", f"{path}/sub"], check=True)
    with open(f"{path}/sub/file", "w", encoding="utf-8") as file:
        file.write("below\n")
    yield path
    subprocess.run(["umount", "-R", path], check=True)


BIND_FLAGS = {
    "bind": ("rw", "ro"),
    "bind,ro": ("ro", "rw"),
    "bind,nosuid": ("nosuid", ""),
    "bind,noexec": ("noexec", ""),
    "bind,nodev": ("nodev", ""),
    "bind,noatime": ("noatime", ""),
    "bind,nodiratime": ("nodiratime", ""),
    "bind,ro,nosuid,nodev,noexec": ("noexec", "rw"),
    "rbind,ro": ("ro", "rw"),
    "rbind,ro,rprivate": ("ro", "rw"),
}


def test_flags_of_binds(container: Container, tree: str) -> None:
    for index, options in enumerate(BIND_FLAGS):
        container.bundle.add_mount(f"/m/{index}", "bind", tree, *options.split(","))
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    for index, (options, (present, absent)) in enumerate(BIND_FLAGS.items()):
        upper = mounts[f"/m/{index}"]
        assert not present or present in upper.options, (options, upper)
        assert not absent or absent not in upper.options, (options, upper)
        # Only rbind takes what is mounted below; and an option that is not recursive leaves that.
        lower = mounts.get(f"/m/{index}/sub")
        assert (lower is not None) == options.startswith("rbind"), options
        assert lower is None or "rw" in lower.options
    ours = mountinfo.of_process("self")
    assert "rw" in ours[tree].options, "the host's mount has changed"
    assert "noexec" not in ours[tree].options


def test_a_bind_keeps_the_flags_of_its_source(container: Container, directory: str) -> None:
    path = f"{directory}/source"
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nosuid,nodev,noexec", "s", path], check=True)
    try:
        container.bundle.add_mount("/kept", "bind", path, "bind")
        mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    finally:
        subprocess.run(["umount", path], check=True)
    assert {"nosuid", "nodev", "noexec", "rw"} <= mounts["/kept"].options


RECURSIVE = {
    "rro": "ro",
    "rnosuid": "nosuid",
    "rnodev": "nodev",
    "rnoexec": "noexec",
    "rnoatime": "noatime",
    "rnodiratime": "nodiratime",
    "rnosymfollow": "nosymfollow",
}
RECURSIVE_CLEARING = {
    "rrw": "ro",
    "rsuid": "nosuid",
    "rdev": "nodev",
    "rexec": "noexec",
    "rdiratime": "nodiratime",
    "rrelatime": "noatime",
    "rstrictatime": "relatime",
    "rsymfollow": "nosymfollow",
}
# The kernel takes the access time modes only together, which these options of runc are not.
RECURSIVE_ATIME = {"ratime": "noatime", "rnorelatime": "noatime", "rnostrictatime": "noatime"}


def test_recursive_attributes(container: Container, tree: str) -> None:
    for index, option in enumerate(RECURSIVE):
        container.bundle.add_mount(f"/m/{index}", "bind", tree, "rbind", option)
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    for index, (option, flag) in enumerate(RECURSIVE.items()):
        for target in (f"/m/{index}", f"/m/{index}/sub"):
            assert flag in mounts[target].options, (option, mounts[target])


@pytest.mark.parametrize(
    "options",
    [
        RECURSIVE_CLEARING,
        pytest.param(RECURSIVE_ATIME, marks=runc_deviates("fails with EINVAL on some of them")),
    ],
    ids=["usual", "atime"],
)
def test_recursive_attributes_that_clear(
    container: Container, tree: str, options: dict[str, str]
) -> None:
    for index, option in enumerate(options):
        container.bundle.add_mount(f"/m/{index}", "bind", tree, "rbind", option)
    mounts = mountinfo.parse(container.sh("cat /proc/self/mountinfo"))
    for index, (option, flag) in enumerate(options.items()):
        for target in (f"/m/{index}", f"/m/{index}/sub"):
            assert flag not in mounts[target].options, (option, mounts[target])


def test_recursive_readonly_is_effective(container: Container, tree: str) -> None:
    container.bundle.add_mount("/m", "bind", tree, "rbind", "rro")
    assert container.sh("touch /m/sub/x && echo wrote; cat /m/sub/file") == "below"
