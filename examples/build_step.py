"""A build step: run a command on sources that it cannot change; what it writes to /out is kept.

    python -m examples.build_step SOURCE_DIRECTORY OUTPUT_DIRECTORY -- cc -o /out/hello hello.c

As a build should be: no network, the same host name, environment and user every time, nothing of
the host but its programs, and whatever else the command writes is gone afterwards.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING

import ocipy
from examples.host_root import bind, make_root

if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE = "usage: python -m examples.build_step SOURCE_DIRECTORY OUTPUT_DIRECTORY -- COMMAND..."


def build(source: str, output: str, command: Sequence[str]) -> ocipy.Exit:
    """Run `command` in /src, a read-only view of `source`; `output` is writable at /out."""
    os.makedirs(output, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-") as directory:
        mounts = [*make_root(directory), bind(source, "/src"), bind(output, "/out", writable=True)]
        for name in ("src", "out"):
            os.mkdir(f"{directory}/{name}")
        owner = os.stat(output)
        config = ocipy.Config.for_program(
            command,
            rootfs=directory,
            env={"SOURCE_DATE_EPOCH": "0", "LC_ALL": "C.UTF-8", "HOME": "/tmp"},
            cwd="/src",
            user=(owner.st_uid, owner.st_gid),
            hostname="build",
            mounts=mounts,
        )
        with ocipy.Container.create(config) as container:
            container.start()
            return container.wait()


def main(argv: Sequence[str]) -> int:
    if len(argv) < 4 or argv[2] != "--":
        print(_USAGE, file=sys.stderr)
        return 2
    return build(argv[0], argv[1], argv[3:]).code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
