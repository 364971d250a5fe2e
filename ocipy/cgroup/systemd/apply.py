"""Carries out the steps of a plan that ask systemd for something."""

from __future__ import annotations

from ocipy import log
from ocipy.cgroup.systemd.bus import open_systemd
from ocipy.cgroup.systemd.dbus import SystemdError
from ocipy.errors import StepError
from ocipy.plan import _generated_steps as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.cgroup.apply import Undo
    from ocipy.plan.step import Step


class ForeignUnitError(StepError):
    """There is a unit of this name already: its cgroup, and who is in it, are not ours."""

    is_foreign = True


def start_unit(step: steps.StartSystemdUnit, pid: int) -> None:
    """Make the scope, with the process in it.

    Nothing is put on the undo list: undone from there, newest first, the unit would be stopped
    before init is killed, and systemd would wait for init to obey SIGTERM. The record knows the
    unit, and state.destroy ends both in the right order.

    Raises:
        StepError: systemd refuses; ForeignUnitError: there is such a unit.
    """
    try:
        with open_systemd(step.bus) as manager:
            try:
                manager.start_transient_unit(step.unit, step.properties, [pid])
            except SystemdError as error:
                if error.short_name != "UnitExists":
                    raise
                # Perhaps what is left of one that failed. Forgotten, its name is free.
                manager.reset_failed(step.unit)
                manager.start_transient_unit(step.unit, step.properties, [pid])
    except SystemdError as error:
        if error.short_name == "UnitExists":
            hint = "another container has it: cgroupsPath must name a scope of its own"
            raise ForeignUnitError(step, "", 0, detail=str(error), hint=hint) from None
        raise _failed(step, error) from None


def stop_unit(unit: str, bus: str) -> None:
    """Let systemd stop and forget a unit whose processes are gone.

    Where it cannot be reached, that is a warning: a scope without processes ends by itself.
    """
    try:
        with open_systemd(bus) as manager:
            manager.stop_unit(unit)
    except SystemdError as error:
        log.warning(f"{unit} is not stopped: {error}")


def execute(step: Step, pid: int, undo: Undo) -> None:
    """Carry out one step; `pid` is the container's process.

    Raises:
        StepError: systemd cannot be reached, or refuses.
    """
    if isinstance(step, steps.StartSystemdUnit):
        start_unit(step, pid)
        return
    assert isinstance(step, steps.SetUnitProperties | steps.AttachToUnit)
    try:
        with open_systemd(step.bus) as manager:
            if isinstance(step, steps.SetUnitProperties):
                manager.set_properties(step.unit, step.properties)
            else:
                manager.attach_process(step.unit, step.below, pid)
    except SystemdError as error:
        raise _failed(step, error) from None


def _failed(step: Step, error: SystemdError) -> StepError:
    return StepError(step, "", 0, detail=str(error), hint=error.hint)
