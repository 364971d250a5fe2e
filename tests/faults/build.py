"""ocipy with a switch for faults: a tree of its own, which nothing but the walk uses.

    python -m tests.faults.build DIRECTORY         makes DIRECTORY/ocipy, a package

The package is the repository's, but for init, which is compiled with the faults of faults.h.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
NATIVE = REPOSITORY / "ocipy_native"


def source_digest() -> str:
    """Return a digest of all that the package is made from."""
    digest = hashlib.sha256()
    files = [*(REPOSITORY / "ocipy").rglob("*"), *NATIVE.rglob("*.[ch]"), *HERE.glob("[bf]*")]
    for file in sorted(files):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(str(file).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def build(directory: Path) -> Path:
    """Make the package below `directory`, unless it is there; return the path of its init.

    Several walks may ask for it at the same time.
    """
    made, digest = directory / "digest", source_digest()
    with open(directory / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists() or made.read_text() != digest:
            made.unlink(missing_ok=True)
            make(directory)
            made.write_text(digest)
    return directory / "ocipy" / "_native" / "ocipy-init"


def make(directory: Path) -> None:
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


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    print(build(Path(sys.argv[1]).resolve()))
