"""`ocipy validate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ocipy import log
from ocipy.cli import run_command_line
from ocipy.log import Log
from tests.bundles import base_config

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is one per process: a test must not leave its warnings to the next one."""
    fresh = Log()
    for name in ("open_log", "debug", "warning", "flush_warnings", "failure"):
        method = "open" if name == "open_log" else name
        monkeypatch.setattr(log, name, getattr(fresh, method))
    monkeypatch.setattr(log, "_log", fresh)


def validate(path: Path, *options: str) -> int:
    return run_command_line(["validate", "--bundle", str(path), *options])


def test_valid(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(base_config("a", "/a")))
    assert validate(tmp_path) == 0
    assert capfd.readouterr() == ("config.json is valid\n", "")


def test_unknown_fields(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(base_config("a", "/a") | {"hooka": {}}))
    assert validate(tmp_path) == 0
    out, err = capfd.readouterr()
    assert out == "config.json is valid\n"
    assert 'unknown field \\"hooka\\" is ignored; did you mean \\"hooks\\"? (/hooka)' in err
    assert validate(tmp_path, "--strict") == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "level=error" in err


def test_every_fault(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"ociVersion": "x", "process": {"cwd": 1}}')
    assert validate(tmp_path) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "4 faults" in err
    assert err.count("\n") == 1
    for place in ("1:16, /ociVersion", "1:32, /process", "1:40, /process/cwd", "root must be"):
        assert place in err
