"""Compiled seccomp filters, kept by content: compiling takes milliseconds, reading does not.

A file's name is the hash of the profile and of everything that compiled it, so an entry never has
to be replaced, only dropped. Its content is the hash of the program and then the program: what a
full disk or a crash left behind does not count. The directory belongs to us alone, and is not used
otherwise; for anybody who could write there could also take a filter away.
"""

from __future__ import annotations

import os
import stat

try:
    from _sha256 import sha256  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # Python 3.12 and later
    from _sha2 import sha256  # type: ignore[import-not-found, unused-ignore]

# Hidden from those who list the root, and no container: no id has an "@" in it.
DIRECTORY = ".@seccomp"

_HASH_BYTES = 32
_INSTRUCTION_BYTES = 8
_MAX_BYTES = _HASH_BYTES + 4096 * _INSTRUCTION_BYTES  # BPF_MAXINSNS
# A host has a few profiles. Those of somebody who generates them must not fill /run.
_MAX_ENTRIES = 64


class FilterCache:
    """The cache in ROOT/.@seccomp; made when something is first stored."""

    __slots__ = ("path",)

    def __init__(self, state_root: str) -> None:
        self.path = f"{state_root}/{DIRECTORY}"

    def load(self, key: bytes) -> bytes | None:
        """Return the program stored for `key`, or None: there is none, or it cannot be trusted."""
        directory = self._open()
        if directory is None:
            return None
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(_name(key), flags, dir_fd=directory)
        except OSError:  # none, or a link that somebody put there
            return None
        finally:
            os.close(directory)
        try:
            return _trusted_program(fd)
        except OSError:
            return None
        finally:
            os.close(fd)

    def store(self, key: bytes, program: bytes) -> None:
        """Keep a program; that this fails is no failure."""
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            directory = self._open()
            if directory is None:
                return
            try:
                _prune(directory)
                _write(directory, _name(key), sha256(program).digest() + program)
            finally:
                os.close(directory)
        except OSError:  # full, read-only, or not ours: the next container compiles again
            return

    def _open(self) -> int | None:
        """Return the directory's descriptor, or None unless it is ours and nobody else's."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            directory = os.open(self.path, flags)
        except OSError:
            return None
        status = os.fstat(directory)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o077 == 0:
            return directory
        os.close(directory)
        return None


def _name(key: bytes) -> str:
    return str(sha256(key).hexdigest())


def _trusted_program(fd: int) -> bytes | None:
    status = os.fstat(fd)
    ours = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o077 == 0
    if not (ours and stat.S_ISREG(status.st_mode)):
        return None
    content = os.read(fd, _MAX_BYTES + 1)
    program = content[_HASH_BYTES:]
    if not program or len(content) > _MAX_BYTES or len(program) % _INSTRUCTION_BYTES:
        return None
    return program if sha256(program).digest() == content[:_HASH_BYTES] else None


def _write(directory: int, name: str, content: bytes) -> None:
    # Two commands may store the same program at once: each has a name of its own to write to, and
    # the rename of either is right.
    new = f"{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(new, flags, 0o600, dir_fd=directory)
    try:
        written = os.write(fd, content)
    finally:
        os.close(fd)
    if written == len(content):
        os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)
    else:
        os.unlink(new, dir_fd=directory)


def _prune(directory: int) -> None:
    """Make room: of too many entries the older half goes."""
    names = os.listdir(directory)
    if len(names) < _MAX_ENTRIES:
        return

    def age(name: str) -> int:
        try:
            return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime_ns
        except FileNotFoundError:  # another command prunes as well
            return 0

    for name in sorted(names, key=age)[: _MAX_ENTRIES // 2]:
        try:
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            pass
