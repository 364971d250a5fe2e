"""Mounts of type "cgroup": the container's view of its cgroups.

config.json does not say which version of cgroups the host has, so one entry stands for a mount of
cgroup2, or for a tmpfs with a directory for each hierarchy of cgroup v1, as engines and runc have
it. A container with a cgroup namespace mounts its hierarchies, and sees its own cgroup as their
root. One without gets its own cgroup bound there in v1; in v2 it sees the host's hierarchy.
"""

from __future__ import annotations

from ocipy.cgroup.plan import is_optional
from ocipy.plan import _generated_steps as steps
from ocipy.plan.rootfs import has_namespace
from ocipy.sys.mount_constants import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_RDONLY,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.cgroup.facts import Hierarchy
    from ocipy.config._generated_types import Config
    from ocipy.host.facts import HostFacts
    from ocipy.plan.mount_options import MountOptions
    from ocipy.plan.request import CreateRequest
    from ocipy.plan.step import Step

_V1_ATTRIBUTES = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC


def plan_cgroup_mount(
    config: Config,
    host: HostFacts,
    request: CreateRequest,
    source: str,
    target: str,
    options: MountOptions,
) -> list[Step]:
    """Return the steps of one mount of type "cgroup"."""
    propagation = options.propagation[0] if options.propagation else 0
    own_namespace = has_namespace(config, "cgroup")
    # Without a cgroup namespace of its own, a container of an unprivileged user would have that
    # user's rights over all of that user's cgroups (CVE-2023-25809).
    read_only = bool(options.flags & MS_RDONLY) or not (host.privileged or own_namespace)
    if host.cgroup.v1:
        optional = is_optional(config, host)
        return _plan_v1(
            host, request, source, target, own_namespace, optional, read_only, propagation
        )
    attributes = options.attributes() | (MOUNT_ATTR_RDONLY if read_only else 0)
    unified = host.cgroup.unified
    in_user_namespace = host.in_user_namespace or has_namespace(config, "user")
    if in_user_namespace and not own_namespace and unified is not None:
        # A user namespace may only mount cgroup2 in a cgroup namespace that belongs to it. As runc,
        # also where it is ocipy that runs in one, as with a rootless podman.
        return [
            steps.MountBind(
                source,
                tree=None,
                path=unified.mountpoint,
                target=target,
                recursive=0,
                attr_set=attributes,
                propagation=propagation,
            )
        ]
    return [
        steps.MountFilesystem(
            source,
            fstype="cgroup2",
            source_name="cgroup",
            target=target,
            options=(*options.superblock(), *options.data),
            attr_set=attributes,
            recursive_set=options.recursive_set,
            recursive_clear=options.recursive_clear,
            propagation=propagation,
        )
    ]


def _plan_v1(
    host: HostFacts,
    request: CreateRequest,
    source: str,
    target: str,
    own_namespace: bool,
    optional: bool,
    read_only: bool,
    propagation: int,
) -> list[Step]:
    plan: list[Step] = [
        steps.MountFilesystem(
            source,
            fstype="tmpfs",
            source_name="tmpfs",
            target=target,
            options=("mode=755",),
            attr_set=_V1_ATTRIBUTES,
            propagation=propagation,
        )
    ]
    attributes = _V1_ATTRIBUTES | (MOUNT_ATTR_RDONLY if read_only else 0)
    links: list[Step] = []
    for hierarchy in host.cgroup.v1:
        name = hierarchy.mountpoint.rpartition("/")[2]
        directory = f"{target}/{name}"
        if own_namespace:
            plan.append(
                steps.MountFilesystem(
                    source,
                    fstype="cgroup",
                    source_name="cgroup",
                    target=directory,
                    options=hierarchy.controllers,
                    attr_set=attributes,
                    propagation=propagation,
                )
            )
        else:
            # By path: the cgroup is made after ocipy has opened what it opens for init.
            plan.append(
                steps.MountBind(
                    source,
                    tree=None,
                    path=_own_directory(request, hierarchy),
                    # Who may not make cgroups runs in the one that ocipy is in.
                    or_path=hierarchy.mountpoint + hierarchy.own_path if optional else "",
                    target=directory,
                    recursive=1,
                    attr_set=attributes,
                    propagation=propagation,
                )
            )
        if "," in name:
            # Programs look for /sys/fs/cgroup/cpu where the hierarchy is at cpu,cpuacct.
            links.extend(
                steps.MakeSymlink(source, path=f"{target}/{part}", content=name)
                for part in name.split(",")
            )
    return plan + links


def _own_directory(request: CreateRequest, hierarchy: Hierarchy) -> str:
    """Return the container's cgroup in a hierarchy; ocipy's own where it was given none."""
    paths = request.cgroup_paths
    for controllers, path in paths.items():
        if set(controllers.split(",")) & set(hierarchy.controllers):
            return path
    return hierarchy.mountpoint + hierarchy.own_path
