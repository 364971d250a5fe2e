"""Moving a network device of the host into the container, Spec (config-linux.md#network-devices).

The kernel moves a device in one call, and takes its addresses, routes and state from it on the way:

    host                                    container
    read state, addresses, routes
                                            is the name free?
    move, under a name nobody has
                                            rename: the kernel says whether the name is free,
                                                or finds one for a template such as eth%d
                                            give it the permanent global addresses; set it up

MTU, hardware address and the like stay with the device. It is never moved back once the container
exists: that is up to the kernel, when the namespace ends. But a create that fails has to leave no
trace, so until then `undo` knows how to put the device back as it was.
"""

from __future__ import annotations

import errno
import os
from io import FileIO

from pyroute2 import IPRoute, NetlinkError

from ocipy.errors import StepError
from ocipy.sys import native
from ocipy.sys.constants import CLONE_NEWNET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from ocipy.plan._generated_steps import MoveNetworkDevice
    from ocipy.spawn.undo import Undo

    class Message(Protocol):
        """What pyroute2 makes of a netlink message: a header by key, and attributes."""

        def __getitem__(self, name: str) -> int: ...
        def get_attr(self, name: str) -> object: ...

    class Route(Protocol):
        """The part of pyroute2.IPRoute used here; its methods raise NetlinkError."""

        def link(self, command: str, **what: object) -> list[Message]: ...
        def addr(self, command: str, **what: object) -> list[Message]: ...
        def route(self, command: str, **what: object) -> list[Message]: ...
        def get_addr(self, **filters: object) -> Iterable[Message]: ...
        def get_routes(self, **filters: object) -> Iterable[Message]: ...
        def close(self) -> None: ...


# include/uapi/linux/if.h, if_addr.h, rtnetlink.h
_IFNAMSIZ = 15
_IFF_UP = 1
_IFA_F_PERMANENT = 0x80
_IFA_F_TO_KEEP = 0x02 | 0x200  # NODAD, NOPREFIXROUTE: how it was asked for, not how it is
_RT_SCOPE_UNIVERSE = 0
_RTPROT_KERNEL = 2
_FAMILIES = (2, 10)  # AF_INET, AF_INET6

_ADDRESS_ATTRIBUTES = {
    "IFA_LOCAL": "local",
    "IFA_ADDRESS": "address",
    "IFA_BROADCAST": "broadcast",
    "IFA_RT_PRIORITY": "rt_priority",
}
_ROUTE_ATTRIBUTES = {
    "RTA_DST": "dst",
    "RTA_GATEWAY": "gateway",
    "RTA_PREFSRC": "prefsrc",
    "RTA_PRIORITY": "priority",
    "RTA_TABLE": "table",
}


def execute(step: MoveNetworkDevice, pid: int, undo: Undo) -> None:
    """Move a device into the network namespace of `pid`.

    Raises:
        StepError: the device is not there or cannot be moved, or the name is taken.
    """
    namespace = FileIO(f"/proc/{pid}/ns/net", "r")
    if os.path.samestat(os.fstat(namespace.fileno()), os.stat("/proc/self/ns/net")):
        raise StepError(step, "the container is in the runtime's own network namespace", 0)
    host = _open(None)
    container = _open(namespace)
    try:
        device = _MovedDevice(step, pid, namespace, host)
        if "%" not in step.name and _index_of(container, step.name):
            raise _clash(step)
        undo.push(device.put_back)
        device.move(host)
        device.settle(container)
    except NetlinkError as error:
        raise _worded(step, error) from None
    finally:
        container.close()
        host.close()


def _open(namespace: FileIO | None) -> Route:
    """Return a netlink socket of a namespace, or of our own: a socket stays in the one it is made
    in."""
    if namespace is None:
        return IPRoute()  # type: ignore[no-any-return]
    with FileIO("/proc/self/ns/net", "r") as own:
        native.setns(namespace.fileno(), CLONE_NEWNET)
        try:
            return IPRoute()  # type: ignore[no-any-return]
        finally:
            native.setns(own.fileno(), CLONE_NEWNET)


