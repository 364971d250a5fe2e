"""The plan of a bundle, as `create` would make it; nothing is made, and nobody has to be root."""

from __future__ import annotations

import os

from ocipy.errors import OcipyError
from ocipy.plan.create import plan_create
from ocipy.plan.request import CreateRequest
from ocipy.spawn.container import place_cgroup
from ocipy.state import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.bundle import Bundle
    from ocipy.cgroup.systemd.scope import Scope
    from ocipy.host.facts import HostFacts
    from ocipy.plan.create import Plan


def plan_of_bundle(
    bundle: Bundle,
    host: HostFacts,
    container_id: str,
    root: str,
    *,
    no_pivot: bool = False,
    no_new_keyring: bool = False,
    cgroup_paths: dict[str, str] | None = None,
    scope: Scope | None = None,
    cgroup_manager: str = "cgroupfs",
    rootless: str = "auto",
) -> Plan:
    """Return the plan for a container of that id below the state root `root`.

    `cgroup_paths` are those of a container that exists, {} for none, and `scope` its unit with the
    systemd driver; None: what the config says to the `cgroup_manager`, "cgroupfs", "systemd" or
    "disabled". `rootless` is that option's value.

    Raises:
        OcipyError: what `create` would say before it does anything; it knows its place in the file.
    """
    config = bundle.config
    try:
        if cgroup_paths is None:
            cgroup_paths, scope = place_cgroup(
                config, host, container_id, cgroup_manager, rootless, to_show=True
            )
        request = CreateRequest(
            container_id,
            bundle=bundle.path,
            rootfs=os.path.realpath(os.path.join(bundle.path, config["root"]["path"])),
            start_fifo=f"{root}/{container_id}/{store.START_FIFO}",
            report_fifo=f"{root}/{container_id}/{store.REPORT_FIFO}",
            no_pivot=no_pivot,
            no_new_keyring=no_new_keyring,
            cgroup_paths=cgroup_paths,
            cgroup_existed=os.path.isdir(cgroup_paths.get("", "")),
            scope=scope,
            oci_state={
                "ociVersion": config["ociVersion"],
                "id": container_id,
                "bundle": bundle.path,
            },
        )
        return plan_create(config, host, request)
    except OcipyError as error:
        from ocipy.schema.report import describe_faults

        describe_faults(error, bundle.text, bundle.config_file)
        raise
