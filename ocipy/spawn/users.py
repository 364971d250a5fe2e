"""`exec --user`: numbers strictly parsed, names looked up in the container's own files.

A number that is parsed loosely runs a process as root: CVE-2026-30892 took "1" for 0. And the files
that names are looked up in belong to the image: anything may be there in their place.
"""

from __future__ import annotations

import os
import stat

from ocipy.errors import UsageError
from ocipy.sys import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Process, User
    from ocipy.request import Request

# user_namespaces(7): 4294967295 is (uid_t) -1, "no id".
_ID_MAX = 4294967294
_FILE_MAX = 1 << 20


def parse_id(text: str) -> int | None:
    """Return the number, or None for what is not the plain decimal form of an id.

    Only ASCII digits, no sign, no leading zero, no blank: str.isdigit() alone takes "١" and "²".
    """
    if not text.isascii() or not text.isdigit() or (text[0] == "0" and text != "0"):
        return None
    return int(text) if len(text) <= 10 and int(text) <= _ID_MAX else None


def user_of(request: Request, process: Process, pid: int) -> User:
    """Return the user that --user and --additional-gids name, in the container of init `pid`.

    Raises:
        UsageError: neither a number nor a name that the container knows.
    """
    user: User = {"uid": 0, "gid": 0}
    user.update(process.get("user", {}))
    text = request.text("user")
    if text:
        name, colon, group = text.partition(":")
        uid, login_gid = _look_up_user(name, pid)
        user["uid"] = uid
        if colon:
            user["gid"] = _look_up_group(group, pid)
        elif login_gid is not None:
            # As login(1) would; with a number runc keeps the group of the container process.
            user["gid"] = login_gid
    if request.texts("additional-gids"):
        user["additionalGids"] = [
            _look_up_group(gid, pid)
            for group in request.texts("additional-gids")
            for gid in group.split(",")
        ]
    return user


def _look_up_user(name: str, pid: int) -> tuple[int, int | None]:
    number = parse_id(name)
    if number is not None:
        return number, None
    _refuse_odd(name, "user")
    for fields in _entries(pid, "etc/passwd"):
        if fields[0] == name and len(fields) >= 4:
            uid, gid = parse_id(fields[2]), parse_id(fields[3])
            if uid is not None and gid is not None:
                return uid, gid
    raise UsageError(
        f"unable to find user {name}: no matching entries in the container's /etc/passwd",
        hint="a number works without an entry",
    )


def _look_up_group(name: str, pid: int) -> int:
    number = parse_id(name)
    if number is not None:
        return number
    _refuse_odd(name, "group")
    for fields in _entries(pid, "etc/group"):
        if fields[0] == name and len(fields) >= 3:
            gid = parse_id(fields[2])
            if gid is not None:
                return gid
    raise UsageError(
        f"unable to find group {name}: no matching entries in the container's /etc/group",
        hint="a number works without an entry",
    )


def _refuse_odd(name: str, what: str) -> None:
    """A mistyped number is no name: "-1", "0x1", "01", " 1" must not be looked up."""
    first = name[:1]
    if not name or first in "-+0123456789" or not first.isprintable() or first.isspace():
        raise UsageError(
            f"invalid {what} {name!r}",
            hint=f"a name, or a decimal number from 0 to {_ID_MAX}",
        )


def _entries(pid: int, path: str) -> list[list[str]]:
    """Return the lines of a file of the container, split at colons; [] if there is none."""
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # O_NONBLOCK: a fifo in its place must not stop us.
        fd = native.open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return []
    finally:
        os.close(root)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return []
        text = os.read(fd, _FILE_MAX).decode("utf-8", "surrogateescape")
    finally:
        os.close(fd)
    return [line.split(":") for line in text.split("\n") if line and not line.startswith("#")]