class _MovedDevice:
    """A device as it was on the host, and where it is going.

    Holds the container's namespace open: a virtual device does not survive its namespace, and
    init, which keeps it alive, may be gone when the device has to be put back.
    """

    __slots__ = (
        "addresses",
        "index",
        "index_inside",
        "master",
        "namespace",
        "passing_name",
        "routes",
        "step",
        "up",
    )

    def __init__(self, step: MoveNetworkDevice, pid: int, namespace: FileIO, host: Route) -> None:
        (link,) = host.link("get", ifname=step.device)
        self.step = step
        self.namespace = namespace
        self.index = link["index"]
        self.index_inside = 0
        # Neither the host nor the container has a device of this name.
        self.passing_name = f"o{pid:x}-{self.index:x}"
        self.up = bool(link["flags"] & _IFF_UP)
        self.master = link.get_attr("IFLA_MASTER")
        self.addresses = list(host.get_addr(index=self.index))
        routes = [route for family in _FAMILIES for route in host.get_routes(family=family)]
        self.routes = [
            route
            for route in routes
            if route.get_attr("RTA_OIF") == self.index and route["proto"] != _RTPROT_KERNEL
        ]

    def move(self, host: Route) -> None:
        host.link(
            "set",
            index=self.index,
            net_ns_fd=self.namespace.fileno(),
            ifname=self.passing_name,
        )

    def settle(self, container: Route) -> None:
        index = self.index_inside = _index_of(container, self.passing_name)
        container.link("set", index=index, ifname=self.step.name)
        for address in self.addresses:
            # Spec: all permanent addresses of any family with global scope MUST be preserved.
            if _flags(address) & _IFA_F_PERMANENT and address["scope"] == _RT_SCOPE_UNIVERSE:
                _add_address(container, index, address, self._label(container, index, address))
        # Spec: the device MUST be set up after moving it.
        container.link("set", index=index, state="up")

    def _label(self, container: Route, index: int, address: Message) -> str:
        """Return the label of an address after the renaming, as the kernel itself changes it."""
        label = str(address.get_attr("IFA_LABEL") or "")
        device, colon, suffix = label.partition(":")
        if not colon or device != self.step.device:
            return ""  # the name of the device, which is the default
        (link,) = container.link("get", index=index)
        return f"{link.get_attr('IFLA_IFNAME')}:{suffix}"[:_IFNAMSIZ]

    def put_back(self) -> None:
        """Undo whatever of it happened."""
        host, container = _open(None), _open(self.namespace)
        try:
            # Between move() and settle() the device is inside, and only its name is known.
            index = self.index_inside or _index_of(container, self.passing_name)
            if index:
                with FileIO("/proc/self/ns/net", "r") as own:
                    container.link(
                        "set", index=index, net_ns_fd=own.fileno(), ifname=self.passing_name
                    )
            index = _index_of(host, self.passing_name)
            if index:
                self._restore(host, index)
        finally:
            container.close()
            host.close()

    def _restore(self, host: Route, index: int) -> None:
        host.link("set", index=index, ifname=self.step.device)
        if self.master:
            host.link("set", index=index, master=self.master)
        # The kernel makes some addresses by itself: before the device is up, they are in the way of
        # nothing, and after it, they are there.
        for address in self.addresses:
            label = str(address.get_attr("IFA_LABEL") or "")
            _ignoring_present(_add_address, host, index, address, label)
        if self.up:
            host.link("set", index=index, state="up")
        for route in self.routes:
            _ignoring_present(_add_route, host, index, route)


def _index_of(socket: Route, name: str) -> int:
    """Return the index of a device, 0 if there is none of that name."""
    try:
        (link,) = socket.link("get", ifname=name)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return 0
        raise
    return link["index"]


def _flags(address: Message) -> int:
    """The header has room for the first eight only."""
    flags = address.get_attr("IFA_FLAGS")
    return flags if isinstance(flags, int) else address["flags"]


def _attributes(message: Message, names: dict[str, str]) -> dict[str, object]:
    values = {names[name]: message.get_attr(name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _add_address(socket: Route, index: int, address: Message, label: str) -> None:
    what = _attributes(address, _ADDRESS_ATTRIBUTES)
    if label:
        what["label"] = label
    lifetimes = address.get_attr("IFA_CACHEINFO")
    if isinstance(lifetimes, dict) and not _flags(address) & _IFA_F_PERMANENT:
        what |= {"preferred": lifetimes["ifa_preferred"], "valid": lifetimes["ifa_valid"]}
    socket.addr(
        "add",
        index=index,
        family=address["family"],
        prefixlen=address["prefixlen"],
        scope=address["scope"],
        flags=_flags(address) & _IFA_F_TO_KEEP,
        **what,
    )


def _add_route(socket: Route, index: int, route: Message) -> None:
    socket.route(
        "add",
        oif=index,
        family=route["family"],
        dst_len=route["dst_len"],
        proto=route["proto"],
        scope=route["scope"],
        type=route["type"],
        **_attributes(route, _ROUTE_ATTRIBUTES),
    )


def _ignoring_present(
    add: Callable[..., None], socket: Route, index: int, message: Message, *more: str
) -> None:
    try:
        add(socket, index, message, *more)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise


def _clash(step: MoveNetworkDevice) -> StepError:
    # Spec: if a device with the specified name already exists in the container's namespace, the
    # runtime MUST generate an error.
    return StepError(
        step,
        "RTM_NEWLINK",
        errno.EEXIST,
        detail=f"the container has a network device {step.name!r} already",
        hint="give it another name, or a template such as eth%d",
    )


def _worded(step: MoveNetworkDevice, error: NetlinkError) -> StepError:
    if error.code == errno.EEXIST:
        return _clash(step)
    hint = {
        errno.ENODEV: "'ip link' lists the devices of the host",
        errno.EINVAL: "bridges, the loopback and some others cannot leave their namespace",
        errno.EPERM: "it takes CAP_NET_ADMIN on the host and in the container",
    }.get(error.code, "")
    return StepError(step, "netlink", error.code, hint=hint)
