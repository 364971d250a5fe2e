"""Init reports three numbers; the sentence is written here, where the plan is.

Texts in capitals below are ABI: docker turns them into the exit codes 126 and 127, podman into its
own error kinds. They are runc's, word for word.
"""

from __future__ import annotations

import errno
import os

from ocipy.errors import HookError, OcipyError, StepError, errno_text
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.plan.step import Step
    from ocipy.spawn.sync import Message

_PREFIX = "unable to start container process: "
NOT_FOUND = _PREFIX + 'exec: "{name}": executable file not found in $PATH'
NO_SUCH_FILE = _PREFIX + 'exec: "{name}": stat {name}: no such file or directory'
NOT_EXECUTABLE = _PREFIX + 'exec: "{name}": {why}'
EXEC_FAILED = _PREFIX + "exec {name}: {why}"

# What an errno most often means in a step of this operation; shown after the kernel's own word.
_HINTS = {
    ("change_directory", errno.ENOENT): "the directory must be inside the root filesystem",
    ("change_directory", errno.EACCES): "the user has no search permission on it",
    ("set_rlimit_from_outside", errno.EPERM): "raising a hard limit takes CAP_SYS_RESOURCE",
    ("set_rlimit", errno.EPERM): "raising a hard limit takes CAP_SYS_RESOURCE on the host",
    ("set_oom_score_adj", errno.EACCES): "a lower score than ours takes CAP_SYS_RESOURCE",
    ("set_scheduler", errno.EPERM): "real-time policies take CAP_SYS_NICE and a cgroup that has "
    "real-time bandwidth",
    ("set_io_priority", errno.EPERM): "IOPRIO_CLASS_RT takes CAP_SYS_ADMIN",
    ("join_namespace", errno.EINVAL): "the file must be a namespace of this type, as in "
    "/proc/PID/ns",
    ("join_namespace", errno.EPERM): "the namespace belongs to a user namespace over which ocipy "
    "has no CAP_SYS_ADMIN",
    ("enter_cgroup", errno.ENOSPC): "its cpuset.cpus or cpuset.mems is empty",
    ("fork_init", errno.EAGAIN): "the container's limit of processes (pids) or its user's "
    "(RLIMIT_NPROC) is reached; exec takes one more than its program, for a moment",
    ("set_user", errno.EINVAL): "the id has no mapping in the container's user namespace",
    ("become_root", errno.EINVAL): "id 0 has no mapping in the container's user namespace",
    ("write_id_map", errno.EPERM): "the ids must be ours, or mapped by newuidmap and /etc/subuid",
    ("write_sysctl", errno.ENOENT): "this kernel has no such sysctl, or not in a namespace",
    ("write_sysctl", errno.EINVAL): "the kernel does not take this value",
    ("write_sysctl", errno.EACCES): "the sysctl is read-only here",
    ("bind_rootfs", errno.ENOENT): "root.path must exist; a relative one starts at the bundle",
    ("bind_rootfs", errno.ESTALE): "another directory was put in its place while the container was "
    "made",
    ("pivot_root", errno.EINVAL): "the host's root is an initramfs? then use --no-pivot",
    ("mount_filesystem", errno.ENODEV): "a misspelt type, or a module that is not loaded",
    ("mount_filesystem", errno.EINVAL): "an option this file system does not know?",
    ("mount_legacy", errno.EINVAL): "an option this file system does not know?",
    ("mount_bind", errno.ENOTDIR): "a directory goes on a directory, and a file on a file",
    (
        "mount_bind",
        errno.EROFS,
    ): "the mountpoint is missing, and cannot be made in a read-only mount",
    ("mount_filesystem", errno.EROFS): "the mountpoint is missing, and cannot be made in a "
    "read-only mount",
    ("make_device", errno.EEXIST): "the image or a mount has it; take it out, or the device",
    ("make_device", errno.ENOTDIR): "/dev, and what else leads to it, must be directories",
    ("make_symlink", errno.ENOTDIR): "/dev of the image must be a directory, and no link",
    ("mount_filesystem", errno.ENOSPC): "with tmpcopyup, the size must be enough for the copy",
    ("load_seccomp", errno.EINVAL): "the kernel lacks an action or flag of this profile",
    ("load_seccomp", errno.EACCES): "without noNewPrivileges it takes CAP_SYS_ADMIN",
    ("spawn_init", errno.ENOSPC): "a limit in /proc/sys/user/max_*_namespaces is reached",
    ("spawn_init", errno.EPERM): "making namespaces takes root, or a user namespace first",
    ("spawn_init", errno.EUSERS): "too many nested user namespaces",
    ("move_network_device", errno.EPERM): "moving it takes CAP_NET_ADMIN over both network "
    "namespaces, the one that it is in, too",
    ("open_terminal", errno.ENOENT): "a terminal takes a devpts on /dev/pts (see mounts)",
}


# The kernel mounts these for a user namespace only if it owns what they show.
_MOUNT_HINTS = {
    "sysfs": "with a user namespace, sysfs takes a network namespace made with it; or bind /sys",
    "proc": "with a user namespace, proc takes a pid namespace made with it, and a host whose own "
    "/proc has nothing mounted over it",
    "mqueue": "with a user namespace, mqueue takes an ipc namespace made with it",
    "cgroup2": "with a user namespace, cgroup2 takes a cgroup namespace made with it",
}

