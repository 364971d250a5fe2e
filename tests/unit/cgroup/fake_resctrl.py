"""A directory that behaves as a mounted resctrl does, as far as ocipy can tell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ocipy.cgroup import resctrl

if TYPE_CHECKING:
    import pytest

DEFAULT_SCHEMATA = "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n"


class FakeResctrl:
    """Groups made in it have the kernel's files at once, and can be removed with them."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        path.mkdir()
        (path / "info" / "MB").mkdir(parents=True)
        (path / "info" / "MB" / "bandwidth_gran").write_text("10\n")
        (path / "info" / "last_cmd_status").write_text("ok\n")
        self.limit = 100
        self._mkdir, self._rmdir, self._open, self._write = os.mkdir, os.rmdir, os.open, os.write
        self._furnish(path)
        self.writes: list[tuple[str, str]] = []
        self._paths: dict[int, str] = {}
        monkeypatch.setattr(resctrl, "mount_point", lambda: str(path))
        monkeypatch.setattr(os, "mkdir", self.mkdir)
        monkeypatch.setattr(os, "rmdir", self.rmdir)
        monkeypatch.setattr(os, "open", self.open)
        monkeypatch.setattr(os, "write", self.write)

    def _furnish(self, group: Path) -> None:
        (group / "schemata").write_text(DEFAULT_SCHEMATA)
        (group / "tasks").write_text("")
        self._mkdir(f"{group}/mon_groups")

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        if len(list(self.path.iterdir())) > self.limit:
            (self.path / "info" / "last_cmd_status").write_text("Out of CLOSIDs\n")
            raise OSError(28, os.strerror(28), path)
        self._mkdir(path, mode)
        if os.path.basename(os.path.dirname(path)) == "mon_groups":
            (Path(path) / "tasks").write_text("")
        else:
            self._furnish(Path(path))

    def rmdir(self, path: str) -> None:
        if not os.path.isdir(path):
            raise FileNotFoundError(2, os.strerror(2), path)
        for directory, _, files in os.walk(path, topdown=False):
            for file in files:
                os.unlink(f"{directory}/{file}")
            self._rmdir(directory)

    def open(self, path: str, flags: int, *more: int, dir_fd: int | None = None) -> int:
        fd = self._open(path, flags, *more, dir_fd=dir_fd)
        self._paths[fd] = str(path)
        return fd

    def write(self, fd: int, data: bytes) -> int:
        path = self._paths.get(fd, "")
        if path.startswith(str(self.path)):
            line = data.decode()
            assert line.endswith("\n"), "resctrl refuses a line without its end"
            self.writes.append((path[len(str(self.path)) + 1 :], line[:-1]))
            if "bogus" in line:
                status = self.path / "info" / "last_cmd_status"
                status.write_text("Unknown or unsupported resource name 'bogus'\n")
                raise OSError(22, os.strerror(22))
        return self._write(fd, data)

    def schemata(self, group: str, text: str) -> None:
        """Pre-configure a group."""
        self.mkdir(str(self.path / group))
        (self.path / group / "schemata").write_text(text)
        self.writes.clear()

    def groups(self) -> set[str]:
        """Return the paths of all groups, monitoring groups among them."""
        found = {str(path.parent.relative_to(self.path)) for path in self.path.rglob("tasks")}
        return found - {"."}
