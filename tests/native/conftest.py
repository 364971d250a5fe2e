"""Parts of ocipy-init, compiled into small programs with sanitizers. None of them needs root."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """A function that compiles tests/native/NAME.c with sources of init and returns the program."""
    directory = tmp_path_factory.mktemp("native")

    def compile_program(name: str, *sources: str) -> str:
        program = f"{directory}/{name}"
        if not os.path.exists(program):
            init = f"{REPOSITORY}/ocipy_native/init"
            files = [f"{REPOSITORY}/tests/native/{name}.c", *(f"{init}/{s}" for s in sources)]
            warnings = ["-Wall", "-Wextra", "-Werror", "-I", init]
            command = ["gcc", "-std=gnu11", "-g", "-O1", *SANITIZERS.split(), *warnings]
            subprocess.run([*command, *files, "-o", program], check=True)
        return program

    return compile_program
