"""Private network namespaces: one that the test itself is in, as "the host", and others."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def new_network_namespace() -> Iterator[None]:
    """Move this process into a new network namespace, and back again at the end."""
    with open("/proc/self/ns/net", "rb") as own:
        _checked(_libc.unshare(CLONE_NEWNET))
        try:
            yield
        finally:
            _checked(_libc.setns(own.fileno(), CLONE_NEWNET))


def ip(command: str, pid: int | str = "self") -> str:
    """Run ip(8) in the network namespace of a process; return what it wrote."""
    inside = [] if pid == "self" else ["nsenter", f"--net=/proc/{pid}/ns/net"]
    done = subprocess.run([*inside, "ip", *command.split()], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {command}: {done.stderr}"
    return done.stdout


def links(pid: int | str = "self") -> list[str]:
    """Return the names of all devices but lo."""
    found = [link["ifname"] for link in json.loads(ip("-j link show", pid))]
    return sorted(name for name in found if name != "lo")


def link(name: str, pid: int | str = "self") -> dict[str, Any]:
    (found,) = json.loads(ip(f"-j -d addr show dev {name}", pid))
    assert isinstance(found, dict)
    return found


def addresses(name: str, pid: int | str = "self") -> list[str]:
    """Return "ADDRESS[ peer PEER]/LENGTH" of all global addresses of a device, sorted."""
    found = []
    for info in link(name, pid)["addr_info"]:
        if info["scope"] == "global":
            peer = f" peer {info['address']}" if "address" in info else ""
            found.append(f"{info['local']}{peer}/{info['prefixlen']}")
    return sorted(found)