# Why execve(2) refuses a file that has been found.
_EXEC_HINTS = {
    errno.ENOEXEC: "built for another architecture, or a script without #!?",
    errno.ENOENT: "the interpreter that it names, after #! or as its loader, is not there",
}


class ProgramError(OcipyError):
    """The program of the container is not there, or cannot be executed."""

    code = "E410"


class InitError(OcipyError):
    """ocipy-init ended without a report, or could not begin."""

    code = "E420"


def step_failure(step: Step, message: Message) -> OcipyError:
    """Return the error that says what init reported about a step."""
    if isinstance(step, steps.FindExecutable):
        return _not_found(step, message.error)
    if isinstance(step, steps.Exec):
        return ProgramError(
            EXEC_FAILED.format(name=step.argv[0], why=os.strerror(message.error).lower()),
            pointer=step.source,
            hint=_EXEC_HINTS.get(message.error, ""),
        )
    call = steps.CALLS[message.call] if message.call < len(steps.CALLS) else "?"
    if isinstance(step, steps.RunHook):
        return _hook_failure(step, call, message)
    return StepError(
        step,
        call,
        message.error,
        detail=message.detail,
        hint=_hint(step, message.error),
    )


def _hint(step: Step, code: int) -> str:
    hint = _HINTS.get((step.operation, code), "")
    if isinstance(step, steps.MountFilesystem) and code == errno.EPERM:
        hint = _MOUNT_HINTS.get(step.fstype, "")
    if not hint and code in (errno.EPERM, errno.EACCES) and os.geteuid() != 0:
        # Ubuntu's AppArmor lets everybody make a user namespace, and then do nothing in it.
        hint = _user_namespace_hint()
    return hint


def _user_namespace_hint() -> str:
    from ocipy.host.obstacle import user_namespace_obstacle

    return str(user_namespace_obstacle() or "")


def host_step_failure(step: Step, error: OSError) -> OcipyError:
    """Return the error that says what the kernel answered to a step of the host."""
    code = error.errno or 0
    detail = str(error.filename) if error.filename else ""
    # Of a pair like open and write it is mostly the last; execveat fails in init, which then ends.
    call = "clone3" if isinstance(step, steps.SpawnInit) else "".join(step.calls[-1:])
    hint = _HINTS.get((step.operation, code), "")
    if isinstance(step, steps.SpawnInit):
        from ocipy.sys.constants import CLONE_NEWUSER

        if step.clone_flags & CLONE_NEWUSER:
            hint = _user_namespace_hint() or hint
    return StepError(step, call, code, detail=detail, hint=hint)


def _not_found(step: steps.FindExecutable, code: int) -> OcipyError:
    name = step.name
    if "/" not in name:
        # Like execvp(3) and Go's LookPath: whatever each directory's reason was.
        text = NOT_FOUND.format(name=name)
    elif code == errno.ENOENT:
        text = NO_SUCH_FILE.format(name=name)
    elif code in (errno.EACCES, errno.EISDIR):
        text = NOT_EXECUTABLE.format(name=name, why="permission denied")
    else:
        text = NOT_EXECUTABLE.format(name=name, why=f"stat {name}: {os.strerror(code).lower()}")
    hint = ""
    if "/" not in name and name:
        hint = "looked for in the root filesystem, along PATH of process.env"
    elif code == errno.EISDIR:
        hint = "it is a directory"
    elif not name:
        hint = "the first of process.args is empty"
    return ProgramError(text, pointer=step.source, hint=hint)


def plan_refused(message: Message) -> OcipyError:
    """Return the error for a plan that init would not run any step of."""
    return InitError(
        f"ocipy-init cannot read its plan: {errno_text(message.error)}",
        hint="is ocipy-init of the same build as the package? Else this is a bug in ocipy",
    )


def describe_wait_status(status: int) -> str:
    """Return how a process ended, by its wait status: "exit status 3", "signal 9 (Killed)"."""
    if os.WIFSIGNALED(status):
        from _signal import strsignal  # type: ignore[import-not-found, unused-ignore]

        number = os.WTERMSIG(status)
        return f"signal {number} ({strsignal(number)})"
    return f"exit status {os.WEXITSTATUS(status)}"


def _hook_failure(step: steps.RunHook, call: str, message: Message) -> OcipyError:
    printed = f": {message.detail}" if message.detail else ""
    if call == "wait4":
        how = describe_wait_status(message.error)
    elif message.error == errno.ETIMEDOUT:
        how = f"ran past its timeout of {step.timeout_ms / 1000:g}s and was killed"
    else:
        how = f"{call}: {errno_text(message.error)}"
    return HookError(f"{step.kind} hook {step.path!r}: {how}{printed}", pointer=step.source)


def init_died(status: int) -> OcipyError:
    """Return the error for an init that ended without a report; `status` is its wait status."""
    how = describe_wait_status(status)
    hint = ""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == 9:
            hint = "the memory limit may be too small, or somebody killed it"
        elif number in (4, 31):  # SIGILL, by init itself: even exit_group(2) was forbidden
            hint = "the seccomp profile forbids a system call that starting the program takes"
    return InitError(f"container init died before the program started: {how}", hint=hint)
