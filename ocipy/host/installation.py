"""Who else can write to what a runtime that is root executes: a hole that no code can close."""

from __future__ import annotations

import os
import stat
import sys

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def writable_by_others() -> list[str]:
    """Return a sentence for each file or directory of this installation that others can change.

    These are the package with all that is in it, the interpreter, the standard library, and every
    directory above them. "Others" are all users but root and ourselves; a group counts as others.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    tops = {package, os.path.realpath(sys.executable), os.path.dirname(os.path.__file__)}
    paths = set(tops)
    for directory, names, files in os.walk(package):
        paths.update(f"{directory}/{name}" for name in (*names, *files))
    for path in tops:
        while path != "/":
            path = os.path.dirname(path)
            paths.add(path)
    return [f"{path}: {why}" for path in sorted(paths) if (why := _why(path))]


def _why(path: str) -> str:
    """Return who else can write to `path`, or ""."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return ""
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to uid {status.st_uid}"
    # In a sticky directory, such as /tmp, nobody can replace what is another's.
    if status.st_mode & _OTHERS and not status.st_mode & stat.S_ISVTX:
        return f"has mode {stat.S_IMODE(status.st_mode):04o}"
    return ""
