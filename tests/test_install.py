"""`pip install .`: what it installs, and that it works where it was put."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.bundles import BUSYBOX, Bundle
from tests.conftest import REPOSITORY

SITE = Path(sysconfig.get_path("platlib"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install into a directory of its own, without the network; return it.

    The one dependency that commands cannot do without is linked: the launcher looks for packages
    beside its own, and nowhere else, if it stands in a virtual environment.
    """
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    done = subprocess.run(
        [*pip, *offline, REPOSITORY],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (backend,) = SITE.glob("_cffi_backend.*.so")
    (target / backend.name).symlink_to(backend)
    (target / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    return target


def test_package_is_whole(installed: Path) -> None:
    source = {str(path.relative_to(REPOSITORY)) for path in Path(REPOSITORY, "ocipy").rglob("*.py")}
    built = {
        "ocipy/_generated_build.py",
        "ocipy/_native/_calls.abi3.so",
        "ocipy/_native/_shim.abi3.so",
        "ocipy/_native/packed_main.pyc",
        "ocipy/_native/ocipy-init",
        "ocipy/py.typed",
    }
    found = {
        str(path.relative_to(installed))
        for path in (installed / "ocipy").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == source | built


def test_programs_are_executable_and_self_contained(installed: Path) -> None:
    for program in (installed / "bin" / "ocipy", installed / "ocipy" / "_native" / "ocipy-init"):
        assert os.access(program, os.X_OK)
        headers = subprocess.run(
            ["readelf", "--program-headers", "--wide", program],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert "INTERP" not in headers, f"{program} is not static"
        assert "GNU_STACK" in headers
        assert " RWE " not in headers, f"{program} has writable code"


def test_says_what_it_is(installed: Path) -> None:
    text = subprocess.run(
        [installed / "bin" / "ocipy", "--version"],
        check=True,
        capture_output=True,
        text=True,
        env={},
    ).stdout
    assert text.startswith("ocipy version ")
    assert re.search(r"^commit: ([0-9a-f]{40}|unknown)$", text, re.MULTILINE)
    assert "\nlibseccomp: " in text, "the shim does not load"


def test_writes_a_config_without_the_source_tree(installed: Path, tmp_path: Path) -> None:
    subprocess.run([installed / "bin" / "ocipy", "spec"], check=True, cwd=tmp_path, env={})
    assert json.loads((tmp_path / "config.json").read_text())["root"]["path"] == "rootfs"


@pytest.mark.requires("root")
def test_runs_a_container(installed: Path, tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(Path(BUSYBOX).read_bytes())
    busybox.chmod(0o755)
    container_id = f"installed-{os.getpid()}"
    bundle = Bundle(f"{tmp_path}/bundle", str(busybox), "installed", f"/{container_id}")
    bundle.process["args"] = ["/bin/hostname"]
    bundle.write()
    command = [f"{installed}/bin/ocipy", "--root", f"{tmp_path}/state", "run"]
    done = subprocess.run(
        [*command, "--bundle", bundle.path, container_id],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={},
    )
    assert (done.returncode, done.stdout) == (0, "installed\n"), done.stderr
