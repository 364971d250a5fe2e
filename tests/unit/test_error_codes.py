"""Each error class has a code of its own, and `ocipy help CODE` explains it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import pytest

import ocipy
from ocipy.cli import run_command_line
from ocipy.error_codes import CODES
from ocipy.errors import OcipyError

if TYPE_CHECKING:
    from collections.abc import Iterator


def error_classes() -> Iterator[type[OcipyError]]:
    for module in pkgutil.walk_packages(ocipy.__path__, "ocipy."):
        if "__main__" not in module.name and "_native" not in module.name:
            importlib.import_module(module.name)
    waiting = [OcipyError]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += found.__subclasses__()


def test_every_class_is_documented_under_its_own_code() -> None:
    classes = list(error_classes())
    codes = [found.code for found in classes if "code" in vars(found)]
    assert len(set(codes)) == len(codes), "a code stands for two classes"
    assert set(codes) | {"E900"} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_help(code: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["help", code.lower()]) == 0
    out = capfd.readouterr().out
    assert out.startswith(f"{code}: ")
    assert "What to do: " in out
    assert max(map(len, out.splitlines())) <= 80


def test_list_and_unknown_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["help", "errors"]) == 0
    out = capfd.readouterr().out
    assert all(f"  {code}  " in out for code in CODES)
    assert "255" in out
    assert run_command_line(["help", "E999"]) == 3
    assert "'ocipy help errors' lists them" in capfd.readouterr().err


def test_an_error_names_its_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--log-format", "json", "state", "no-such-container-x"]) == 1
    assert '"code":"E301"' in capfd.readouterr().err.replace(": ", ":")


@pytest.mark.parametrize("command", ["run", "wait", "doctor", "audit", "inspect", "trace", "plan"])
def test_help_has_examples(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([command, "--help"]) == 0
    out = capfd.readouterr().out
    assert "Examples:\n  # " in out
    assert f"  ocipy {command}" in out
