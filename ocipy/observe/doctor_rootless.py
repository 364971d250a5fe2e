"""`doctor` for a user without privileges: whose ids, and whose systemd, there are to use."""

from __future__ import annotations

import os

from ocipy.cgroup.systemd.bus import USER_HINT, user_addresses
from ocipy.host.obstacle import id_map_obstacle, names_of_user, subordinate_ids
from ocipy.observe.doctor import OK, WARN, Check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def id_helper_checks(uid: int, gid: int, path: str, root: str = "") -> Iterator[Check]:
    """Look whether newuidmap(1) and newgidmap(1) would map ids for a user.

    Args:
        uid, gid: the user's.
        path: PATH, where they are looked for.
        root: where "/" is, for tests.
    """
    names = names_of_user(uid, root)
    for kind, own_id in (("uid", uid), ("gid", gid)):
        granted = subordinate_ids(f"{root}/etc/sub{kind}", names)
        lines = [f"1 {first} {count}" for first, count in granted] or ["1 100000 65536"]
        obstacle = id_map_obstacle(kind, lines, names=names, own_id=own_id, path=path, root=root)
        ranges = ", ".join(f"{first}-{first + count - 1}" for first, count in granted)
        yield Check(
            "programs", f"new{kind}map",
            WARN if obstacle else OK,
            obstacle.problem if obstacle else f"installed, and gives {names[0]} {ranges}",
            f"without root a container has one {kind} only",
            obstacle.remedy if obstacle else "",
        )  # fmt: skip


def session_check(uid: int, environment: Mapping[str, str]) -> Check:
    """Look whether a user has a systemd of their own to make cgroups, on a host with systemd."""
    addresses = user_addresses(uid, environment)
    return Check(
        "programs", "systemd of the user", OK if addresses else WARN,
        f"at {addresses[0]}" if addresses else "no session: neither DBUS_SESSION_BUS_ADDRESS nor "
        "XDG_RUNTIME_DIR leads to one",
        "--systemd-cgroup cannot make a cgroup, so containers have no limits", USER_HINT,
    )  # fmt: skip


def user_checks(environment: Mapping[str, str]) -> Iterator[Check]:
    """Look at both for whoever calls us."""
    yield from id_helper_checks(os.getuid(), os.getgid(), environment.get("PATH", ""))
    if os.path.isdir("/run/systemd/system"):
        yield session_check(os.getuid(), environment)
