"""HostFacts: what planners may know of this kernel and host. Filled in by host/probe.py."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.cgroup.facts import CgroupFacts


class HostFacts:
    """One object, read once; tests build their own, so that plans need no kernel.

    Attributes:
        kernel: release as uname(2) gives it, "6.1.0-18-amd64".
        euid: effective user id of ocipy, as its user namespace sees it.
        capabilities: our effective set, a mask of 1 << CAP_*.
        bounding: our bounding set; what is missing here no container can get.
        last_capability: highest capability number the kernel knows.
        clone_flags: CLONE_NEW* of the namespace types the kernel has.
        in_user_namespace: whether ocipy itself runs in a user namespace that is not the host's.
        may_set_groups: whether setgroups(2) is open to us, and to a child user namespace that we
            map: it takes CAP_SETGID, and that nobody has denied it (user_namespaces(7)).
        kcore: whether there is a /proc/kcore; many kernels are built without.
        lsms: security modules that can label a process: "apparmor", "selinux".
        cgroup: mounts and mode of the cgroup hierarchies.
        personality and seccomp abilities are asked of the kernel by the steps that need them.
    """

    __slots__ = (
        "bounding",
        "capabilities",
        "cgroup",
        "clone_flags",
        "euid",
        "in_user_namespace",
        "kcore",
        "kernel",
        "last_capability",
        "lsms",
        "may_set_groups",
    )

    def __init__(
        self,
        *,
        kernel: str,
        euid: int,
        capabilities: int,
        bounding: int,
        last_capability: int,
        clone_flags: int,
        in_user_namespace: bool,
        may_set_groups: bool,
        kcore: bool,
        lsms: tuple[str, ...],
        cgroup: CgroupFacts,
    ) -> None:
        self.kernel = kernel
        self.euid = euid
        self.capabilities = capabilities
        self.bounding = bounding
        self.last_capability = last_capability
        self.clone_flags = clone_flags
        self.in_user_namespace = in_user_namespace
        self.may_set_groups = may_set_groups
        self.kcore = kcore
        self.lsms = lsms
        self.cgroup = cgroup

    @property
    def privileged(self) -> bool:
        """Whether ocipy may do on the host what root may: mount, make devices, join namespaces."""
        return bool(self.capabilities >> 21 & 1) and not self.in_user_namespace
