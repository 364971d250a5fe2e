"""ocipy with a switch for faults: a tree of its own, which nothing but the walk uses.

    python -m tests.faults.build DIRECTORY         makes DIRECTORY/ocipy, a package

The package is the repository's, but for init, which is compiled with the faults of faults.h.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
NATIVE = REPOSITORY / "ocipy_native"


def build(directory: Path) -> Path:
    """Make the package below `directory`; return the path of its init."""
    package = directory / "ocipy"
    if package.exists():
        shutil.rmtree(package)
    shutil.copytree(REPOSITORY / "ocipy", package, ignore=shutil.ignore_patterns("__pycache__"))
    init = package / "_native" / "ocipy-init"
    init.unlink()
    flags = ["-static", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-DOCIPY_FAULTS"]
    compiler = ["gcc"]
    if shutil.which("musl-gcc"):
        multiarch = subprocess.run(
            ["gcc", "-print-multiarch"], capture_output=True, text=True, check=True
        ).stdout.strip()
        compiler = ["musl-gcc", "-idirafter", "/usr/include"]
        compiler += ["-idirafter", f"/usr/include/{multiarch}"] if multiarch else []
    sources = sorted((NATIVE / "init").glob("*.c"))
    subprocess.run([*compiler, *flags, *sources, "-o", init], check=True)
    return init


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    print(build(Path(sys.argv[1]).resolve()))
