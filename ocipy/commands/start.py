"""`start`: let the program of a created container run."""

from __future__ import annotations

import os

from ocipy import log
from ocipy.cgroup.driver import require_thawed_above
from ocipy.errors import ConfigError, HookError, OcipyError, StateError
from ocipy.spawn.start import start_init
from ocipy.state import store
from ocipy.state.destroy import destroy
from ocipy.state.process import open_process
from ocipy.state.record import oci_state
from ocipy.state.status import current_status, require_allowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request


def run(request: Request) -> int:
    start_container(request.root, request.args[0], os.environ.get("NOTIFY_SOCKET", ""))
    return 0


def start_container(root: str, container_id: str, manager: str = "") -> None:
    """Spec (runtime.md#start), and steps 6 to 9 of runtime.md#lifecycle.

    With the address of a service manager, wait until the container has told it to be ready.

    Raises:
        OcipyError: the container cannot be started; where a step of the start failed it has ended.
    """
    directory = store.find(store.root_path(root), container_id)
    notify = None
    with store.ContainerLock(directory, command="start") as lock:
        record = store.load_record(directory)
        status = current_status(directory, record, lock_held=True)
        require_allowed("start", status, directory.id)
        require_thawed_above(record.get("cgroup"))
        config = store.load_config(directory)
        if "process" not in config:
            # Spec (runtime.md#start): MUST generate an error if process was not set.
            raise ConfigError("/process", "cannot start a container without process")
        if manager:
            from ocipy.spawn.notify import open_notify_socket

            notify = open_notify_socket(directory.fd, store.NOTIFY, manager)
        try:
            start_init(directory, record, config)  # type: ignore[arg-type]
            record["status"] = "running"
            try:
                store.save_record(lock, record)
            except StateError as error:
                # It runs, and that can be seen without the record, too (state/status.py).
                log.warning(str(error))
            hooks = config.get("hooks")
            if isinstance(hooks, dict) and hooks.get("poststart"):
                from ocipy.spawn.hooks import run_hooks
                from ocipy.spawn.interrupt import clean_up_when_interrupted

                # `delete --force` ends us so; the hook and what it has started then end with us.
                clean_up_when_interrupted("the container was started")
                run_hooks(config, "poststart", oci_state(record, "running", record["pid"]))
        except OcipyError as failure:
            if failure.pointer:
                from ocipy.schema.report import describe_faults

                describe_faults(failure, store.config_text(directory), store.CONFIG)
            if isinstance(failure, HookError):
                # Spec (runtime.md#lifecycle): stop the container, go on at step 12.
                try:
                    destroy(lock, record)
                except OcipyError as error:
                    log.warning(f"while cleaning up: {error}")
            raise
    # Without the lock: until a container says that it is ready, others may look after it.
    process = open_process(record["pid"], record["startTicks"]) if notify else None
    if notify is not None and process is not None:
        with process:
            notify.relay(record["pid"], process.pidfd)
