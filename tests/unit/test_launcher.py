"""The launcher, compiled as it is installed, beside a package that reports how it was started."""

from __future__ import annotations

import json
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

MINOR = sys.version_info.minor
REPORT = """
import os, sys
def main():
    parts = [repr(sys.argv[1:]), repr(sys.path), repr(dict(os.environ)), repr(sys.flags.utf8_mode)]
    parts.append(repr(sorted(sys.modules)))
    os.write(1, "\\n".join(parts).encode("utf-8", "surrogateescape"))
    os._exit(int(sys.argv[1]) if sys.argv[1:] and sys.argv[1].isdigit() else 0)
"""
LAYOUTS = {
    "virtual environment": f"lib/python3.{MINOR}/site-packages",
    "lib64": f"lib64/python3.{MINOR}/site-packages",
    "Debian's /usr/local": f"lib/python3.{MINOR}/dist-packages",
    "Debian package": "lib/python3/dist-packages",
    "pip install --target": ".",
}


class Started:
    """What the package saw; `argv` without its own path."""

    def __init__(self, output: str) -> None:
        lines = [eval(line) for line in output.splitlines()]  # noqa: S307 - our own repr()
        self.argv, self.path, self.environ, self.utf8_mode, self.modules = lines


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("launcher")
    base = json.dumps(os.path.realpath(sys.executable))
    (directory / "launcher_config.h").write_text(
        f"#define BUILD_PYTHON_MINOR {MINOR}\n#define BUILD_PYTHON {base}\n"
    )
    source = f"{REPOSITORY}/ocipy_native/launcher.c"
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wformat=2"]
    command = ["gcc", *warnings, "-O1", f"-I{directory}", source, "-o", f"{directory}/ocipy"]
    subprocess.run(command, check=True)
    return directory / "ocipy"


def install(prefix: Path, compiled: Path, site: str) -> Path:
    """Lay out an installation with the real __main__.py and a reporting cli.py; return it."""
    package = prefix / site / "ocipy"
    package.mkdir(parents=True)
    (prefix / "bin").mkdir()
    shutil.copy(compiled, prefix / "bin" / "ocipy")
    shutil.copy(f"{REPOSITORY}/ocipy/__main__.py", package)
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text(REPORT)
    return prefix / "bin" / "ocipy"


@pytest.fixture
def launcher(tmp_path: Path, compiled: Path) -> Path:
    return install(tmp_path, compiled, LAYOUTS["virtual environment"])


def start(launcher: Path, *arguments: str, env: dict[str, str] | None = None) -> Started:
    environment = {} if env is None else env
    result = subprocess.run(
        [launcher, *arguments],
        env=environment,
        capture_output=True,
        check=True,
        encoding="utf-8",
        errors="surrogateescape",
    )
    assert result.stderr == ""
    return Started(result.stdout)


