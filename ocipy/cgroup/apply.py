"""Carries out the cgroup steps of a plan, on the host.

What a step is about to make is put on the undo list before it is made, so that whoever fails later
takes it back.
"""

from __future__ import annotations

import errno
import os
import time

from ocipy.cgroup.files import read_file, read_key, read_pids, sub_cgroups, write_file
from ocipy.errors import StepError, errno_text
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from ocipy.plan.step import Step

    class Undo(Protocol):
        """Collects what to call, newest first, if a later step fails."""

        def push(self, call: Callable[..., object], /, *args: object) -> None: ...


# The kernel refuses a process for the moment between its making and its first run.
_JOIN_TRIES, _JOIN_PAUSE_SECONDS = 5, 0.01
# A concurrent `delete` may remove a parent between our look at it and our mkdir(2) in it.
_CREATE_TRIES = 20


def execute(step: Step, pid: int, undo: Undo) -> None:
    """Carry out one step; `pid` is the container's process, where the step needs one.

    Raises:
        StepError: the kernel refuses; names the file, and in the hint what to do.
    """
    if executor := _EXECUTORS.get(step.operation):
        executor(step, pid, undo)
    else:
        from ocipy.cgroup.systemd import apply as by_systemd

        by_systemd.execute(step, pid, undo)


def missing_directories(path: str, mountpoint: str) -> list[str]:
    """Return `path` and its parents below `mountpoint` that are not there, deepest first."""
    missing = []
    # With the slash it must be a directory: a cgroup has files, too.
    while path != mountpoint and len(path) > len(mountpoint) and not os.access(f"{path}/", os.F_OK):
        missing.append(path)
        path = path.rpartition("/")[0]
    return missing


def remove_empty(directories: Sequence[str]) -> None:
    """Remove cgroups, deepest first, as far as nobody else uses them."""
    for directory in directories:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue
        except OSError:
            return  # somebody has made a cgroup in it, or moved in: not ours any more


def _create_cgroup(step: steps.CreateCgroup, pid: int, undo: Undo) -> None:
    for _ in range(_CREATE_TRIES):
        missing = missing_directories(step.path, step.mountpoint)
        if not missing:
            return
        undo.push(remove_empty, missing)
        try:
            for directory in reversed(missing):
                try:
                    os.mkdir(directory, 0o755)
                except FileExistsError:  # made by somebody else meanwhile
                    if os.path.isfile(directory):
                        hint = "the kernel has a file of that name there; name another cgroup"
                        raise StepError(step, "mkdir", errno.EEXIST, hint=hint) from None
            return
        except FileNotFoundError:
            continue
        except OSError as error:
            if _is_ignored(error, step.ignore):
                return
            raise StepError(step, "mkdir", error.errno or 0, hint=_permission_hint(error)) from None
    raise StepError(step, "mkdir", errno.ENOENT, detail="its parents keep being removed")


def _permission_hint(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            "run ocipy as root; or without: see 'ocipy spec --rootless', --cgroup-manager=disabled"
        )
    return ""


def _enable_controllers(step: steps.EnableControllers, pid: int, undo: Undo) -> None:
    if not os.path.isdir(step.path):
        return  # it could not be made, and need not be
    parents = []
    parent = os.path.dirname(step.path)
    while len(parent) >= len(step.mountpoint):
        parents.append(parent)
        parent = os.path.dirname(parent)
    for parent in reversed(parents):
        file = f"{parent}/cgroup.subtree_control"
        try:
            write_file(file, " ".join(f"+{name}" for name in step.controllers))
        except OSError as error:
            # One that cannot be enabled keeps the others from it, too. Where processes are in the
            # way, some could be, but would make this cgroup and those below it threaded: a price
            # to pay only for what is asked for.
            occupied = error.errno in (errno.EBUSY, errno.EOPNOTSUPP)
            # A user to whom a part of the tree was delegated may not write above it, and need not.
            enabled = _try_read(file).split()
            for name in step.required if occupied else step.controllers:
                if name not in enabled:
                    _enable_one(step, file, name)
    _leave_invalid_domain(step)


def _enable_one(step: steps.EnableControllers, file: str, name: str) -> None:
    try:
        write_file(file, f"+{name}")
    except OSError as error:
        if name not in step.required:
            return
        hint = ""
        if error.errno in (errno.EBUSY, errno.EOPNOTSUPP):
            hint = (
                "cgroup v2 limits only cgroups beside which no processes are: move those in "
                f"{os.path.dirname(file)} into a cgroup of their own"
            )
        elif error.errno == errno.ENOENT:
            hint = f"the controller {name} is not available there; see cgroup.controllers"
        detail = f"+{name} to {file}"
        raise StepError(step, "write", error.errno or 0, detail=detail, hint=hint) from None


