"""`doctor --bundle`: which fields of a config this host cannot honour, before it is run."""

from __future__ import annotations

import os

from ocipy.errors import ConfigFaults, OcipyError
from ocipy.host.probe import probe_host
from ocipy.observe.bundle_plan import plan_of_bundle
from ocipy.observe.doctor import FAIL, OK, WARN, Check
from ocipy.plan import _generated_steps as steps
from ocipy.sys.constants import RLIM_INFINITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocipy.bundle import Bundle
    from ocipy.host.facts import HostFacts
    from ocipy.plan.create import Plan

_CAP_SYS_RESOURCE = 24


def examine_bundle(bundle: Bundle, root: str) -> list[Check]:
    """Look for what this host has not got, and the config of the bundle asks for."""
    host = probe_host()
    checks = list(_files(bundle))
    try:
        plan = plan_of_bundle(bundle, host, "container", root)
    except ConfigFaults as error:
        return [*checks, *(_refused(fault) for fault in error.faults)]
    except OcipyError as error:
        return [*checks, _refused(error)]
    for pointer, sentence in plan.warnings:
        checks.append(
            Check(
                "bundle",
                "plan",
                WARN,
                sentence,
                "the container is made without it",
                "leave it out, or use a host that can",
                pointer,
            )
        )
    checks += _seccomp(plan, root)
    checks += _mounts(bundle, host)
    checks += _limits(bundle, host, plan)
    checks += _sysctls(bundle)
    checks += _devices(bundle)
    if not checks:
        checks.append(Check("bundle", "config", OK, "nothing that this host cannot do was found"))
    return checks


def _refused(error: OcipyError) -> Check:
    return Check(
        "bundle", "plan", FAIL, str(error), "create is refused", error.hint or "change the field",
        error.pointer,
    )  # fmt: skip


def _missing(pointer: str, what: str, path: str, remedy: str) -> Check:
    return Check("bundle", what, FAIL, f"{path} does not exist", "create fails", remedy, pointer)


def _files(bundle: Bundle) -> Iterator[Check]:
    config = bundle.config
    rootfs = os.path.join(bundle.path, config["root"]["path"])
    if not os.path.isdir(rootfs):
        yield _missing("/root/path", "root file system", rootfs, "unpack an image there")
    else:
        yield from _program(bundle, rootfs)
    for i, namespace in enumerate(config.get("linux", {}).get("namespaces", ())):
        path = namespace.get("path", "")
        if path and not os.path.exists(path):
            yield _missing(
                f"/linux/namespaces/{i}/path", "namespace", path, "it must exist before create"
            )
    for kind, hooks in config.get("hooks", {}).items():
        for i, hook in enumerate(hooks):  # type: ignore[arg-type, var-annotated]
            path = str(hook["path"])
            inside = kind in ("createContainer", "startContainer")
            # createContainer hooks are found outside, startContainer hooks in the container.
            if not inside and not os.access(path, os.X_OK):
                yield Check("bundle", "hook", FAIL, f"{path} cannot be executed",
                            "create fails", "install it, and chmod +x",
                            f"/hooks/{kind}/{i}/path")  # fmt: skip
    for name in config.get("linux", {}).get("netDevices", {}):
        if not os.path.exists(f"/sys/class/net/{name}"):
            yield _missing(
                f"/linux/netDevices/{name}", "network device", name, "make it before create"
            )


def _program(bundle: Bundle, rootfs: str) -> Iterator[Check]:
    from ocipy.sys import native

    args = bundle.config.get("process", {}).get("args", ())
    if not args:
        return
    mounted = [mount["destination"].rstrip("/") for mount in bundle.config.get("mounts", ())]
    candidates = [args[0]]
    if "/" not in args[0]:
        env = bundle.config.get("process", {}).get("env", ())
        path = next((entry[5:] for entry in env if entry.startswith("PATH=")), "")
        candidates = [f"{directory}/{args[0]}" for directory in path.split(":") if directory]
    root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for candidate in candidates:
            if any(candidate.startswith(f"{destination}/") for destination in mounted):
                return  # what is mounted there is not known here
            try:
                os.close(native.open_in_root(root_fd, candidate, os.O_PATH | os.O_CLOEXEC))
                return
            except OSError:
                continue
    finally:
        os.close(root_fd)
    yield Check(
        "bundle", "program", FAIL, f"{args[0]} is not in the root file system", "create fails",
        "look at process.args, and at PATH in process.env", "/process/args/0",
    )  # fmt: skip


