"""`ocipy features`: what this build of ocipy implements, whatever this host can do.

Spec (features.md, features-linux.md). Nothing is typed in here that another module knows: names
come from the tables that planners look them up in, and a feature is there if its operation is.
"""

from __future__ import annotations

import os

from ocipy import __version__
from ocipy.commands.version import SPEC_VERSION, commit
from ocipy.config.rules import HOOK_KINDS
from ocipy.host.installation import writable_by_others
from ocipy.json_text import dumps
from ocipy.plan import _generated_steps as steps
from ocipy.plan import memory_policy, mount_options, seccomp
from ocipy.plan.step import Step
from ocipy.sys import seccomp_native
from ocipy.sys.constants import CAPABILITIES, CLONE_FLAG
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.json_text import Json
    from ocipy.request import Request

OLDEST_SPEC_VERSION = "1.0.0"

# Annotations of config.json that ocipy acts on; one that ends in a dot is a prefix.
UNSAFE_ANNOTATIONS: tuple[str, ...] = ()


def run(_: Request) -> int:
    print_text(dumps(features(), indent=4) + "\n")
    return 0


def features() -> dict[str, Json]:
    """Return the Features structure."""
    return {
        "ociVersionMin": OLDEST_SPEC_VERSION,
        "ociVersionMax": SPEC_VERSION,
        "hooks": list(HOOK_KINDS),
        "mountOptions": list(mount_options.KNOWN_OPTIONS),
        "linux": {
            "namespaces": [*sorted(CLONE_FLAG)],
            "capabilities": list(CAPABILITIES),
            "cgroup": _cgroup(),
            "seccomp": _seccomp(),
            "apparmor": _enabled(steps.WriteExecLabel),
            "selinux": _enabled(steps.WriteExecLabel),
            "memoryPolicy": {
                "modes": list(memory_policy.MODES),
                "flags": list(memory_policy.FLAGS),
            },
            "intelRdt": {
                "enabled": _has("JoinResctrlGroup"),
                "schemata": _has("CreateResctrlGroup"),
                "monitoring": _has("CreateMonitoringGroup"),
            },
            "mountExtensions": {
                "idmap": {"enabled": "idmap_fd" in dict(steps.MountFilesystem.kinds)}
            },
            "netDevices": _enabled(steps.MoveNetworkDevice),
        },
        "annotations": {
            "io.github.ocipy.commit": commit(),
            # SECURITY.md: empty, or who else could change what runs as root.
            "io.github.ocipy.installation.writable-by-others": "; ".join(writable_by_others()),
            "io.github.ocipy.version": __version__,
            "io.github.seccomp.libseccomp.version": seccomp_native.libseccomp_version(),
            # runc's name for it, which callers ask every runtime for.
            "org.opencontainers.runc.checkpoint.enabled": dumps(_has_module("commands/checkpoint")),
        },
        "potentiallyUnsafeConfigAnnotations": list(UNSAFE_ANNOTATIONS),
    }


def _has(operation: str) -> bool:
    return hasattr(steps, operation)


def _has_module(path: str) -> bool:
    package = os.path.dirname(os.path.dirname(__file__))
    return os.path.exists(f"{package}/{path}.py")


def _enabled(step: type[Step]) -> Json:
    return {"enabled": bool(step.operation)}


def _cgroup() -> Json:
    systemd = _has_module("cgroup/systemd")
    files = _has("WriteCgroupFile")
    return {"v1": files, "v2": files, "systemd": systemd, "systemdUser": systemd, "rdma": files}


def _seccomp() -> Json:
    # A flag is known if a config may have it, and supported if this kernel takes it; how to wait
    # for an answer can only be asked together with a listener.
    supported = [
        name
        for name, flag in seccomp.FLAGS.items()
        if seccomp_native.has_flags(
            flag | (seccomp.NEW_LISTENER if flag == seccomp.WAIT_KILLABLE_RECV else 0)
        )
    ]
    return {
        "enabled": _has("LoadSeccomp"),
        "actions": [*sorted(seccomp.ACTIONS)],
        "operators": [*sorted(seccomp.OPERATORS)],
        "archs": [
            name
            for name, token in sorted(seccomp.ARCHITECTURES.items())
            if seccomp_native.knows_architecture(token)
        ],
        "knownFlags": list(seccomp.FLAGS),
        "supportedFlags": list(supported),
    }
