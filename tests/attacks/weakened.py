"""ocipy with a defence taken out: an attack must succeed there, or its test proves nothing.

    python -m tests.attacks.weakened NAME DIRECTORY     makes DIRECTORY/NAME/ocipy, for RUNTIME

Each entry of WEAKENINGS replaces exact pieces of text in a copy of the sources. A piece that is not
there any more is an error, so a defence cannot move away from its weakening unnoticed. A copy of
the package is run by the same interpreter; init and the launcher are compiled anew if they changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from tests.attacks.weakenings import WEAKENINGS

REPOSITORY = Path(__file__).parent.parent.parent
NATIVE = REPOSITORY / "ocipy_native"
# As in meson.build: musl where it is, with the kernel's headers behind its own.
COMPILER = "musl-gcc" if shutil.which("musl-gcc") else "gcc"
FLAGS = ["-std=gnu11", "-O1", "-w", "-static", f"-I{NATIVE}", f"-I{NATIVE}/init"]

WRAPPER = """#!/bin/sh
exec '{python}' -I -S -X utf8=1 -X ocipy_path='{site}' "${{0%/*}}/tree/ocipy/__main__.py" "$@"
"""


class StaleWeakeningError(Exception):
    """A text that a weakening replaces is not in the sources, or not exactly once."""


class Change(NamedTuple):
    """One replacement: file below the repository, the text that is there once, and the new one."""

    file: str
    old: str
    new: str


def changes_of(name: str) -> list[Change]:
    return [Change(*change) for change in WEAKENINGS[name].changes]


def patched(name: str) -> dict[str, str]:
    """Return the changed files of a weakening: path below the repository to text.

    Raises:
        StaleWeakeningError: a text to be replaced is not there exactly once.
    """
    texts: dict[str, str] = {}
    for change in changes_of(name):
        text = texts.get(change.file) or (REPOSITORY / change.file).read_text()
        if text.count(change.old) != 1:
            count = text.count(change.old)
            raise StaleWeakeningError(f"{name}: {change.file} has {count} times: {change.old!r}")
        texts[change.file] = text.replace(change.old, change.new)
    return texts


def include_kernel_headers() -> list[str]:
    if COMPILER == "gcc":
        return []
    triplet = subprocess.run(
        ["gcc", "-print-multiarch"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{triplet}"]


def compile_objects(directory: Path, sources: list[Path]) -> list[Path]:
    """Compile each source to an object in `directory`, two at a time; return the objects."""
    directory.mkdir(parents=True, exist_ok=True)
    objects = [directory / f"{source.stem}.o" for source in sources]
    command = [COMPILER, *FLAGS, *include_kernel_headers(), "-c"]
    for at in range(0, len(sources), 2):
        pairs = list(zip(sources, objects, strict=True))[at : at + 2]
        running = [subprocess.Popen([*command, source, "-o", to]) for source, to in pairs]
        failed = [process.args for process in running if process.wait() != 0]
        if failed:
            raise RuntimeError(f"cannot compile: {failed}")
    return objects


def link(objects: list[Path], target: Path) -> None:
    subprocess.run([COMPILER, "-static", *objects, "-o", target], check=True)


def compile_init(target: Path, common: Path, texts: dict[str, str]) -> None:
    """Compile the changed sources of init, and link them with the objects of the others."""
    sources = sorted((NATIVE / "init").glob("*.c"))
    unchanged = common / "objects"
    if not unchanged.exists():
        compile_objects(common / "objects.new", sources)
        os.rename(common / "objects.new", unchanged)
    own = target.parent / "changed"
    changed = {}
    for file, text in texts.items():
        source = own / Path(file).name
        source.parent.mkdir(exist_ok=True)
        source.write_text(text)
        changed[source.stem] = source
    objects = compile_objects(own, list(changed.values()))
    others = [unchanged / f"{s.stem}.o" for s in sources if s.stem not in changed]
    link(objects + others, target)


def compile_launcher(target: Path, scratch: Path, text: str, package: Path) -> None:
    source = scratch / "launcher.c"
    source.write_text(text)
    minor = sys.version_info.minor
    python, site = os.path.realpath(sys.executable), sysconfig.get_path("platlib")
    (scratch / "launcher_config.h").write_text(
        f'#define BUILD_PYTHON_MINOR {minor}\n#define BUILD_PYTHON "{python}"\n'
        f'#define SOURCE_PACKAGE "{package}"\n#define SOURCE_SITE "{site}"\n'
    )
    command = [COMPILER, *FLAGS, *include_kernel_headers(), f"-I{scratch}"]
    subprocess.run([*command, source, "-o", target], check=True)


def make(name: str, directory: Path, final: Path, common: Path) -> None:
    """Make the whole tree of a weakening in `directory`, which is then called `final`."""
    texts = patched(name)
    package = directory / "tree" / "ocipy"
    # With the bytecode: it knows its source by time and size, which are copied as well.
    # Without the pack, which is another copy of all modules.
    ignore = shutil.ignore_patterns("packed_main.pyc")
    shutil.copytree(REPOSITORY / "ocipy", package, symlinks=False, ignore=ignore)
    native = {file: text for file, text in texts.items() if file.startswith("ocipy_native/init/")}
    for file, text in texts.items():
        if file.startswith("ocipy/"):
            (directory / "tree" / file).write_text(text)
    if native:
        init = package / "_native" / "ocipy-init"
        init.unlink()
        compile_init(init, common, native)
    command = directory / "ocipy"
    if "ocipy_native/launcher.c" in texts:
        text = texts["ocipy_native/launcher.c"]
        compile_launcher(command, directory, text, final / "tree" / "ocipy")
    else:
        python, site = os.path.realpath(sys.executable), sysconfig.get_path("platlib")
        command.write_text(WRAPPER.format(python=python, site=site))
        command.chmod(0o755)


def source_digest() -> str:
    """Return a digest of all that a build is made from, the table of weakenings included."""
    digest = hashlib.sha256()
    files = [*(REPOSITORY / "ocipy").rglob("*.py"), *NATIVE.rglob("*.[ch]")]
    files += [*(REPOSITORY / "ocipy" / "_native").glob("*.so"), *Path(__file__).parent.glob("wea*")]
    for file in sorted(file for file in files if file.is_file()):
        digest.update(str(file).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def build(name: str, common: Path) -> Path:
    """Return the command of a weakening, made below `common` by the first who asks for it."""
    common.mkdir(parents=True, exist_ok=True)
    directory = common / name
    with open(common / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            scratch = common / f"{name}.new"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            make(name, scratch, directory, common)
            os.rename(scratch, directory)
    return directory / "ocipy"


if __name__ == "__main__":
    print(build(sys.argv[1], Path(sys.argv[2]).resolve()))