@pytest.mark.parametrize("site", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_finds_package_in_layout(tmp_path: Path, compiled: Path, site: str) -> None:
    started = start(install(tmp_path, compiled, site), "state")
    assert os.path.normpath(tmp_path / site) in map(os.path.normpath, started.path)


def test_finds_package_through_a_link(tmp_path: Path, launcher: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(launcher)
    assert start(tmp_path / "elsewhere", "state").argv == ["state"]


def test_package_of_another_minor_version_is_found(tmp_path: Path, compiled: Path) -> None:
    launcher = install(tmp_path, compiled, "lib/python3.39/site-packages")
    (tmp_path / "bin" / "python3.39").symlink_to(os.path.realpath(sys.executable))
    assert start(launcher).argv == []


@pytest.mark.parametrize(("minor", "runs"), [(MINOR, "packed"), (39, "from its file")])
def test_a_pack_is_run_by_the_python_it_was_made_for(
    tmp_path: Path, compiled: Path, minor: int, runs: str
) -> None:
    launcher = install(tmp_path, compiled, f"lib/python3.{minor}/site-packages")
    (tmp_path / "bin" / "python3.39").symlink_to(os.path.realpath(sys.executable))
    package = tmp_path / f"lib/python3.{minor}/site-packages/ocipy"
    (package / "__main__.py").write_text("print('from its file')")
    (tmp_path / "packed.py").write_text("print('packed')")
    (package / "_native").mkdir()
    py_compile.compile(
        str(tmp_path / "packed.py"), str(package / "_native" / "packed_main.pyc"), doraise=True
    )
    assert subprocess.check_output([launcher], text=True) == f"{runs}\n"


def test_without_package_says_so(tmp_path: Path, compiled: Path) -> None:
    (tmp_path / "bin").mkdir()
    launcher = shutil.copy(compiled, tmp_path / "bin" / "ocipy")
    result = subprocess.run([launcher], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith(f"ocipy: no Python package 'ocipy' under {tmp_path}: ")


def test_without_interpreter_says_so(tmp_path: Path, compiled: Path) -> None:
    launcher = install(tmp_path, compiled, "lib/python3.39/site-packages")
    result = subprocess.run([launcher], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("ocipy: no interpreter python3.39: ")


ENVIRONMENTS = {
    "empty": {},
    "C locale": {"LANG": "C"},
    "POSIX character type": {"LC_CTYPE": "POSIX", "PATH": "/bin"},
    "empty locale": {"LC_ALL": ""},
    "UTF-8": {"LANG": "C.UTF-8", "LC_CTYPE": "C.UTF-8"},
    "all UTF-8": {"LC_ALL": "C.UTF-8"},
    "unknown": {"LC_ALL": "xx_YY.ISO-8859-1", "LC_CTYPE": "POSIX"},
    "not UTF-8": {"LC_ALL": "\udcff", "A": "\udcfe="},
    "Python's variables": {"PYTHONPATH": "/evil", "PYTHONHOME": "/evil", "PYTHONSTARTUP": "/evil"},
}


@pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_environment_is_the_callers(launcher: Path, env: dict[str, str]) -> None:
    assert start(launcher, env=env).environ == env


def test_environment_below_python_is_the_callers(launcher: Path) -> None:
    # What a child inherits comes from the C library's environment, not from os.environ.
    cli = launcher.parent.parent / LAYOUTS["virtual environment"] / "ocipy" / "cli.py"
    cli.write_text("import os\ndef main():\n    os.execv('/usr/bin/env', ['env', '-0'])\n")
    output = subprocess.run([launcher], env={"A": "1"}, capture_output=True, check=True).stdout
    assert output == b"A=1\0"


def test_arguments_are_the_callers(launcher: Path) -> None:
    arguments = ["--root=/x y", "-c", "import sys", "", "-X", "ocipy_path=/evil", "\udcff"]
    started = start(launcher, *arguments)
    assert started.argv == arguments
    assert "/evil" not in started.path


def test_runs_isolated(launcher: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("os", "sys", "posix", "json", "sitecustomize", "usercustomize"):
        (evil / f"{name}.py").write_text("raise SystemExit('imported from the current directory')")
    result = subprocess.run(
        [launcher],
        cwd=evil,
        env={"PYTHONPATH": str(evil), "HOME": str(evil), "PYTHONUSERBASE": str(evil)},
        capture_output=True,
        text=True,
        check=True,
    )
    started = Started(result.stdout)
    assert started.utf8_mode == 1
    assert "site" not in started.modules
    assert not [path for path in started.path if path.startswith(str(evil))]
    assert "" not in started.path


def test_standard_library_comes_first(launcher: Path, tmp_path: Path) -> None:
    path = start(launcher).path
    assert path.index(os.path.dirname(os.__file__)) < path.index(
        str(tmp_path / LAYOUTS["virtual environment"])
    )


@pytest.mark.parametrize(
    ("text", "sees"),
    [(None, True), ("false", False), ("true", True)],
    ids=["no venv", "closed venv", "open venv"],
)
def test_packages_of_the_interpreter(
    launcher: Path, tmp_path: Path, text: str | None, sees: bool
) -> None:
    if text is not None:
        (tmp_path / "pyvenv.cfg").write_text(f"include-system-site-packages = {text}\n")
    others = [path for path in start(launcher).path if path.endswith("/dist-packages")]
    assert bool(others) == sees


def test_exit_status_is_the_commands(launcher: Path) -> None:
    assert subprocess.run([launcher, "7"], stdout=subprocess.DEVNULL).returncode == 7


@pytest.mark.requires("root")
def test_refuses_set_user_id(compiled: Path) -> None:
    # Not under tmp_path, which nobody but root may enter.
    with tempfile.TemporaryDirectory(prefix="ocipy-launcher-") as directory:
        os.chmod(directory, 0o755)
        launcher = shutil.copy(compiled, f"{directory}/ocipy")
        os.chmod(launcher, 0o4755)
        result = subprocess.run([launcher], capture_output=True, text=True, user=65534)
    assert result.returncode == 1
    assert "set-user-ID" in result.stderr
