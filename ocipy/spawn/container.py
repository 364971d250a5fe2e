"""Make a container, in the order of runtime.md#lifecycle, and take all of it back on failure.

1. read, accept and plan      nothing has changed: an error here leaves nothing
2. the container's directory  with its record, which names what will be made
3. the walk of the plan       up to `created`
4. on failure                 undo the steps, then what `delete --force` does, poststop included
"""

from __future__ import annotations

import errno
import os

from ocipy import log
from ocipy.bundle import open_bundle
from ocipy.cgroup.driver import denied_cgroup, make_record
from ocipy.cgroup.paths import container_cgroups, limits_without_cgroup
from ocipy.cgroup.plan import is_optional
from ocipy.errors import ConfigError, OcipyError, StepError
from ocipy.host.probe import probe_host
from ocipy.plan.create import plan_create
from ocipy.plan.request import CreateRequest
from ocipy.spawn.caller import Caller, inherited_fds, tell_caller
from ocipy.spawn.console import check_terminal_options
from ocipy.spawn.host_steps import HostSteps
from ocipy.spawn.launch import Launch, fill_in_seccomp, open_tracer
from ocipy.spawn.undo import Undo
from ocipy.state import store
from ocipy.state.process import start_ticks
from ocipy.state.record import new_record, oci_state
from ocipy.sys.fd import OwnedFd

# What open(2) says of a root filesystem, in words.
_NO_ROOTFS = {errno.ENOENT: "does not exist", errno.ENOTDIR: "is not a directory"}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.bundle import Bundle
    from ocipy.cgroup.systemd.scope import Scope
    from ocipy.config._generated_types import Config
    from ocipy.host.facts import HostFacts
    from ocipy.observe.seccomp_record import Recorder
    from ocipy.plan.create import Plan
    from ocipy.request import Request
    from ocipy.spawn.tracing import Tracer
    from ocipy.state.record import StateRecord
    from ocipy.state.store import ContainerLock


class Container:
    """A container that was made; init waits, for `start` or for launch.go().

    The lock is held: whoever gets this releases it.
    """

    __slots__ = ("bundle", "launch", "lock", "record", "undo")

    def __init__(
        self, bundle: Bundle, lock: ContainerLock, record: StateRecord, launch: Launch, undo: Undo
    ) -> None:
        self.bundle = bundle
        self.lock = lock
        self.record = record
        self.launch = launch
        self.undo = undo

    def destroy(self) -> None:
        """Take everything back: the steps newest first, then all that `delete --force` removes."""
        _take_back(self.undo, self.lock, self.record)


def _take_back(undo: Undo, lock: ContainerLock, record: StateRecord) -> None:
    for problem in undo.run():
        log.warning(f"while cleaning up: {problem}")
    from ocipy.state.destroy import destroy

    try:
        destroy(lock, record)
    except OcipyError as error:
        log.warning(f"while cleaning up: {error}")
    lock.release()


def make_container(
    request: Request,
    container_id: str,
    *,
    start_at_once: bool,
    bundle: Bundle | None = None,
    caller: Caller | None = None,
    recorder: Recorder | None = None,
) -> Container:
    """Make the container that a `create` or `run` command line asks for.

    With `start_at_once` init does not wait for `start` but for launch.go(). A `bundle` that was
    opened already takes the place of the one that the options name. A `recorder` answers for the
    container's system calls (--record-seccomp).

    Raises:
        OcipyError: it cannot be made; nothing is left of it.
    """
    store.check_id(container_id)
    caller = caller or Caller()
    preserve_fds, listen_fds = inherited_fds(request, caller)
    tracer = open_tracer(request)
    if bundle is None:
        config_path = request.text("config") or None
        bundle = open_bundle(
            request.text("bundle") or ".", config_path, strict=request.flag("strict")
        )
    for warning in bundle.warnings:
        log.warning(_place(*warning))
    if tracer is not None:
        tracer.mark("read and accept config.json")
    try:
        return _make(
            request,
            container_id,
            bundle,
            preserve_fds,
            listen_fds,
            start_at_once,
            caller,
            tracer,
            recorder,
        )
    except OcipyError as error:
        if tracer is not None:
            tracer.finish(str(error))
        if error.pointer and not error.location:
            from ocipy.schema.report import describe_faults

            describe_faults(error, bundle.text, bundle.config_file)
        raise


