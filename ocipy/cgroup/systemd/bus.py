"""Where the systemd manager is that makes the container's unit: the system's, or the user's own."""

from __future__ import annotations

import os

from ocipy.cgroup.systemd.dbus import PRIVATE_SOCKET, Systemd, SystemdError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocipy.host.facts import HostFacts

_SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
_SYSTEM_HINT = (
    "the systemd cgroup driver takes a host that systemd has booted ('systemctl is-system-running' "
    "says whether), with D-Bus (Debian: apt install dbus); elsewhere leave --systemd-cgroup out, "
    'in Docker exec-opts native.cgroupdriver=cgroupfs, in podman cgroup_manager = "cgroupfs"'
)
# What to do where a user has no manager.
USER_HINT = (
    "without root it is the user's own manager that makes cgroups: log in by ssh or on a console "
    "rather than by su or sudo, or 'loginctl enable-linger USER' and export "
    "XDG_RUNTIME_DIR=/run/user/UID (Debian: apt install dbus-user-session libpam-systemd); or "
    "leave --systemd-cgroup out"
)


def uses_user_systemd(host: HostFacts, rootless: str, environment: Mapping[str, str]) -> bool:
    """Does the unit belong to the user's own manager?

    Args:
        rootless: of the option --rootless: true or false decide, auto does not.
    """
    if rootless != "auto":
        return rootless in ("1", "t", "T", "TRUE", "true", "True")
    if host.euid != 0:
        return True
    # Root of a user namespace is a user's, as with rootless podman; or it is that of a container
    # with a systemd of its own, which needs no session.
    return host.in_user_namespace and bool(user_addresses(host.euid, environment))


def system_addresses(environment: Mapping[str, str]) -> list[str]:
    """Return the addresses of the system's manager, the bus first."""
    bus = environment.get("DBUS_SYSTEM_BUS_ADDRESS", "") or _SYSTEM_BUS
    return [*_each(bus), f"unix:path=/run{PRIVATE_SOCKET}"]


def user_addresses(uid: int, environment: Mapping[str, str]) -> list[str]:
    """Return the addresses of the user's manager that may be there, the bus first."""
    runtime_dir = environment.get("XDG_RUNTIME_DIR", "")
    if not runtime_dir and os.path.isdir(f"/run/user/{uid}"):
        runtime_dir = f"/run/user/{uid}"
    addresses = _each(environment.get("DBUS_SESSION_BUS_ADDRESS", ""))
    for socket in ("/bus", PRIVATE_SOCKET) if runtime_dir else ():
        address = f"unix:path={runtime_dir}{socket}"
        if address not in addresses and os.path.exists(f"{runtime_dir}{socket}"):
            addresses.append(address)
    return addresses


def _each(addresses: str) -> list[str]:
    """D-Bus specification, "Server Addresses": several are separated by semicolons."""
    return [address for address in addresses.split(";") if address]


def open_system_bus() -> Systemd:
    """Connect to the system's manager.

    Raises:
        SystemdError: there is none, or it does not let us; says what to install or set.
    """
    return _first(system_addresses(os.environ), "systemd", _SYSTEM_HINT)


def open_user_bus(uid: int) -> Systemd:
    """Connect to the manager of the user who calls us; `uid` is ours.

    Raises:
        SystemdError: there is none, or it does not let us; says what to install or set.
    """
    return _first(user_addresses(uid, os.environ), "the user's systemd", USER_HINT)


def open_systemd(address: str) -> Systemd:
    """Connect to the manager that a unit was made with; "" is the system's.

    Raises:
        SystemdError: it is not there any more, or does not let us.
    """
    return Systemd(address) if address else open_system_bus()


def _first(addresses: list[str], what: str, hint: str) -> Systemd:
    problems = []
    for address in addresses:
        try:
            return Systemd(address)
        except SystemdError as error:
            if error.hint and "jeepney" in error.hint:
                raise
            problems.append(str(error))
    why = "; ".join(problems) or "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR leads to one"
    raise SystemdError(f"cannot reach {what}: {why}", hint=hint)
