"""One container, looked at: what is in force, what was asked for, and what the host has."""

from __future__ import annotations

import os

from ocipy.observe.drift import Drift, verify
from ocipy.observe.live import read_process
from ocipy.state import store
from ocipy.state.status import CREATING, STOPPED, current_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocipy.json_text import Json


class Inspection:
    """What was found.

    Attributes:
        live: read_process() of the container's process; None where there is none.
        drift: what differs from the config; None if nobody asked.
        host: read_process() of ourselves; None if nobody asked.
    """

    def __init__(self, container_id: str, status: str) -> None:
        self.id = container_id
        self.status = status
        self.live: dict[str, Any] | None = None
        self.drift: list[Drift] | None = None
        self.host: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Json]:
        value: dict[str, Json] = {"id": self.id, "status": self.status}
        if self.live is not None:
            value["process"] = self.live
        if self.drift is not None:
            value["drift"] = [drift.to_json() for drift in self.drift]
        if self.host is not None:
            value["host"] = self.host
        return value


def inspect_container(
    root: str, container_id: str, *, with_drift: bool = False, with_host: bool = False
) -> Inspection:
    """Look at a container below the state root.

    Raises:
        StateError: there is none.
    """
    directory = store.find(root, container_id)
    record = store.load_record(directory)
    status = current_status(directory, record)
    found = Inspection(container_id, status)
    if status in (STOPPED, CREATING) or record["pid"] <= 0:
        return found
    cgroup = record.get("cgroup")
    paths = cgroup["paths"] if cgroup else {}
    found.live = read_process(record["pid"], paths)
    if with_drift:
        from ocipy.bundle import open_bundle

        # The config that it was made with; paths in it start at the bundle.
        bundle = open_bundle(directory.path)
        bundle.path = record["bundle"]
        found.drift = verify(bundle, found.live, container_id, root, cgroup)
    if with_host:
        found.host = read_process(os.getpid(), {})
    return found
