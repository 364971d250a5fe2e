"""uid_map and gid_map of a new user namespace, directly or through newuidmap(1)."""

from __future__ import annotations

import errno
import os

from ocipy.errors import StepError
from ocipy.sys.fd import write_proc_file

_PATH = "/usr/bin:/bin"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.plan import _generated_steps as steps


def write_id_map(step: steps.WriteIdMap, pid: int) -> None:
    """Map the ids of the user namespace of `pid`; the kernel takes each map once, in one write(2).

    Raises:
        OSError, StepError: what the kernel or newuidmap(1) said.
    """
    try:
        if step.deny_setgroups:
            write_proc_file(f"/proc/{pid}/setgroups", "deny")
        write_proc_file(f"/proc/{pid}/{step.kind}_map", "".join(f"{line}\n" for line in step.lines))
    except PermissionError:
        # More than our own id, and no privileges: the setuid helper knows /etc/subuid.
        _run_helper(step, pid)


def _run_helper(step: steps.WriteIdMap, pid: int) -> None:
    import shutil
    import subprocess

    name = f"new{step.kind}map"
    program = shutil.which(name, path=os.environ.get("PATH") or _PATH)
    if program is None:
        raise StepError(step, "write", errno.EPERM, hint=_obstacle(step))
    numbers = [number for line in step.lines for number in line.split()]
    command = [program, str(pid), *numbers]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise StepError(
            step,
            name,
            0,
            detail=done.stderr.strip() or f"exit status {done.returncode}",
            hint=_obstacle(step)
            or f"/etc/sub{step.kind} must give this user the ids that are mapped",
        )


def _obstacle(step: steps.WriteIdMap) -> str:
    """Return why the helper could not, as far as can be seen from here."""
    from ocipy.host.obstacle import id_map_obstacle, names_of_user

    uid = os.geteuid()
    found = id_map_obstacle(
        step.kind,
        step.lines,
        names=names_of_user(uid),
        own_id=uid if step.kind == "uid" else os.getegid(),
        path=os.environ.get("PATH") or _PATH,
    )
    return str(found or "")
