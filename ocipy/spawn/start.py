"""The host's half of `start`: writes to the fifo on which init waits, and hears how it went."""

from __future__ import annotations

import errno
import os
import select

from ocipy.errors import StateError
from ocipy.state.process import died_as_init, open_process
from ocipy.state.store import REPORT_FIFO, START_FIFO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.errors import OcipyError
    from ocipy.spawn.sync import Message
    from ocipy.state.record import StateRecord
    from ocipy.state.store import ContainerDir


def start_init(directory: ContainerDir, record: StateRecord, config: Config) -> None:
    """Let init go, and wait until it has become the program; then remove the fifo.

    Raises:
        StateError: init has ended meanwhile.
        OcipyError: a step of the start failed; init has ended.
    """
    process = open_process(record["pid"], record["startTicks"])
    if process is None:
        raise StateError("cannot start a container that has stopped")
    with process:
        # Without waiting: init has both ends of both open, or is dead.
        flags = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        report = os.open(REPORT_FIFO, os.O_RDONLY | flags, dir_fd=directory.fd)
        try:
            _let_go(directory, flags)
            _hear(report, process.pidfd, record, config)
        finally:
            os.close(report)
    for name in (START_FIFO, REPORT_FIFO):
        os.unlink(name, dir_fd=directory.fd)


def _let_go(directory: ContainerDir, flags: int) -> None:
    try:
        fifo = os.open(START_FIFO, os.O_WRONLY | flags, dir_fd=directory.fd)
    except OSError as error:
        if error.errno != errno.ENXIO:  # fifo(7): nobody has it open for reading
            raise
        raise StateError("cannot start a container that has stopped") from None
    try:
        os.write(fifo, b"\0")
    except BrokenPipeError:  # it has just died
        raise StateError("cannot start a container that has stopped") from None
    finally:
        os.close(fifo)


def _hear(fifo: int, pidfd: int, record: StateRecord, config: Config) -> None:
    """Wait for the end of file that execve(2) makes: every descriptor of init is close-on-exec."""
    poll = select.poll()
    poll.register(fifo, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if ready.get(fifo, 0) & select.POLLIN:
            # What it takes to understand a message is not imported for the end of file.
            from ocipy.spawn.sync import MESSAGE_FAILED, MESSAGE_SIZE, Message

            message = Message(os.read(fifo, MESSAGE_SIZE))
            if message.kind == MESSAGE_FAILED:
                raise _failure(message, record, config)
        elif fifo in ready:
            status = died_as_init(record["pid"])
            if status is not None:
                from ocipy.spawn.failure import init_died

                raise init_died(status)
            return
        elif pidfd in ready:
            raise StateError("cannot start a container that has stopped")


def _failure(message: Message, record: StateRecord, config: Config) -> OcipyError:
    """Word a failure by the steps after `start`, planned again from what create was given."""
    from ocipy.host.probe import probe_host
    from ocipy.plan.capabilities import plan_capabilities
    from ocipy.plan.create import plan_start
    from ocipy.plan.request import CreateRequest
    from ocipy.plan.seccomp import plan_seccomp
    from ocipy.spawn.failure import step_failure

    host = probe_host()
    request = CreateRequest(record["id"], bundle=record["bundle"], rootfs=record["rootfs"])
    masks = plan_capabilities(config["process"], host, own_user_namespace=False)
    plan = plan_start(config, host, request, masks, plan_seccomp(config, host))
    return step_failure(plan[message.step - record["firstStartStep"]], message)
