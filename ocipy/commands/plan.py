"""`plan`: what `create` would do, step by step. Nothing is changed, and nobody has to be root."""

from __future__ import annotations

import os

from ocipy import log
from ocipy.bundle import open_bundle
from ocipy.cgroup.paths import container_cgroups
from ocipy.errors import OcipyError, UsageError
from ocipy.host.probe import probe_host
from ocipy.json_text import dumps
from ocipy.observe.bundle_plan import plan_of_bundle
from ocipy.plan.describe import plan_difference, plan_to_json, plan_to_text
from ocipy.state import store
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.bundle import Bundle
    from ocipy.plan.create import Plan
    from ocipy.plan.step import Step
    from ocipy.request import Request


def run(request: Request) -> int:
    """Print the plan of a bundle, or how that of another bundle (--diff) differs from it."""
    output_format = request.text("format")
    if output_format not in ("text", "json"):
        raise UsageError(f"invalid --format {output_format!r}", hint="text or json")
    store.check_id(request.text("id"))
    config_path = request.text("config") or None
    bundle = open_bundle(request.text("bundle") or ".", config_path, strict=request.flag("strict"))
    for pointer, warning in bundle.warnings:
        log.warning(f"{warning} ({pointer})")
    plan = _steps(request, bundle)
    if request.text("diff"):
        other = _steps(request, _open_other(request.text("diff"), request.flag("strict")))
        print_text("".join(f"{line}\n" for line in plan_difference(plan, other)))
    elif output_format == "json":
        print_text(dumps(plan_to_json(plan), 2) + "\n")
    elif os.isatty(1):
        _print_table(plan)
    else:
        print_text(plan_to_text(plan, with_calls=True))
    return 0


def _print_table(plan: list[Step]) -> None:
    """Print for people: a row for each step, as wide as the terminal is."""
    from ocipy.observe.terminal import print_table

    rows = [
        [str(index), step.place, step.describe(), step.source, ", ".join(step.calls)]
        for index, step in enumerate(plan)
    ]
    print_table(["", "where", "step", "asked for by", "system calls"], rows)


def _open_other(path: str, strict: bool) -> Bundle:
    try:
        return open_bundle(path, strict=strict)
    except UsageError as error:
        raise UsageError(
            f"cannot read the other bundle: {error}",
            hint="--diff names the directory of the bundle to compare with, which has a "
            "config.json in it",
        ) from None


def _steps(request: Request, bundle: Bundle) -> list[Step]:
    plan = plan_of(
        bundle,
        request.text("id"),
        root=request.root,
        no_pivot=request.flag("no-pivot"),
        no_new_keyring=request.flag("no-new-keyring"),
        cgroup_manager=(
            request.cgroup_manager or ("systemd" if request.systemd_cgroup else "cgroupfs")
        ),
        rootless=request.rootless,
    )
    for pointer, warning in plan.warnings:
        log.warning(f"{warning} ({pointer})")
    return plan.steps


def plan_of(
    bundle: Bundle,
    container_id: str,
    *,
    root: str = "",
    no_pivot: bool = False,
    no_new_keyring: bool = False,
    cgroup_manager: str = "cgroupfs",
    rootless: str = "auto",
) -> Plan:
    """Return what `create` would do on this host; `root` is the state root, "" the default one.

    Raises:
        ConfigError: the host cannot do it, or a rule that only shows while planning.
    """

    def plan(cgroup_paths: dict[str, str] | None) -> Plan:
        return plan_of_bundle(
            bundle,
            host,
            container_id,
            store.root_path(root),
            no_pivot=no_pivot,
            no_new_keyring=no_new_keyring,
            cgroup_paths=cgroup_paths,
            cgroup_manager=cgroup_manager,
            rootless=rootless,
        )

    host = probe_host()
    try:
        return plan(None)
    except OcipyError as error:
        if host.euid == 0:
            raise
        refusal = error
    # Anybody may look at what root would do.
    host.euid, host.capabilities, host.may_set_groups = 0, host.bounding, True
    planned = plan(container_cgroups(bundle.config, host, container_id))
    sentence = f"this is what root would do; for this user create says: {refusal}"
    planned.warnings.append((refusal.pointer, sentence))
    return planned
