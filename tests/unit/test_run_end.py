"""The end of a foreground `run`: whatever is refused then, the status of the process counts."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ocipy import log
from ocipy.commands import run
from ocipy.state import store

if TYPE_CHECKING:
    import pytest


def refused(*_: object) -> Any:
    raise OSError(errno.EACCES, "Permission denied", "/sys/fs/cgroup/cpu/c1")


def test_a_refused_deletion_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    released: list[bool] = []
    lock = SimpleNamespace(
        acquire=lambda: None, release=lambda: released.append(True), directory=None, wait_seconds=0
    )
    container: Any = SimpleNamespace(lock=lock)
    monkeypatch.setattr(log, "warning", said.append)
    monkeypatch.setattr(store, "load_record", refused)
    run._delete(container)
    run._record_exit(container, 0)
    why = "/sys/fs/cgroup/cpu/c1: permission denied (EACCES)"
    assert said == [
        f"the container is not deleted: {why}",
        f"how the container ended is not recorded: {why}",
    ]
    assert released == [True, True]
