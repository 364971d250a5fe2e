"""What keeps a user without privileges from running containers here, and how to mend it.

Each function looks at one condition that a kernel, distribution or administrator may have set, and
returns an Obstacle, or None where there is none. They are asked when something has failed, for the
hint, and by checks of the host; nothing is changed. `root` is where "/" is, for tests.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# capabilities(7): struct vfs_cap_data, revisions 2 and 3; the first word of permitted ones.
_CAPABILITY_XATTR = "security.capability"
_CAP_SETGID, _CAP_SETUID = 6, 7
_SETUID_BIT = 0o4000
_ST_NOSUID = 2


class Obstacle:
    """One thing in the way: `problem` is a sentence's end, lower case; `remedy` what to do."""

    __slots__ = ("problem", "remedy")

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}"


def user_namespace_obstacle(root: str = "") -> Obstacle | None:
    """Why this kernel lets no user without privileges make a user namespace."""
    if not os.path.exists(f"{root}/proc/self/ns/user"):
        return Obstacle("the kernel has no user namespaces", "boot one with CONFIG_USER_NS=y")
    limit = _read(f"{root}/proc/sys/user/max_user_namespaces")
    if limit == "0":
        return Obstacle(
            "user.max_user_namespaces is 0",
            "as root: sysctl -w user.max_user_namespaces=15000, and in /etc/sysctl.d to keep it",
        )
    if _read(f"{root}/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return Obstacle(
            "kernel.unprivileged_userns_clone is 0 (Debian's and Arch's kernels)",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1, and in /etc/sysctl.d to keep "
            "it",
        )
    if _read(f"{root}/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return Obstacle(
            "AppArmor restricts user namespaces of users without privileges (Ubuntu 23.10 and "
            "later)",
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile with "
            "'userns,' for the program",
        )
    return None


def id_map_obstacle(
    kind: str,
    lines: Sequence[str],
    *,
    names: Sequence[str],
    own_id: int,
    path: str = "",
    root: str = "",
) -> Obstacle | None:
    """Why newuidmap(1) or newgidmap(1) will not map ids for a user.

    Args:
        kind: "uid" or "gid".
        lines: of the map: "INSIDE OUTSIDE COUNT".
        names: what the user is called in /etc/subuid: the name, and the number.
        own_id: the user's own uid or gid, which needs no entry.
        path: PATH, where the helper is looked for; "" for the system's directories.
    """
    helper = f"new{kind}map"
    program = _which(helper, path or "/usr/local/bin:/usr/bin:/bin", root)
    if not program:
        return Obstacle(
            f"{helper} is not installed",
            "as root: apt install uidmap (Debian), dnf install shadow-utils (Fedora); or map only "
            "your own id, as 'ocipy spec --rootless' does",
        )
    if not _may_map(program, _CAP_SETUID if kind == "uid" else _CAP_SETGID):
        return Obstacle(
            f"{program} is neither setuid root nor has it cap_set{kind}",
            f"as root: chmod u+s {program}, or setcap cap_set{kind}+ep {program}",
        )
    if os.statvfs(program).f_flag & _ST_NOSUID:
        return Obstacle(
            f"{program} is on a file system mounted nosuid, so that it gets no privileges",
            "install it elsewhere",
        )
    granted = subordinate_ids(f"{root}/etc/sub{kind}", names)
    table = f"/etc/sub{kind}"
    if not granted and [line.split()[1:] for line in lines] != [[str(own_id), "1"]]:
        return Obstacle(
            f"{table} has no entry for {names[0]}",
            f"as root: usermod --add-sub{kind}s 100000-165535 {names[0]}",
        )
    for line in lines:
        _, outside, count = map(int, line.split())
        if count == 1 and outside == own_id:
            continue
        if not any(a <= outside and outside + count <= a + n for a, n in granted):
            ranges = ", ".join(f"{a}-{a + n - 1}" for a, n in granted) or "nothing"
            return Obstacle(
                f"{table} gives {names[0]} {ranges}, not {outside}-{outside + count - 1}",
                f"map ids of that range in /linux/{kind}Mappings, or give more: usermod "
                f"--add-sub{kind}s {outside}-{outside + count - 1} {names[0]}",
            )
    return None


def subordinate_ids(file: str, names: Sequence[str]) -> list[tuple[int, int]]:
    """Return (first, count) of each range that subuid(5) has for any of the names."""
    ranges = []
    for line in _read(file).splitlines():
        name, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        if name in names and first.strip().isdigit() and count.strip().isdigit():
            ranges.append((int(first), int(count)))
    return ranges


def delegation_obstacle(
    own_cgroup: str, wanted: Sequence[str] = (), *, uid: int = -1
) -> Obstacle | None:
    """Why limits cannot be set on cgroup v2 without privileges.

    Args:
        own_cgroup: absolute directory of the cgroup that the caller is in.
        wanted: controllers that are needed, "memory"; none where any cgroup will do.
        uid: the user's, for the remedy.
    """
    parent = os.path.dirname(own_cgroup)
    remedy = (
        "on a host with systemd use --systemd-cgroup in a session of its own; without, let root "
        f"give you a part of the tree: chown {uid if uid >= 0 else 'UID'} the directory, its "
        "cgroup.procs, cgroup.subtree_control and cgroup.threads, and start ocipy in a cgroup "
        "below it"
    )
    if not os.access(parent, os.W_OK):
        return Obstacle(f"the cgroup {parent} is not delegated to you", remedy)
    available = _read(f"{parent}/cgroup.controllers").split()
    missing = [name for name in wanted if name not in available]
    if missing:
        return Obstacle(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not delegated to {parent}"
            f" (it has {' '.join(available) or 'no controllers'})",
            "as root: systemctl edit user@.service, with [Service] and Delegate=cpu cpuset io "
            "memory pids, then log in again",
        )
    return None


def names_of_user(uid: int, root: str = "") -> list[str]:
    """Return what subuid(5) may call a user: the login name, if there is one, and the number."""
    for line in _read(f"{root}/etc/passwd").splitlines():
        name, _, number, *_ = [*line.split(":"), "", "", ""]
        if number == str(uid):
            return [name, str(uid)]
    # Of a directory service, say, which is nobody's hot path.
    import pwd

    try:
        return [pwd.getpwuid(uid).pw_name, str(uid)] if not root else [str(uid)]
    except KeyError:
        return [str(uid)]


def _may_map(program: str, capability: int) -> bool:
    status = os.stat(program)
    if status.st_mode & _SETUID_BIT and status.st_uid == 0:
        return True
    try:
        data = os.getxattr(program, _CAPABILITY_XATTR)
    except OSError:
        return False
    return len(data) >= 8 and bool(int.from_bytes(data[4:8], "little") >> capability & 1)


def _which(name: str, path: str, root: str) -> str:
    for directory in path.split(":"):
        candidate = f"{root}{directory or '.'}/{name}"
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
