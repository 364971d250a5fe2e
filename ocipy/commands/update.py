"""`ocipy update ID`: change the resource limits of a container, from options or a file.

Limits that the command line does not mention stay. A zero means "not set", as engines send it.
"""

from __future__ import annotations

import os

from ocipy import log
from ocipy.bundle import decode, parse, read_all
from ocipy.config.resources import accept_resources
from ocipy.errors import ConfigError, StateError, UsageError, errno_text
from ocipy.state import store
from ocipy.state.status import current_status, require_allowed
from ocipy.state.store import ContainerLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config, Resources
    from ocipy.plan.step import Step
    from ocipy.request import Request

# Option, its place in linux.resources, and how its value is read.
_OPTIONS = (
    ("blkio-weight", "blockIO", "weight", "number"),
    ("cpu-period", "cpu", "period", "number"),
    ("cpu-quota", "cpu", "quota", "signed"),
    ("cpu-burst", "cpu", "burst", "number"),
    ("cpu-share", "cpu", "shares", "number"),
    ("cpu-rt-period", "cpu", "realtimePeriod", "number"),
    ("cpu-rt-runtime", "cpu", "realtimeRuntime", "signed"),
    ("cpu-idle", "cpu", "idle", "signed"),
    ("cpuset-cpus", "cpu", "cpus", "text"),
    ("cpuset-mems", "cpu", "mems", "text"),
    ("memory", "memory", "limit", "size"),
    ("memory-reservation", "memory", "reservation", "size"),
    ("memory-swap", "memory", "swap", "size"),
    ("kernel-memory", "memory", "kernel", "size"),
    ("kernel-memory-tcp", "memory", "kernelTCP", "size"),
    ("pids-limit", "pids", "limit", "signed"),
)
# units.RAMInBytes of Docker's, which runc uses: powers of 1024, "64M", "64mb" and "64MiB" alike.
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def run(request: Request) -> int:
    # Found first: a wrong name is said before a wrong limit.
    store.find(store.root_path(request.root), request.args[0])
    schemata = [request.text(name) for name in ("l3-cache-schema", "mem-bw-schema")]
    update_container(request.root, request.args[0], _resources(request), [*filter(None, schemata)])
    return 0


def update_container(
    root: str, container_id: str, resources: Resources, schemata: list[str] | None = None
) -> None:
    """Change the limits of a container to accepted `resources`; `schemata` are lines of resctrl.

    Raises:
        StateError: there is no such container, it has ended, or it has no cgroup of its own.
        OcipyError: the kernel refuses a limit.
    """
    directory = store.find(store.root_path(root), container_id)
    with ContainerLock(directory, command="update") as lock:
        record = store.load_record(directory)
        require_allowed("update", current_status(directory, record, lock_held=True), directory.id)
        cgroup = record.get("cgroup")
        if not cgroup:
            raise StateError(f"cannot update {directory.id}: it has no cgroup of its own")
        from ocipy.cgroup.apply import execute
        from ocipy.cgroup.facts import read_cgroup_facts
        from ocipy.cgroup.update import plan_update, replaces_devices

        config: Config = store.load_config(directory)  # type: ignore[assignment]
        configured = config.get("linux", {}).get("resources", {})
        known = None if cgroup.get("devicesUpdated") else configured
        plan = plan_update(
            resources,
            read_cgroup_facts(),
            cgroup["paths"],
            known,
            cgroup.get("unit", ""),
            cgroup.get("bus", ""),
        )
        undo = _NoUndo()
        schemata_step = _plan_schemata(schemata or [], config, directory.id)
        if replaces_devices(plan) and known is not None:
            # Before it is done: whoever is killed in between must not leave it unsaid.
            cgroup["devicesUpdated"] = True
            store.save_record(lock, record)
        for step in plan:
            execute(step, record["pid"], undo)
        if schemata_step is not None:
            from ocipy.cgroup import resctrl

            resctrl.execute(schemata_step, record["pid"], undo)


def _plan_schemata(schemata: list[str], config: Config, container_id: str) -> Step | None:
    """Return the step that writes new lines to the schemata of the container's resctrl group."""
    if not schemata:
        return None
    from ocipy.cgroup.resctrl import mount_point
    from ocipy.plan import _generated_steps as steps
    from ocipy.plan.intel_rdt import plan_join_intel_rdt

    groups = [
        step.group
        for step in plan_join_intel_rdt(config, container_id)
        if isinstance(step, steps.JoinResctrlGroup)
    ]
    if not groups:
        # runc's words.
        raise StateError("updating a non-existent Intel RDT configuration is not supported")
    if not mount_point():
        raise StateError("Intel RDT: resctrl is not mounted on this host")
    # The group is there, so that nothing is made.
    return steps.CreateResctrlGroup("/linux/intelRdt", group=groups[0], schemata=schemata)


class _NoUndo:
    """Limits that were set before one is refused stay: each was asked for, and each is valid."""

    def push(self, call: object, /, *args: object) -> None:
        pass


def _resources(request: Request) -> Resources:
    file = request.text("resources")
    if file:
        name, text = _read(file)
        value = parse(text, name)
    else:
        value, name, text = _from_options(request), "", ""
    try:
        for pointer, sentence in accept_resources(value, text):
            log.warning(f"{sentence} ({pointer})")
    except ConfigError as error:
        if text:
            from ocipy.schema.report import describe_faults

            describe_faults(error, text, name)
        raise
    resources: Resources = value  # type: ignore[assignment]
    return resources


def _read(file: str) -> tuple[str, str]:
    name = "standard input" if file == "-" else file
    try:
        fd = 0 if file == "-" else os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        with open(fd, "rb", buffering=0, closefd=fd != 0) as stream:
            return name, decode(read_all(stream.fileno(), name), name)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {errno_text(error.errno or 0)}") from None


def _from_options(request: Request) -> dict[str, dict[str, int | str]]:
    resources: dict[str, dict[str, int | str]] = {}
    for option, controller, field, kind in _OPTIONS:
        if not request.given(option):
            continue
        value = request.options[option]
        if value == "":
            continue  # runc: as if it were not there
        resources.setdefault(controller, {})[field] = (
            str(value) if kind == "text" else _number(option, str(value), kind)
        )
    return resources


def _number(option: str, text: str, kind: str) -> int:
    if kind == "size":
        return parse_size(option, text)
    digits = text[1:] if kind == "signed" and text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"invalid value for {option}: {text!r} is not a number")
    return int(text)


def parse_size(option: str, text: str) -> int:
    """Return the bytes that a size such as "64M", "1.5g" or "-1" stands for.

    Raises:
        UsageError: it is none.
    """
    if text == "-1":
        return -1
    number = text.rstrip("bkmgtpBKMGTPi ")
    unit = text[len(number) :].strip(" ").lower()
    factor = _UNITS.get(unit if len(unit) < 2 else unit.removesuffix("b").removesuffix("i"))
    try:
        if factor is None or not number[:1].isdigit() or not number.isascii() or "_" in number:
            raise ValueError
        return int(float(number) * factor) if "." in number else int(number) * factor
    except ValueError:
        # runc's words.
        raise UsageError(f"invalid value for {option}: invalid size: '{text}'") from None
