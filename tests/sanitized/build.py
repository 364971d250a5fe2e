"""ocipy with its C compiled for address and undefined-behaviour sanitizers.

    python -m tests.sanitized.build DIRECTORY      makes DIRECTORY/ocipy, to be used as RUNTIME

init is linked dynamically here, as the sanitizers ask for; its loader finds the host's libraries,
because init is executed before it leaves the host's root. The shim needs the address sanitizer
loaded before the interpreter, hence the wrapper.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
NATIVE = REPOSITORY / "ocipy_native"
FLAGS = ["-std=gnu11", "-g", "-O1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"]
FLAGS += ["-fsanitize=address,undefined"]

# init has no environment to take options from. Leaks are none of its matters: it allocates nothing
# and ends in execve.
OPTIONS_C = """
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=1";
}
"""
WRAPPER = """#!/bin/sh
# Leaks are the interpreter's: it frees nothing on its way out.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
export LD_PRELOAD='{asan}'
exec '{python}' -I -S -X utf8=1 -X ocipy_path='{site}' '{tree}/ocipy/__main__.py' "$@"
"""


def compile_init(target: Path, scratch: Path) -> None:
    """Compile all of init into `target`."""
    options = scratch / "options.c"
    options.write_text(OPTIONS_C)
    sources = sorted((NATIVE / "init").glob("*.c"))
    subprocess.run(["gcc", *FLAGS, *sources, options, "-o", target], check=True)


def compile_shim(target: Path, scratch: Path) -> None:
    """Compile the extension module into `target`."""
    module = scratch / "shim_module.c"
    cdefs = sorted(NATIVE.glob("shim*.cdef"))
    subprocess.run([sys.executable, NATIVE / "build_shim.py", module, *cdefs], check=True)
    include = [f"-I{NATIVE}", f"-I{sysconfig.get_path('include')}"]
    sources = [module, *sorted(NATIVE.glob("shim_*.c"))]
    flags = [*FLAGS, "-shared", "-fPIC", "-w"]
    subprocess.run(["gcc", *flags, *include, *sources, "-lseccomp", "-o", target], check=True)


def compile_calls(target: Path) -> None:
    """Compile the extension module without cffi into `target`."""
    include = [f"-I{NATIVE}", f"-I{sysconfig.get_path('include')}"]
    sources = [NATIVE / "calls_module.c", NATIVE / "shim.c"]
    flags = [*FLAGS, "-shared", "-fPIC", "-DPy_LIMITED_API=0x030b0000"]
    subprocess.run(["gcc", *flags, *include, *sources, "-o", target], check=True)


def build(directory: Path) -> Path:
    """Make a whole tree below `directory`; return the path of its command."""
    tree = directory / "tree"
    if tree.exists():
        shutil.rmtree(tree)
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.pyc", "ocipy-init")
    shutil.copytree(REPOSITORY / "ocipy", tree / "ocipy", ignore=ignore, symlinks=False)
    compile_init(tree / "ocipy" / "_native" / "ocipy-init", directory)
    compile_shim(tree / "ocipy" / "_native" / "_shim.abi3.so", directory)
    compile_calls(tree / "ocipy" / "_native" / "_calls.abi3.so")
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    )
    command = directory / "ocipy"
    command.write_text(
        WRAPPER.format(
            asan=os.path.realpath(found.stdout.strip()),
            python=os.path.realpath(sys.executable),
            site=sysconfig.get_path("platlib"),
            tree=tree,
        )
    )
    command.chmod(0o755)
    return command


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    print(build(Path(sys.argv[1]).resolve()))
