"""Reading and writing the files of a cgroup.

A path is used as it is: no cgroup file system has symbolic links, and only its owner makes the
directories that lead there. O_NOFOLLOW is for a path that turns out to be something else.
"""

from __future__ import annotations

import os

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITE = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def read_file(path: str) -> str:
    """Return the content of a file.

    Raises:
        OSError: ENOENT, if the kernel or the cgroup does not have it; ENODEV, if the cgroup is
            removed meanwhile.
    """
    fd = os.open(path, _READ)
    try:
        content = b""
        while chunk := os.read(fd, 65536):
            content += chunk
        return os.fsdecode(content)
    finally:
        os.close(fd)


def write_file(path: str, value: str) -> None:
    """Write a value; each line of it with a write of its own, as the kernel takes them.

    Raises:
        OSError: what open(2) or write(2) says. Nothing is ever created.
    """
    fd = os.open(path, _WRITE)
    try:
        for line in value.splitlines() or [""]:
            os.write(fd, os.fsencode(line))
    finally:
        os.close(fd)


def read_pids(path: str) -> list[int]:
    """Return the processes in the cgroup `path` itself, zombies included; none if it is gone.

    0 stands for a process of another pid namespace.
    """
    try:
        return [int(pid) for pid in read_file(f"{path}/cgroup.procs").split()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        import errno

        if error.errno == errno.ENODEV:
            return []
        if error.errno != errno.EOPNOTSUPP:
            raise
        # In a threaded cgroup only threads can be listed.
        return [int(pid) for pid in read_file(f"{path}/cgroup.threads").split()]


def sub_cgroups(path: str) -> list[str]:
    """Return the cgroups below `path`, deepest first, without `path` itself."""
    found: list[str] = []
    pending = [path]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                children = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError):
            continue
        found += children
        pending += children
    # A child's path is longer than its parent's.
    found.sort(key=len, reverse=True)
    return found


def read_key(path: str, key: str) -> int | None:
    """Return the number behind `key` in a file of "key number" lines; None if it is not there."""
    try:
        text = read_file(path)
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None
