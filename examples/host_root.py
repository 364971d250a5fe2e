"""A root file system of the host's own programs, none of which can be changed from inside."""

from __future__ import annotations

import os
from typing import Any

# What a Debian has programs and libraries in; with a merged /usr all but the first are links.
_SYSTEM = ("usr", "bin", "lib", "lib32", "lib64", "libx32", "sbin")


def make_root(path: str) -> list[dict[str, Any]]:
    """Fill the new directory `path`; return the mounts that make a root file system of it."""
    os.chmod(path, 0o755)
    for name in ("dev", "etc", "proc", "sys", "tmp"):
        os.mkdir(f"{path}/{name}")
    with open(f"{path}/etc/passwd", "w", encoding="utf-8") as file:
        file.write("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    mounts = [tmpfs("/tmp", "16m")]
    for name in _SYSTEM:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{path}/{name}")
        elif os.path.isdir(f"/{name}"):
            os.mkdir(f"{path}/{name}")
            mounts.append(bind(f"/{name}", f"/{name}"))
    # Debian's links to the chosen one of several programs, such as cc, lead through it.
    if os.path.isdir("/etc/alternatives"):
        os.mkdir(f"{path}/etc/alternatives")
        mounts.append(bind("/etc/alternatives", "/etc/alternatives"))
    return mounts


def bind(source: str, destination: str, *, writable: bool = False) -> dict[str, Any]:
    """Return a mount of the host's `source`; nothing on it gives privileges, or is a device."""
    options = ["rbind", "nosuid", "nodev", "rw" if writable else "ro"]
    return {
        "destination": destination,
        "type": "bind",
        "source": os.path.abspath(source),
        "options": options,
    }


def tmpfs(destination: str, size: str) -> dict[str, Any]:
    """Return a mount of an empty file system that lives, and ends, with the container."""
    return {
        "destination": destination,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "nodev", f"size={size}", "mode=1777"],
    }
