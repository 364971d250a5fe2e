from __future__ import annotations

import pytest

from ocipy.errors import ConfigError
from ocipy.plan.mount_options import KNOWN_OPTIONS, parse_mount_options, split_data
from ocipy.sys.constants import MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE
from ocipy.sys.mount_constants import (
    MOUNT_ATTR__ATIME,
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_STRICTATIME,
    MS_I_VERSION,
    MS_RDONLY,
)

# Spec (config.md#linux-mount-options), the table: every line of it.
MUST = """async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev
nodiratime noexec noiversion nolazytime norelatime nostrictatime nosuid private rbind relatime
remount ro rprivate rshared rslave runbindable rw shared silent slave strictatime suid sync
unbindable"""
SHOULD = """nosymfollow ratime rdev rdiratime rexec rnoatime rnodev rnodiratime rnoexec rnorelatime
rnostrictatime rnosuid rnosymfollow rrelatime rro rrw rstrictatime rsuid rsymfollow symfollow idmap
ridmap"""
MAY = "mand nomand tmpcopyup"


@pytest.mark.parametrize("option", [*MUST.split(), *SHOULD.split(), *MAY.split()])
def test_no_option_of_the_specification_reaches_the_file_system(option: str) -> None:
    assert option in KNOWN_OPTIONS
    assert parse_mount_options([option], "").data == []


def test_unknown_options_do() -> None:
    assert parse_mount_options(["size=1m", "ro", "hidepid=2"], "").data == ["size=1m", "hidepid=2"]


def test_a_bind_mount_has_no_use_for_them() -> None:
    parsed = parse_mount_options(["mode=755", "size=1k", "bind", "ro"], "")
    assert (parsed.data, parsed.bind, parsed.flags) == ([], True, MS_RDONLY)


def test_a_word_that_no_bind_mount_can_have() -> None:
    with pytest.raises(ConfigError, match="cannot have the option 'nosuidd'") as error:
        parse_mount_options(["rbind", "nosuidd"], "/mounts/3/options")
    assert error.value.pointer == "/mounts/3/options/1"
    assert error.value.hint == "did you mean 'nosuid'?"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], 0),
        (["ro", "nosuid", "nodev", "noexec"], 0xF),
        (["ro", "rw"], 0),
        (["rw", "ro"], MOUNT_ATTR_RDONLY),
        (["noatime"], MOUNT_ATTR_NOATIME),
        (["noatime", "strictatime"], MOUNT_ATTR_STRICTATIME),
        (["noatime", "atime"], 0),
        (["relatime"], 0),
        (["nodiratime"], MOUNT_ATTR_NODIRATIME),
        (["nosymfollow"], MOUNT_ATTR_NOSYMFOLLOW),
        (["defaults"], 0),
    ],
)
def test_attributes_of_a_new_mount(options: list[str], expected: int) -> None:
    assert parse_mount_options(options, "").attributes() == expected


def test_flags_of_the_file_system() -> None:
    options = ["sync", "dirsync", "lazytime", "ro", "mand", "silent", "iversion"]
    parsed = parse_mount_options(options, "")
    assert parsed.superblock() == ["ro", "sync", "dirsync", "mand", "lazytime"]
    assert parsed.flags & MS_I_VERSION
    undone = parse_mount_options([*options, "async", "nolazytime", "rw", "nomand"], "")
    assert undone.superblock() == ["dirsync"]


def test_a_bind_without_options_keeps_the_attributes_of_its_origin() -> None:
    assert parse_mount_options(["rbind", "rprivate"], "").bind_attributes() == (0, 0, 0)


RESET = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW


@pytest.mark.parametrize(
    ("options", "set_", "clear", "reset"),
    [
        (["ro"], MOUNT_ATTR_RDONLY, 0, RESET),
        (["rw"], 0, MOUNT_ATTR_RDONLY, RESET),
        (["suid"], 0, MOUNT_ATTR_NOSUID, RESET & ~MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY),
        (
            ["noatime"],
            MOUNT_ATTR_NOATIME,
            MOUNT_ATTR__ATIME,
            RESET | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODIRATIME,
        ),
        (["atime"], 0, MOUNT_ATTR__ATIME, RESET | MOUNT_ATTR_RDONLY),
        (
            ["nodiratime"],
            MOUNT_ATTR_NODIRATIME,
            0,
            RESET | MOUNT_ATTR_RDONLY,
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else None,
)
def test_attributes_of_a_bind(options: list[str], set_: int, clear: int, reset: int) -> None:
    assert parse_mount_options(["bind", *options], "").bind_attributes() == (set_, clear, reset)


def test_propagation_is_kept_in_order() -> None:
    parsed = parse_mount_options(["rslave", "shared", "private"], "")
    assert parsed.propagation == [MS_SLAVE | MS_REC, MS_SHARED, MS_PRIVATE]


@pytest.mark.parametrize(
    ("options", "set_", "clear"),
    [
        (["rro"], MOUNT_ATTR_RDONLY, 0),
        (["rro", "rrw"], 0, MOUNT_ATTR_RDONLY),
        (["rrw", "rro", "rnoexec"], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, 0),
        (["rnoatime"], MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME),
        (["rnoatime", "ratime"], 0, MOUNT_ATTR__ATIME),
        (["rnoatime", "rstrictatime"], MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME),
        (["rrelatime"], 0, MOUNT_ATTR__ATIME),
        (["rnorelatime"], 0, MOUNT_ATTR__ATIME),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else None,
)
def test_recursive_attributes(options: list[str], set_: int, clear: int) -> None:
    parsed = parse_mount_options(options, "")
    assert (parsed.recursive_set, parsed.recursive_clear) == (set_, clear)


def test_contradictions_within_flags() -> None:
    parsed = parse_mount_options(["ro", "rw"], "")
    assert (parsed.flags & MS_RDONLY, parsed.cleared & MS_RDONLY) == (0, MS_RDONLY)


def test_data_may_hold_several_options_in_one_string() -> None:
    assert split_data(["size=1m,mode=755", "", "uid=0,"]) == ["size=1m", "mode=755", "uid=0"]


@pytest.mark.parametrize("text", ['context="a:b:c,d"', "lowerdir=/a\\,b"])
def test_commas_that_are_part_of_a_value_are_for_mount2(text: str) -> None:
    assert split_data([text]) is None
