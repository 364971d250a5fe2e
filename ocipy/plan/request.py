"""What the caller of create, run or exec asked for, beside config.json."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.cgroup.systemd.scope import Scope


class CreateRequest:
    """The command line of `create` or `run`, resolved: planners see no options and no environment.

    Attributes:
        container_id: as given.
        bundle: absolute path.
        rootfs: absolute path of the root filesystem.
        report_fifo: path of the fifo through which `start` hears of failures.
        start_fifo: path of the fifo on which init waits for `start`; "" where `run` goes straight
            on.
        no_pivot: move the mount instead of pivot_root(2), for a host on an initramfs.
        no_new_keyring: stay in the caller's session keyring.
        preserve_fds: how many descriptors from 3 on the container process inherits.
        listen_fds: LISTEN_FDS of the caller's environment (sd_listen_fds(3)), they come first.
        listen_fd_names: LISTEN_FDNAMES.
        notify_directory: where the socket is or will be on which the container may say that it
            is ready (sd_notify(3)), absolute; "" where nobody wants to know.
        cgroup_paths: controllers of a hierarchy, comma separated ("" for cgroup v2), to the
            container's absolute directory in it.
        cgroup_existed: the cgroup v2 directory was there before: somebody else has made it.
        trace_environment: what hooks are given of the caller's trace context, NAME=VALUE.
        oci_state: the State that hooks get, without pid and status.
        scope: with the systemd driver, the unit whose cgroup that is; else None.
    """

    __slots__ = (
        "bundle",
        "cgroup_existed",
        "cgroup_paths",
        "container_id",
        "listen_fd_names",
        "listen_fds",
        "no_new_keyring",
        "no_pivot",
        "notify_directory",
        "oci_state",
        "preserve_fds",
        "report_fifo",
        "rootfs",
        "scope",
        "start_fifo",
        "trace_environment",
    )

    def __init__(
        self,
        container_id: str,
        *,
        bundle: str,
        rootfs: str,
        start_fifo: str = "",
        report_fifo: str = "",
        no_pivot: bool = False,
        no_new_keyring: bool = False,
        preserve_fds: int = 0,
        listen_fds: int = 0,
        listen_fd_names: str = "",
        notify_directory: str = "",
        cgroup_paths: dict[str, str] | None = None,
        cgroup_existed: bool = False,
        oci_state: dict[str, object] | None = None,
        trace_environment: list[str] | None = None,
        scope: Scope | None = None,
    ) -> None:
        self.container_id = container_id
        self.bundle = bundle
        self.rootfs = rootfs
        self.start_fifo = start_fifo
        self.report_fifo = report_fifo
        self.no_pivot = no_pivot
        self.no_new_keyring = no_new_keyring
        self.preserve_fds = preserve_fds
        self.listen_fds = listen_fds
        self.listen_fd_names = listen_fd_names
        self.notify_directory = notify_directory
        self.cgroup_paths = cgroup_paths or {}
        self.cgroup_existed = cgroup_existed
        self.oci_state = oci_state or {}
        self.trace_environment = trace_environment or []
        self.scope = scope