def _leave_invalid_domain(step: steps.EnableControllers) -> None:
    """Below a threaded cgroup a new one is no valid domain: nobody can join before it is threaded,
    and then it can have threaded controllers only (cgroups(7))."""
    try:
        if read_file(f"{step.path}/cgroup.type").strip() != "domain invalid":
            return
        domain_only = [name for name in step.required if name in ("memory", "io", "hugetlb")]
        if domain_only:
            detail = f"below a threaded cgroup there is no {', '.join(domain_only)}"
            raise StepError(step, "", 0, detail=detail)
        write_file(f"{step.path}/cgroup.type", "threaded")
    except OSError as error:
        raise StepError(step, "write", error.errno or 0, detail="cgroup.type") from None


def _write_cgroup_file(step: steps.WriteCgroupFile, pid: int, undo: Undo) -> None:
    path, value = step.path, step.value
    try:
        try:
            write_file(path, value)
        except FileNotFoundError:
            if not step.fallback_path:
                raise
            path, value = step.fallback_path, step.fallback_value
            write_file(path, value)
    except OSError as error:
        if not _is_ignored(error, step.ignore):
            raise _cannot_write(step, path, error) from None


def _write_dependent_cgroup_files(
    step: steps.WriteDependentCgroupFiles, pid: int, undo: Undo
) -> None:
    pending = list(zip(step.paths, step.values, strict=True))
    while pending:
        refused = []
        last: tuple[str, OSError] | None = None
        for path, value in pending:
            try:
                write_file(path, value)
            except OSError as error:
                if _is_ignored(error, step.ignore):
                    continue
                if error.errno != errno.EINVAL:
                    raise _cannot_write(step, path, error) from None
                refused.append((path, value))
                last = last or (path, error)
        if last is not None and len(refused) == len(pending):
            raise _cannot_write(step, *last)
        pending = refused


_FIELDS = {
    "memory.limit_in_bytes": "limit",
    "memory.memsw.limit_in_bytes": "swap",
    "cpu.cfs_quota_us": "quota",
    "cpu.cfs_period_us": "period",
    "cpu.cfs_burst_us": "burst",
    "cpu.max": "quota",
    "cpu.max.burst": "burst",
    "cpu.rt_period_us": "realtimePeriod",
    "cpu.rt_runtime_us": "realtimeRuntime",
}


def _cannot_write(step: Step, path: str, error: OSError) -> StepError:
    directory, name = os.path.split(path)
    code = error.errno or 0
    detail, hint = path if path != getattr(step, "path", "") else "", ""
    controller = name.partition(".")[0]
    if code == errno.ENOENT:
        try:
            enabled = read_file(f"{directory}/cgroup.controllers").split()
        except OSError:
            enabled = [controller]  # v1
        if not os.path.isdir(directory):
            hint = "somebody has removed this cgroup"
        elif controller in enabled or controller == "cgroup":
            hint = f"this kernel has no {name}"
        else:
            hint = f"the controller {controller} is not enabled in {directory}"
    elif code == errno.EBUSY and name == "memory.limit_in_bytes":
        # runc's words; the kernel has tried to free memory, and given up.
        usage, peak = (
            _try_read(f"{directory}/memory.{n}_in_bytes") for n in ("usage", "max_usage")
        )
        detail = f"unable to set memory limit (current usage: {usage}, peak usage: {peak})"
    elif code == errno.EOPNOTSUPP:
        hint = f"this kernel no longer supports {name}"
    elif code == errno.EINVAL and name == "cpu.rt_runtime_us":
        hint = "the cgroups above need as much in their cpu.rt_runtime_us, and begin with 0"
    refused = StepError(step, "write", code, detail=detail, hint=hint)
    if isinstance(step, steps.WriteDependentCgroupFiles) and name in _FIELDS:
        # The step stands for several fields, and has the pointer of the first.
        refused.pointer = f"{step.source.rpartition('/')[0]}/{_FIELDS[name]}"
    return refused


def _try_read(path: str) -> str:
    try:
        return read_file(path).strip()
    except OSError as error:
        return errno_text(error.errno or 0)


def _is_ignored(error: OSError, names: Sequence[str]) -> bool:
    return errno.errorcode.get(error.errno or 0) in names


def _join_cgroup(step: steps.JoinCgroup, pid: int, undo: Undo) -> None:
    for tries_left in reversed(range(_JOIN_TRIES)):
        try:
            write_file(f"{step.path}/cgroup.procs", str(pid))
            return
        except OSError as error:
            if _is_ignored(error, step.ignore):
                return
            if error.errno == errno.EINVAL and tries_left:
                time.sleep(_JOIN_PAUSE_SECONDS)
                continue
            hint = ""
            if error.errno == errno.ENOSPC:
                hint = "its cpuset.cpus or cpuset.mems is empty"
            raise StepError(step, "write", error.errno or 0, hint=hint) from None


