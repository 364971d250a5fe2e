"""The host's steps: one function for each operation of place "host" but SpawnInit (launch.py)."""

from __future__ import annotations

import os

from ocipy.plan import _generated_steps as steps
from ocipy.spawn.console import send_descriptor
from ocipy.sys import native
from ocipy.sys.fd import write_proc_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocipy.plan.step import Step
    from ocipy.spawn.launch import Launch
    from ocipy.spawn.undo import Undo


_RESCTRL = frozenset(
    (
        "create_resctrl_group",
        "share_resctrl_group",
        "check_resctrl_group",
        "join_resctrl_group",
        "create_monitoring_group",
    )
)


class HostSteps:
    """What the host's steps need to know of the container that is being made.

    Attributes:
        config: the accepted config, for the hooks.
        state: returns the State of runtime.md#state for a status, with the pid of init.
        on_created: records that the container is created.
        console_socket: where the terminal goes; "" keeps it in the Launch, for a foreground run.
    """

    __slots__ = ("config", "console_socket", "on_created", "state", "undo")

    def __init__(
        self,
        config: Mapping[str, object],
        undo: Undo,
        *,
        state: Callable[[str, int], dict[str, object]],
        on_created: Callable[[int], None],
        console_socket: str = "",
    ) -> None:
        self.config = config
        self.undo = undo
        self.state = state
        self.on_created = on_created
        self.console_socket = console_socket

    def execute(self, step: Step, launch: Launch) -> None:
        """Run one step. Raises OSError, which launch.py words, or an OcipyError."""
        if isinstance(step, steps.SetRlimitFromOutside):
            native.prlimit(launch.pid, step.resource, step.soft, step.hard)
        elif isinstance(step, steps.SetOomScoreAdj):
            write_proc_file(f"/proc/{launch.pid}/oom_score_adj", str(step.score))
        elif isinstance(step, steps.WriteIdMap):
            from ocipy.spawn.idmap_write import write_id_map

            write_id_map(step, launch.pid)
        elif isinstance(step, steps.RunHostHooks):
            from ocipy.spawn.hooks import run_hooks

            run_hooks(self.config, step.kind, self.state("creating", launch.pid))
        elif isinstance(step, steps.SendTerminal):
            self._send_terminal(launch)
        elif isinstance(step, steps.RecordCreated):
            self.on_created(launch.pid)
        elif isinstance(step, steps.SendSeccompListener):
            from ocipy.spawn import seccomp

            state = self.state("creating", launch.pid)
            seccomp.execute(step, launch.listener_fd, launch.pid, state)
            os.close(launch.listener_fd)
            launch.listener_fd = -1
        elif isinstance(step, steps.MoveNetworkDevice):
            from ocipy.spawn import network_devices

            network_devices.execute(step, launch.pid, self.undo)
        elif step.operation in _RESCTRL:
            from ocipy.cgroup import resctrl

            resctrl.execute(step, launch.pid, self.undo)
        else:
            from ocipy.cgroup import apply

            apply.execute(step, launch.pid, self.undo)

    def _send_terminal(self, launch: Launch) -> None:
        if not self.console_socket:
            # A foreground run keeps it. The size has to be right before the program looks.
            from ocipy.spawn.terminal import give_size

            give_size(launch.terminal_fd)
            return
        # The message is the terminal's name, as runc sends it; receivers only log it.
        send_descriptor(self.console_socket, launch.terminal_fd, "/dev/ptmx", "the terminal")
        os.close(launch.terminal_fd)
        launch.terminal_fd = -1
