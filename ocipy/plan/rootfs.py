"""The root file system: how its mounts relate to the host's, and how it becomes the root.

Spec (config.md#root) and (config-linux.md#rootfs-mount-propagation).
"""

from __future__ import annotations

from ocipy.errors import ConfigError
from ocipy.plan import _generated_steps as steps
from ocipy.plan.mount_options import PROPAGATION
from ocipy.plan.step import HostFd
from ocipy.sys.constants import MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE
from ocipy.sys.mount_constants import MOUNT_ATTR_RDONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config
    from ocipy.host.facts import HostFacts
    from ocipy.plan.request import CreateRequest
    from ocipy.plan.step import Step

_POINTER = "/linux/rootfsPropagation"


def has_namespace(config: Config, kind: str) -> bool:
    """Whether the container has its own namespace of this type, new or joined."""
    return any(ns["type"] == kind for ns in config.get("linux", {}).get("namespaces", []))


def root_propagation(config: Config) -> int:
    """Return linux.rootfsPropagation as MS_*, with MS_REC for its "r..." forms; 0 if not given."""
    value = config.get("linux", {}).get("rootfsPropagation", "")
    if value and value not in PROPAGATION:
        raise ConfigError(
            _POINTER, f"{value!r} is no propagation type", hint=", ".join(PROPAGATION)
        )
    return PROPAGATION[value] if value else 0


def host_propagation(config: Config) -> int:
    """Return how the container's copies of the host's mounts relate to them; 0: as peers.

    Only with rootfsPropagation "shared" may a mount made in the container show on the host. What
    is not shared is applied to all the host's mounts, not to the one at "/" alone.
    """
    propagation = root_propagation(config)
    if propagation & MS_SHARED:
        return 0
    if propagation & (MS_PRIVATE | MS_UNBINDABLE):
        # An unbindable mount could not be the source of a bind.
        return MS_PRIVATE | MS_REC
    return MS_SLAVE | MS_REC


def plan_rootfs(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the steps that make the root file system a mount of its own.

    Raises:
        ConfigError: the propagation is none, or contradicts --no-pivot.
    """
    propagation = root_propagation(config)
    if not has_namespace(config, "mount"):
        return [
            steps.OpenRoot(
                "/root/path", path=request.rootfs, found=HostFd(request.rootfs, "rootfs")
            )
        ]
    if request.no_pivot and propagation & MS_PRIVATE:
        # The host's mounts stay in the namespace: private, they would also stay mounted here after
        # the host has unmounted them, and keep their devices busy.
        raise ConfigError(_POINTER, "private propagation is not safe with --no-pivot")
    plan: list[Step] = []
    source = _POINTER if propagation else ""
    if of_host := host_propagation(config):
        plan.append(steps.SetHostPropagation(source, propagation=of_host))
    own = MS_SLAVE if propagation & MS_SLAVE else MS_PRIVATE
    # A mount namespace that is joined may have something else mounted at the path.
    joined = any(ns["type"] == "mount" and ns.get("path") for ns in config["linux"]["namespaces"])
    found = None if joined else HostFd(request.rootfs, "rootfs")
    plan.append(steps.BindRootfs("/root/path", path=request.rootfs, propagation=own, found=found))
    return plan


def plan_pivot(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the steps that make the root file system the root, and give it its propagation."""
    if not has_namespace(config, "mount"):
        return [steps.ChangeRoot("/root/path")]
    plan: list[Step] = []
    if request.no_pivot:
        plan.append(steps.MoveRoot("/root/path"))
    else:
        plan.append(steps.PivotRoot("/root/path"))
    propagation = root_propagation(config)
    # Now, because a shared root could not have been pivoted to.
    if propagation & MS_SHARED:
        plan.append(steps.SetMountAttributes(_POINTER, target="/", propagation=propagation))
    return plan


def plan_root_read_only(config: Config) -> list[Step]:
    """Return the steps that end the work on the root: it becomes read-only, and unbindable.

    Last, because devices are made in it before, and read-only paths are binds of it.
    """
    plan: list[Step] = []
    propagation = root_propagation(config)
    if propagation & MS_UNBINDABLE and has_namespace(config, "mount"):
        plan.append(steps.SetMountAttributes(_POINTER, target="/", propagation=propagation))
    # Spec (config.md#root): if true then the root filesystem MUST be read-only.
    if not config["root"].get("readonly"):
        return plan
    if not has_namespace(config, "mount"):
        raise ConfigError(
            "/root/readonly",
            "a read-only root needs a mount namespace",
            hint='add {"type": "mount"} to linux.namespaces',
        )
    plan.append(steps.SetMountAttributes("/root/readonly", target="/", attr_set=MOUNT_ATTR_RDONLY))
    return plan