def _seccomp(plan: Plan, root: str) -> Iterator[Check]:
    if plan.seccomp is None:
        return
    from ocipy.spawn.seccomp import compile_program
    from ocipy.sys import seccomp_native

    if not seccomp_native.has_flags(plan.seccomp.seccomp_flags):
        yield Check(
            "bundle", "seccomp", FAIL, f"flags {plan.seccomp.seccomp_flags:#x} are not known to "
            "this kernel", "the container does not start", "leave them out",
            "/linux/seccomp/flags",
        )  # fmt: skip
    try:
        compile_program(plan.seccomp)
    except OcipyError as error:
        yield _refused(error)
    unknown = [
        name
        for _, names, _ in plan.seccomp.rules
        for name in names
        if seccomp_native.syscall_number(0, name) == seccomp_native.UNKNOWN_SYSCALL
    ]
    if unknown:
        shown = ", ".join(sorted(set(unknown))[:5])
        yield Check(
            "bundle", "seccomp", WARN,
            f"libseccomp {seccomp_native.libseccomp_version()} does not know {shown}"
            + (f" and {len(set(unknown)) - 5} more" if len(set(unknown)) > 5 else ""),
            "rules about them are left out; the default action applies to them",
            "a newer libseccomp", "/linux/seccomp/syscalls",
        )  # fmt: skip


def _mounts(bundle: Bundle, host: HostFacts) -> Iterator[Check]:
    with open("/proc/filesystems", encoding="utf-8") as file:
        known = {line.rstrip("\n").split("\t")[-1] for line in file}
    for i, mount in enumerate(bundle.config.get("mounts", ())):
        options = mount.get("options", ())
        if "bind" in options or "rbind" in options or mount.get("type") in ("bind", "cgroup", None):
            source = mount.get("source", "")
            if (
                {"bind", "rbind"} & {*options}
                and source
                and not os.path.lexists(os.path.join(bundle.path, source))
            ):
                yield _missing(f"/mounts/{i}/source", "bind mount", source, "make it first")
        elif mount.get("type", "none") not in known | {"none"}:
            yield Check(
                "bundle", "mount", WARN, f"{mount.get('type', '')} is not among the file systems "
                "that are loaded", "create fails, unless the kernel finds a module for it",
                f"modprobe {mount.get('type', '')}", f"/mounts/{i}/type",
            )  # fmt: skip
        if ("uidMappings" in mount or "gidMappings" in mount) and not host.privileged:
            yield Check(
                "bundle", "idmapped mount", FAIL, "takes root of the host", "create fails",
                "become root, or leave the mappings out", f"/mounts/{i}/uidMappings",
            )  # fmt: skip


def _limits(bundle: Bundle, host: HostFacts, plan: Plan) -> Iterator[Check]:
    for step in plan.steps:
        if not isinstance(step, steps.WriteCgroupFile) or step.ignore:
            continue
        # The parent's directory has the same files, but for its own root.
        directory, name = os.path.split(step.path)
        while not os.path.isdir(directory) and len(directory) > 1:
            directory = os.path.dirname(directory)
        have = os.path.exists(f"{directory}/{name}") or os.path.ismount(directory)
        fallback = os.path.basename(step.fallback_path)
        if not have and not (fallback and os.path.exists(f"{directory}/{fallback}")):
            yield Check(
                "bundle", "limit", WARN, f"{directory} has no {name}",
                "create fails, if the new cgroup has none either", "enable its controller",
                step.source,
            )  # fmt: skip
    may_raise = bool(host.capabilities >> _CAP_SYS_RESOURCE & 1)
    import resource

    for i, limit in enumerate(bundle.config.get("process", {}).get("rlimits", ())):
        number = getattr(resource, limit["type"], None)
        if may_raise or number is None:
            continue
        hard = resource.getrlimit(number)[1]
        asked = int(limit["hard"])
        if hard != resource.RLIM_INFINITY and (asked > hard or asked == RLIM_INFINITY):
            yield Check(
                "bundle", "rlimit", FAIL, f"our own hard limit of {limit['type']} is {hard}",
                "create fails", "lower it, or raise our own", f"/process/rlimits/{i}/hard",
            )  # fmt: skip


def _sysctls(bundle: Bundle) -> Iterator[Check]:
    from ocipy.config.linux import dotted_sysctl
    from ocipy.json_position import escape

    for name in bundle.config.get("linux", {}).get("sysctl", {}):
        path = "/proc/sys/" + dotted_sysctl(name).replace(".", "/")
        if not os.path.exists(path) and not os.path.exists("/proc/sys/" + name.replace(".", "/")):
            yield Check(
                "bundle", "sysctl", WARN, f"this host has no {name}",
                "create fails, if the new namespace has none either", "leave it out",
                f"/linux/sysctl/{escape(name)}",
            )  # fmt: skip


def _devices(bundle: Bundle) -> Iterator[Check]:
    for i, device in enumerate(bundle.config.get("linux", {}).get("devices", ())):
        kind = {"b": "block", "c": "char", "u": "char"}.get(device["type"])
        if kind is None:
            continue
        number = f"{device.get('major', 0)}:{device.get('minor', 0)}"
        if not os.path.exists(f"/sys/dev/{kind}/{number}"):
            yield Check(
                "bundle", "device", WARN, f"this host has no {kind} device {number}",
                "the node is made, and nothing answers there", "load the driver",
                f"/linux/devices/{i}",
            )  # fmt: skip
