"""`ocipy plan`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.cli import run_command_line
from ocipy.plan._generated_steps import CALLS
from tests.conftest import REPOSITORY
from tests.unit.plan.test_golden_plans import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A config without a root filesystem: a plan does not need one."""
    path = tmp_path / "bundle"
    path.mkdir()
    shutil.copy(GOLDEN / "configs" / "docker-run.json", path / "config.json")
    return path


def change(bundle: Path, field: str, value: Any) -> None:
    config = json.loads((bundle / "config.json").read_text())
    config[field] = value
    (bundle / "config.json").write_text(json.dumps(config))


def test_text(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plan", "--bundle", str(bundle)]) == 0
    out = capfd.readouterr().out
    assert "init  mount proc on '/proc'  [/mounts/0]\n" in out
    assert "start execute true  [/process/args]\n           execve(argv=['true'], env=[" in out
    assert "move_mount, " in out and "attr_set=nosuid nodev noexec" in out
    assert "sethostname(hostname='a2d56e4cd870')\n" in out


def test_json(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plan", "--format=json", "-b", str(bundle), "--id", "web"]) == 0
    plan = json.loads(capfd.readouterr().out)
    assert [step["step"] for step in plan] == list(range(len(plan)))
    assert {step["place"] for step in plan} == {"host", "init", "start"}
    assert all(call in CALLS for step in plan for call in step["calls"])
    keyring = next(step for step in plan if step["operation"] == "join_session_keyring")
    assert keyring["arguments"] == {"keyring": "_ses.web"}


def test_nothing_is_changed(bundle: Path, tmp_path: Path) -> None:
    root = tmp_path / "state"
    assert run_command_line(["--root", str(root), "plan", "-b", str(bundle)]) == 0
    assert not root.exists()
    assert os.listdir(bundle) == ["config.json"]


def test_difference(bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    shutil.copytree(bundle, other)
    same = ["plan", "--bundle", str(bundle), "--diff", str(other)]
    change(other, "hostname", "elsewhere")
    assert run_command_line(same) == 0
    lines = capfd.readouterr().out.splitlines()
    assert "-init  set the hostname to 'a2d56e4cd870'  [/hostname]" in lines
    assert "+init  set the hostname to 'elsewhere'  [/hostname]" in lines
    # Each bundle's own path is the only other difference.
    changed = [line for line in lines if line[0] in "+-" and str(tmp_path) not in line]
    assert len(changed) == 2


def test_a_fault_that_shows_while_planning_has_its_place(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change(bundle, "linux", {"namespaces": [{"type": "mount"}], "personality": {"domain": "X"}})
    assert run_command_line(["plan", "--bundle", str(bundle)]) == 1
    assert "/linux/personality/domain" in capfd.readouterr().err


def test_bad_format(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plan", "--bundle", str(bundle), "--format", "xml"]) == 1
    assert "invalid --format 'xml'; text or json" in capfd.readouterr().err


def test_the_other_bundle_is_not_there(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plan", "--bundle", str(bundle), "--diff", "/nonexist"]) == 1
    err = capfd.readouterr().err
    assert "cannot read the other bundle: chdir /nonexist" in err
    assert "--diff names the directory" in err


def test_nobody_has_to_be_root(bundle: Path) -> None:
    """Planned by a user without privileges, in a directory that only root may write to."""
    if os.geteuid() != 0:
        pytest.skip("this is about giving privileges up: needs root")
    setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    program = f"{REPOSITORY}/build/ocipy"
    reachable = subprocess.run([*setpriv, program, "--version"], capture_output=True, text=True)
    if reachable.returncode != 0:
        pytest.skip(f"others may not run {program}: {reachable.stderr}")
    with tempfile.TemporaryDirectory(prefix="ocipy-plan-") as directory:
        os.chmod(directory, 0o755)
        shutil.copy(bundle / "config.json", directory)
        done = subprocess.run(
            [*setpriv, program, "plan", "--bundle", directory], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "execve(argv=['true']" in done.stdout
        assert os.listdir(directory) == ["config.json"]