def _make(
    request: Request,
    container_id: str,
    bundle: Bundle,
    preserve_fds: int,
    listen_fds: int,
    start_at_once: bool,
    caller: Caller,
    tracer: Tracer | None,
    recorder: Recorder | None,
) -> Container:
    config = bundle.config
    if start_at_once and "process" not in config:
        # Spec (runtime.md#start): MUST generate an error if process was not set.
        raise ConfigError("/process", "cannot start a container without process")
    check_terminal_options(
        terminal=bool(config.get("process", {}).get("terminal")),
        detached=request.command == "create" or request.flag("detach"),
        console_socket=request.text("console-socket"),
    )
    rootfs = _open_rootfs(bundle)
    record = new_record(
        container_id,
        bundle=bundle.path,
        # As the kernel tells it, without symbolic links; init makes sure that it still leads there.
        rootfs=os.readlink(f"/proc/self/fd/{rootfs.fd}"),
        oci_version=config["ociVersion"],
        annotations=config.get("annotations", {}),
    )
    host = probe_host()
    manager = request.cgroup_manager or ("systemd" if request.systemd_cgroup else "cgroupfs")
    cgroup_paths, scope = place_cgroup(config, host, container_id, manager, request.rootless)
    root = store.root_path(request.root)
    asked = CreateRequest(
        container_id,
        bundle=bundle.path,
        rootfs=record["rootfs"],
        start_fifo="" if start_at_once else f"{root}/{container_id}/{store.START_FIFO}",
        report_fifo="" if start_at_once else f"{root}/{container_id}/{store.REPORT_FIFO}",
        no_pivot=request.flag("no-pivot"),
        no_new_keyring=request.flag("no-new-keyring"),
        preserve_fds=preserve_fds,
        listen_fds=listen_fds,
        listen_fd_names=caller.environ.get("LISTEN_FDNAMES", ""),
        notify_directory=(
            f"{root}/{container_id}/{store.NOTIFY}" if caller.environ.get("NOTIFY_SOCKET") else ""
        ),
        cgroup_paths=cgroup_paths,
        cgroup_existed=os.path.isdir(cgroup_paths.get("", "")),
        oci_state=oci_state(record, "creating", 0),
        trace_environment=_trace_environment(caller),
        scope=scope,
    )
    plan = plan_create(recorder.rewrite(config) if recorder else config, host, asked)
    for warning in plan.warnings:
        log.warning(_place(*warning))
    if tracer is not None:
        tracer.mark("plan")
    if "intelRdt" in config.get("linux", {}):
        from ocipy.cgroup import resctrl

        groups = resctrl.make_record(plan.steps)
        if groups is not None:
            record["resctrl"] = groups
    record["firstStartStep"] = plan.first_start_step
    if asked.no_new_keyring:
        record["noNewKeyring"] = True

    # A profile that libseccomp refuses is the config's fault: nothing has been made yet.
    state_root = store.open_root(request.root)
    if recorder is not None:
        recorder.prepare(plan.steps, config, host)
    else:
        fill_in_seccomp(plan.steps, plan.seccomp, state_root)
    if tracer is not None and plan.seccomp is not None:
        tracer.mark("compile the seccomp profile, or take it from the cache")
    undo = Undo()
    lock = store.create(root, container_id)
    try:
        # Asked under the lock: a container of this name that was being deleted is gone now, and its
        # cgroup with it. What is made anew is ours to remove.
        cgroup = make_record(cgroup_paths, host.cgroup, scope)
        if cgroup is not None:
            record["cgroup"] = cgroup
        launch = _prepare(request, plan, host, lock, record, bundle, undo, caller, tracer, rootfs)
        container = Container(bundle, lock, record, launch, undo)
        store.save_config(lock.directory, bundle.text)
        store.save_record(lock, record)
        store.make_meeting_places(
            lock.directory,
            start_fifo=bool(asked.start_fifo),
            notify=bool(asked.notify_directory),
        )
        if tracer is not None:
            tracer.mark("make the state directory and the record")
        container.launch.run()
        tell_caller(request, container.launch)
    except BaseException as error:
        if isinstance(error, StepError) and error.is_foreign:
            # Somebody else's cgroup and processes, which stay.
            record.pop("cgroup", None)
        _take_back(undo, lock, record)
        raise
    return container


