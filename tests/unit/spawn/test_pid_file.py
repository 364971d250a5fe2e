"""The pid file: replaced whole, but only where there is a file to replace."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from ocipy.errors import UsageError
from ocipy.spawn.caller import write_pid_file

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    write_pid_file(str(path), 5)
    write_pid_file(str(path), 42)
    assert path.read_text() == "42"
    assert os.listdir(tmp_path) == ["pid"]


def test_what_is_no_file_stays_what_it_is(tmp_path: Path) -> None:
    """As root, --pid-file /dev/full would else leave the host with a file of that name."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    write_pid_file(str(path), 42)
    assert os.read(fd, 9) == b"42"
    os.close(fd)
    assert stat.S_ISFIFO(path.stat().st_mode)
    with pytest.raises(UsageError, match="o space left on device"):
        write_pid_file("/dev/full", 42)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write the pid file"):
        write_pid_file(f"{tmp_path}/no/pid", 42)
