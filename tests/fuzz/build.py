"""Compile the harnesses of this directory: with gcc to replay corpora, with clang to fuzz.

    python -m tests.fuzz.build DIRECTORY [--kind fuzz|coverage] [HARNESS...]

Either way with the address and undefined-behaviour sanitizers, but for the kind "coverage": that is
clang's, too, and replays as gcc's does; llvm-cov then shows which lines of ours have run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

from ocipy.plan.encode import encode_plan, host_fds_of
from tests.unit.plan.test_golden_plans import CONFIGS, create_plan

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parent.parent / "ocipy_native"
FLAGS = ["-std=gnu11", "-g", "-O1", "-fno-omit-frame-pointer", "-Wall", "-Wextra"]
SANITIZERS = "address,undefined"


def _library() -> str:
    """Return the name of the library that embeds this interpreter."""
    return f"python{sysconfig.get_config_var('LDVERSION')}"


# Harness to what is compiled with it, beside itself, and the libraries.
SOURCES: dict[str, tuple[list[Path], list[str]]] = {
    "init": ([NATIVE / "init" / "plan_reader.c"], []),
    "launcher": ([], []),
    "calls": ([NATIVE / "calls_module.c"], [f"-l{_library()}"]),
    "shim": ([NATIVE / "shim_seccomp.c"], ["-lseccomp"]),
}
LOOK = {
    "int": "look_at(&args->{0}, sizeof(args->{0}));",
    "fd": "look_at(&args->{0}, sizeof(args->{0}));",
    "str": "look_at(args->{0}, strlen(args->{0}));",
    "container_path": "look_at(args->{0}, strlen(args->{0}));",
    "strs": "look_at_strings(args->{0});",
    "bytes": "look_at(args->{0}.data, args->{0}.length);",
}
LAUNCHER_CONFIG = """#define BUILD_PYTHON_MINOR 11
#define BUILD_PYTHON "/usr/bin/python3.11"
"""
STUBS_BEGIN = """/* Written by tests/fuzz/build.py: operations that only look at their arguments. */
#include "init.h"
#include "fuzz.h"

int steps_run;

static void look_at_strings(const char *const *list)
{
	for (; *list; list++)
		look_at(*list, strlen(*list));
}
"""


def stub_operations(operations: list[dict[str, Any]]) -> str:
    """Return C that has every operation of init, and reads each byte of what a plan gives it."""
    parts = [STUBS_BEGIN]
    for operation in operations:
        if operation["place"] == "host":
            continue
        name = operation["name"]
        looks = [LOOK[kind].format(arg) for arg, kind in operation["args"].items()]
        body = "".join(f"\t{line}\n" for line in looks)
        parts.append(
            f"int op_{name}(struct init_ctx *ctx, const struct {name}_args *args,\n"
            f"\tstruct step_report *report)\n{{\n"
            f"\t(void)args, (void)report;\n{body}\tsteps_run++;\n"
            # A step that fails now and then: its report is written, too.
            f"\treturn ctx->step % 61 == 60 ? -EPERM : 0;\n}}\n"
        )
    return "\n".join(parts)


def compile_harness(name: str, directory: Path, kind: str = "replay") -> Path:
    """Compile tests/fuzz/fuzz_NAME.c into `directory` and return the program."""
    sources, libraries = SOURCES[name]
    if name == "calls":
        place = sysconfig.get_config_var("LIBDIR")
        libraries = [f"-I{sysconfig.get_path('include')}", f"-L{place}", f"-Wl,-rpath,{place}"]
        libraries += SOURCES[name][1]
    compiler = "gcc" if kind == "replay" else "clang"
    command: list[str | Path] = [
        compiler,
        *FLAGS,
        f"-I{HERE}",
        f"-I{NATIVE / 'init'}",
        f"-I{NATIVE}",
    ]
    if kind == "coverage":
        command += ["-fprofile-instr-generate", "-fcoverage-mapping", HERE / "replay.c"]
        command.append("-D__SANITIZE_ADDRESS__")
    elif kind == "replay":
        command += [f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all", HERE / "replay.c"]
    else:
        command += [f"-fsanitize=fuzzer,{SANITIZERS}", "-fno-sanitize-recover=all"]
        # As gcc says it: the shim then clones with a plain system call.
        command += ["-D__SANITIZE_ADDRESS__", "-DLIBFUZZER"]
    if name == "init":
        stubs = directory / "stub_operations.c"
        table = tomllib.loads((NATIVE / "operations.toml").read_text())
        stubs.write_text(stub_operations(table["operation"]))
        sources = [*sources, stubs]
    if name == "launcher":
        (directory / "launcher_config.h").write_text(LAUNCHER_CONFIG)
        command.append(f"-I{directory}")
    program = directory / f"fuzz_{name}"
    command += [HERE / f"fuzz_{name}.c", *sources, "-o", program, *libraries]
    subprocess.run(command, check=True)
    return program


def write_plans(directory: Path) -> None:
    """Write the plans of configs that real engines have sent, as init gets them."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in CONFIGS:
        plan = create_plan(name, "hybrid").steps
        fds = {fd: 10 + i for i, (_, fd) in enumerate(host_fds_of(plan))}
        (directory / name).write_bytes(encode_plan(plan, fds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--kind", choices=["replay", "fuzz", "coverage"], default="replay")
    parser.add_argument("harnesses", nargs="*")
    given = parser.parse_intermixed_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    for name in given.harnesses or SOURCES:
        sys.stdout.write(f"{compile_harness(name, given.directory, given.kind)}\n")
    write_plans(given.directory / "plans")


if __name__ == "__main__":
    main()