def _prepare(
    request: Request,
    plan: Plan,
    host: HostFacts,
    lock: ContainerLock,
    record: StateRecord,
    bundle: Bundle,
    undo: Undo,
    caller: Caller,
    tracer: Tracer | None,
    rootfs: OwnedFd,
) -> Launch:
    def on_pid(pid: int) -> None:
        record["pid"] = pid
        record["startTicks"] = start_ticks(pid) or 0
        lock.note_init(pid, record["startTicks"])
        store.save_record(lock, record)

    def on_created(pid: int) -> None:
        record["status"] = "created"
        store.save_record(lock, record)

    host_steps = HostSteps(
        bundle.config,
        undo,
        state=lambda status, pid: oci_state(record, status, pid),
        on_created=on_created,
        console_socket=request.text("console-socket"),
    )
    return Launch(
        plan.steps,
        undo,
        host_steps.execute,
        privileged=host.privileged,
        cgroup_path=plan.cgroup_path,
        on_pid=on_pid,
        stdio=caller.stdio,
        tracer=tracer,
        rootfs=rootfs,
    )


def _trace_environment(caller: Caller) -> list[str]:
    if "TRACEPARENT" not in caller.environ:
        return []
    from ocipy.plan.trace_parent import trace_environment

    return trace_environment(caller.environ)


def _open_rootfs(bundle: Bundle) -> OwnedFd:
    """Open the root filesystem.

    Raises:
        ConfigError: there is none. Spec (config.md#root): a directory MUST exist at the path.
    """
    try:
        return OwnedFd(bundle.open_rootfs())
    except OSError as error:
        path = os.path.join(bundle.path, bundle.config["root"]["path"])
        raise ConfigError(
            "/root/path",
            f"the root filesystem {path!r} {_NO_ROOTFS.get(error.errno or 0) or error.strerror}",
            hint="root.path starts at the bundle unless it begins with '/'",
        ) from None
    finally:
        bundle.close()


def place_cgroup(
    config: Config,
    host: HostFacts,
    container_id: str,
    manager: str,
    rootless: str = "auto",
    *,
    to_show: bool = False,
) -> tuple[dict[str, str], Scope | None]:
    """Return the container's directory in each hierarchy, and the unit that it belongs to.

    Args:
        manager: who makes it: "cgroupfs", "systemd" or, nobody, "disabled".
        rootless: of the option --rootless.
        to_show: nothing will be made, so nobody needs a permission.

    Raises:
        ConfigError, UnsupportedError: it cannot be there.
        SystemdError: the manager that makes it cannot be reached.
    """
    if manager == "disabled":
        if warning := limits_without_cgroup(config):
            log.warning(warning)
        return {}, None
    if manager == "systemd":
        from ocipy.cgroup.systemd.place import place_scope

        scope = place_scope(config, host, container_id, rootless)
        return {"": scope.path}, scope
    paths = container_cgroups(config, host, container_id)
    if not (host.privileged or to_show) and (denied := denied_cgroup(paths)):
        from ocipy.spawn.rootless import without_cgroup

        without_cgroup(config, host, denied, rootless)
        if is_optional(config, host):
            return {}, None
    return paths, None


def _place(pointer: str, text: str) -> str:
    return f"{text} ({pointer})" if pointer else text
