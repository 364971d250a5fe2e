"""A static program for bundles that makes one system call and says what the kernel answered."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.containers import Container

# `call NAME|NUMBER [ARGUMENT...]` prints the result: 0 or more, or -errno. `call32` makes it as the
# i386 architecture: int 0x80 is that, from a 64-bit program, too.
SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <errno.h>

static const struct { const char *name; long number; } names[] = {
	{ "personality", SYS_personality }, { "getpriority", SYS_getpriority },
	{ "unshare", SYS_unshare }, { "sethostname", SYS_sethostname }, { "sync", SYS_sync },
	{ "clone3", 435 }, { "getuid", SYS_getuid }, { "write", SYS_write }, { "read", SYS_read },
	{ "getsid", SYS_getsid }, { "keyctl", SYS_keyctl },
};

int main(int argc, char **argv)
{
	unsigned long args[6] = { 0 };
	char *end;
	long number = strtol(argv[1], &end, 0), result;

	for (size_t i = 0; *end && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(argv[1], names[i].name))
			number = names[i].number, end = "";
	if (*end)
		return 99;
	for (int i = 2; i < argc && i < 8; i++)
		args[i - 2] = strtoul(argv[i], NULL, 0);
#ifdef __x86_64__
	if (strstr(argv[0], "call32")) {
		__asm__ volatile("int $0x80" : "=a"(result)
				: "a"(number), "b"(args[0]), "c"(args[1]), "d"(args[2])
				: "r8", "r9", "r10", "r11", "memory");
		printf("%ld\n", (long)(int)result);
		return 0;
	}
#endif
	result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
	printf("%ld\n", result < 0 ? -errno : result);
	return 0;
}
"""


@pytest.fixture(scope="session")
def call_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program, compiled."""
    directory = tmp_path_factory.mktemp("call")
    source = directory / "call.c"
    source.write_text(SOURCE)
    program = directory / "call"
    subprocess.run(["gcc", "-static", "-O", "-w", "-o", program, source], check=True)
    return program


@pytest.fixture
def caller(container: Container, call_program: Path) -> Callable[..., str]:
    """Put the program into the container's image; return a function that runs it there.

    The function takes command lines, and returns what they printed, separated by spaces, or
    "status N" if the one program did not end well.
    """
    for name in ("call", "call32"):
        os.link(call_program, f"{container.bundle.rootfs}/bin/{name}")

    def run(*commands: str) -> str:
        if len(commands) == 1:
            container.args(*commands[0].split())
        else:
            container.script("; ".join(commands))
        done = container.run(check=False)
        return " ".join(done.out.split()) if done.status == 0 else f"status {done.status}"

    return run
