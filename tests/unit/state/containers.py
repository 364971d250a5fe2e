"""Containers as their directories see them: a record, and a process that stands in for init."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from ocipy.state import store
from ocipy.state.process import start_ticks
from ocipy.state.record import new_record

if TYPE_CHECKING:
    from ocipy.state.record import StateRecord


def record_of(container_id: str, process: subprocess.Popen[bytes] | None = None) -> StateRecord:
    record = new_record(
        container_id, bundle="/b", rootfs="/b/rootfs", oci_version="1.3.0", annotations={}
    )
    if process is not None:
        record["pid"] = process.pid
        ticks = start_ticks(process.pid)
        assert ticks is not None
        record["startTicks"] = ticks
        record["status"] = "running"
    return record


def make_container(
    root: str,
    process: subprocess.Popen[bytes] | None = None,
    *,
    container_id: str = "c1",
    config: str = "{}",
) -> StateRecord:
    record = record_of(container_id, process)
    with store.create(root, container_id) as lock:
        store.save_config(lock.directory, config)
        store.save_record(lock, record)
    return record
