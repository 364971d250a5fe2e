"""`exec`: one more process in a container that runs."""

from __future__ import annotations

import time

from ocipy import log
from ocipy.cgroup.driver import require_thawed_above
from ocipy.cgroup.exec_paths import attach_step, exec_cgroups, follow_init, was_made
from ocipy.errors import OcipyError
from ocipy.host.probe import probe_host
from ocipy.plan.exec import ExecRequest, plan_exec
from ocipy.spawn.caller import Caller, inherited_fds, tell_caller
from ocipy.spawn.console import check_terminal_options
from ocipy.spawn.exec_process import process_of
from ocipy.spawn.host_steps import HostSteps
from ocipy.spawn.launch import Launch, fill_in_seccomp, open_tracer
from ocipy.spawn.undo import Undo
from ocipy.state import store
from ocipy.state.process import is_ending
from ocipy.state.record import oci_state
from ocipy.state.status import PAUSED, RUNNING, STOPPED, current_status, require_allowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocipy.config._generated_types import Config
    from ocipy.observe.seccomp_record import Recorder
    from ocipy.request import Request


# Ended by SIGSYS, which a seccomp profile sends: without and with a core dump.
_SIGSYS = (31, 31 | 0x80)


def run(request: Request) -> int:
    """Return the exit status of the process, 128+n for signal n; 0 with --detach."""
    if request.flag("detach") and not request.given("record-seccomp"):
        launch_process(request).close()
        return 0
    from ocipy.spawn.foreground import CaughtSignals, exit_status, wait_in_foreground

    signals: list[CaughtSignals] = []
    recorder = None
    if request.given("record-seccomp"):
        from ocipy.observe.seccomp_record import open_recorder

        recorder = open_recorder(request)
    launch = launch_process(request, lambda: signals.append(CaughtSignals()), recorder=recorder)
    log.flush_warnings()
    wait_status = wait_in_foreground(launch, signals[0])
    if recorder is not None:
        recorder.finish()
    if wait_status in _SIGSYS:
        from ocipy.observe.seccomp_log import explain

        log.warning(explain(wait_status, launch.pid))
    return exit_status(wait_status)


def launch_process(
    request: Request,
    before_it_runs: Callable[[], object] = lambda: None,
    caller: Caller | None = None,
    recorder: Recorder | None = None,
) -> Launch:
    """Start the process that an `exec` command line asks for; return once it runs.

    `before_it_runs` is called when all is prepared; a `recorder` answers for its system calls.

    Raises:
        OcipyError: it cannot be started; nothing is left of it.
    """
    tracer = open_tracer(request)
    caller = caller or Caller()
    preserve_fds, _ = inherited_fds(request, caller)
    directory = store.find(store.root_path(request.root), request.args[0])
    record = store.load_record(directory)
    status = current_status(directory, record)
    if not (status == PAUSED and request.flag("ignore-paused")):
        require_allowed("exec", status, directory.id)
    require_thawed_above(record.get("cgroup"))
    config: Config = store.load_config(directory)  # type: ignore[assignment]
    process, text, file_name = process_of(request, config, record["pid"])
    check_terminal_options(
        terminal=bool(process.get("terminal")),
        detached=request.flag("detach"),
        console_socket=request.text("console-socket"),
    )
    host = probe_host()
    cgroup_paths = exec_cgroups(record.get("cgroup"), request.texts("cgroup"))
    if not request.given("cgroup"):
        follow_init(cgroup_paths, host.cgroup, record["pid"])
    asked = ExecRequest(
        directory.id,
        pid=record["pid"],
        cgroup_paths=cgroup_paths,
        cgroup_made=was_made(record.get("cgroup"), cgroup_paths),
        preserve_fds=preserve_fds,
        join_keyring=not record.get("noNewKeyring"),
        attach=attach_step(record.get("cgroup"), cgroup_paths),
    )
    undo = Undo()
    try:
        plan = plan_exec(recorder.rewrite(config) if recorder else config, process, host, asked)
        for pointer, warning in plan.warnings:
            log.warning(f"{warning} ({pointer})")
        if tracer is not None:
            tracer.mark("read the record, probe the host, plan")
        if recorder is not None:
            recorder.prepare(plan.steps, config, host)
        else:
            fill_in_seccomp(plan.steps, plan.seccomp, store.root_path(request.root))
        if tracer is not None and plan.seccomp is not None:
            tracer.mark("compile the seccomp profile, or take it from the cache")
        host_steps = HostSteps(
            config,
            undo,
            state=lambda status, pid: oci_state(record, RUNNING, record["pid"]),
            on_created=lambda pid: None,
            console_socket=request.text("console-socket"),
        )
        launch = Launch(
            plan.steps,
            undo,
            host_steps.execute,
            privileged=host.privileged,
            cgroup_path=plan.cgroup_path,
            on_pid=lambda pid: None,
            stdio=caller.stdio,
            tracer=tracer,
        )
        launch.run()
        if is_ending(record["pid"], record["startTicks"]):
            # What was joined by the number of the pid may be a stranger's.
            require_allowed("exec", STOPPED, directory.id)
        before_it_runs()
        if recorder is not None:
            recorder.start(launch)
        launch.go()
        launch.await_exec()
        request.started_at = time.monotonic()
        # Not sooner: the process that the caller wants to know is forked last (plan_exec).
        tell_caller(request, launch)
    except BaseException as error:
        if tracer is not None:
            tracer.finish(str(error))
        for problem in undo.run():
            log.warning(f"while cleaning up: {problem}")
        if isinstance(error, OcipyError) and is_ending(record["pid"], record["startTicks"]):
            # Whatever failed, that is why: clone3(2) says ENOMEM without an init to be a child of.
            require_allowed("exec", STOPPED, directory.id)
        if isinstance(error, OcipyError) and error.pointer and not error.location and text:
            from ocipy.schema.report import describe_faults

            describe_faults(error, text, file_name)
        raise
    if tracer is not None:
        tracer.finish()
    return launch