def _inherit_cpuset(step: steps.InheritCpuset, pid: int, undo: Undo) -> None:
    """In v1 a new cpuset is empty, and nobody can join an empty one."""
    if not os.path.isdir(step.path):
        return
    directory = step.mountpoint
    # Mounted with "noprefix", as Android does, the names have none.
    prefix = "cpuset." if os.path.exists(f"{directory}/cpuset.cpus") else ""
    inherited = {
        name: _read_cpuset(step, f"{directory}/{prefix}{name}") for name in ("cpus", "mems")
    }
    for part in step.path[len(step.mountpoint) :].split("/")[1:]:
        directory = f"{directory}/{part}"
        for name, above in inherited.items():
            path = f"{directory}/{prefix}{name}"
            own = _read_cpuset(step, path)
            if not own:
                try:
                    write_file(path, above)
                except OSError as error:
                    raise _cannot_write(step, path, error) from None
            inherited[name] = own or above


def _read_cpuset(step: Step, path: str) -> str:
    try:
        return read_file(path).strip()
    except OSError as error:
        raise StepError(step, "openat", error.errno or 0, detail=path) from None


def _check_cgroup(step: steps.CheckCgroup, pid: int, undo: Undo) -> None:
    """Spec (config-linux.md#control-groups): a runtime MAY check whether the cgroup is fit."""
    from ocipy.cgroup.freezer import frozen_above, how_to_thaw

    if above := frozen_above(step.path):
        detail = f"the cgroup above it, {above}, is frozen"
        raise StepError(step, "", 0, detail=detail, hint=how_to_thaw(above))
    if not os.path.isdir(step.path):
        return
    count = sum(len(read_pids(path)) for path in (step.path, *sub_cgroups(step.path)))
    if count:
        # runc's words.
        detail = f"container's cgroup is not empty: {count} process(es) found"
        hint = "another container uses it, or processes of a former one are still there"
        raise StepError(step, "", 0, detail=detail, hint=hint)
    frozen = read_key(f"{step.path}/cgroup.events", "frozen")
    if frozen is None:
        try:
            frozen = read_file(f"{step.path}/freezer.state").strip() != "THAWED"
        except OSError:
            frozen = False
    if frozen:
        detail = "container's cgroup unexpectedly frozen"
        raise StepError(step, "", 0, detail=detail, hint=how_to_thaw(step.path))


def _check_memory_usage(step: steps.CheckMemoryUsage, pid: int, undo: Undo) -> None:
    """Spec (config-linux.md#memory), checkBeforeUpdate: v2 would kill rather than refuse."""
    try:
        usage = int(read_file(f"{step.path}/memory.current"))
    except FileNotFoundError:
        return  # the write that follows says so better
    if step.limit <= usage:
        # runc's words.
        detail = f"rejecting memory limit {step.limit} <= usage {usage}"
        raise StepError(step, "", 0, detail=detail)


def _delegate_cgroup(step: steps.DelegateCgroup, pid: int, undo: Undo) -> None:
    try:
        directory = os.open(step.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchown(directory, step.uid, -1)
            for file in step.files:
                try:
                    os.chown(file, step.uid, -1, dir_fd=directory, follow_symlinks=False)
                except FileNotFoundError:
                    pass  # Spec: "not all files ... necessarily exist", "MUST NOT fail"
        finally:
            os.close(directory)
    except OSError as error:
        raise StepError(step, "fchownat", error.errno or 0) from None


def _set_device_list(step: steps.SetDeviceList, pid: int, undo: Undo) -> None:
    from ocipy.cgroup.devices import transition

    try:
        listed = read_file(f"{step.path}/devices.list").splitlines()
        # Those for the same file stand together in it, so it is opened once.
        writes: dict[str, list[str]] = {}
        for file, rule in transition(listed, step.others, step.rules):
            writes.setdefault(file, []).append(rule)
        for file, rules in writes.items():
            write_file(f"{step.path}/devices.{file}", "\n".join(rules))
    except OSError as error:
        hint = ""
        if error.errno == errno.EPERM:
            hint = "a parent cgroup does not allow all of these devices"
        raise StepError(step, "write", error.errno or 0, hint=hint) from None


def _attach_device_filter(step: steps.AttachDeviceFilter, pid: int, undo: Undo) -> None:
    from ocipy.sys.bpf_native import replace_device_filter

    try:
        directory = os.open(step.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            replace_device_filter(directory, step.program)
        finally:
            os.close(directory)
    except OSError as error:
        raise StepError(step, "bpf", error.errno or 0) from None


# By operation: a class is a price for whoever does not need it (docs/decisions/0020).
_EXECUTORS: dict[str, Callable[..., None]] = {
    "create_cgroup": _create_cgroup,
    "enable_controllers": _enable_controllers,
    "write_cgroup_file": _write_cgroup_file,
    "write_dependent_cgroup_files": _write_dependent_cgroup_files,
    "join_cgroup": _join_cgroup,
    "inherit_cpuset": _inherit_cpuset,
    "check_cgroup": _check_cgroup,
    "check_memory_usage": _check_memory_usage,
    "delegate_cgroup": _delegate_cgroup,
    "set_device_list": _set_device_list,
    "attach_device_filter": _attach_device_filter,
}
