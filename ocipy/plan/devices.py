"""Devices: those every container has, those config.json lists, and the links of /dev.

Spec (config-linux.md#devices, #default-devices), (runtime-linux.md#dev-symbolic-links).
"""

from __future__ import annotations

import os

from ocipy.errors import ConfigError
from ocipy.plan import _generated_steps as steps
from ocipy.plan.rootfs import has_namespace
from ocipy.plan.step import HostFd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Config, Device
    from ocipy.host.facts import HostFacts
    from ocipy.plan.request import CreateRequest
    from ocipy.plan.step import Step

_CAP_MKNOD = 27
_S_IFMT = 0o170000
_FILE_TYPE = {"c": 0o020000, "u": 0o020000, "b": 0o060000, "p": 0o010000}
_DEFAULT_MODE = 0o666

DEFAULT_DEVICES = (
    ("/dev/null", 1, 3),
    ("/dev/random", 1, 8),
    ("/dev/full", 1, 7),
    ("/dev/tty", 5, 0),
    ("/dev/zero", 1, 5),
    ("/dev/urandom", 1, 9),
)
_SYMLINKS = (
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/core", "/proc/kcore"),  # not of the specification: as runc, where the host has it
)


def plan_devices(config: Config, host: HostFacts, request: CreateRequest) -> list[Step]:
    """Return the steps that make the devices and the links of /dev.

    Where the host's /dev is bound, it has what the host has, and nothing may be added to it.

    Raises:
        ConfigError: a device is incomplete, or cannot be made without a mount namespace.
    """
    linux = config.get("linux", {})
    configured = linux.get("devices") or []
    makes_dev = not _binds_dev(config)
    plan: list[Step] = []
    if makes_dev:
        taken = {device["path"] for device in configured}
        for path, major, minor in DEFAULT_DEVICES:
            if path not in taken:
                device: Device = {"path": path, "type": "c", "major": major, "minor": minor}
                plan.append(_plan_device(config, host, "", device))
    for i, device in enumerate(configured):
        path = clean_path(device["path"])
        # /dev/ptmx is a link to the container's own devpts; a node would lead to the host's.
        if path != "/dev/ptmx" and (makes_dev or not path.startswith("/dev/")):
            plan.append(_plan_device(config, host, f"/linux/devices/{i}", device))
    if makes_dev:
        plan.append(steps.MakeSymlink("", path="/dev/ptmx", content="pts/ptmx", replace=1))
        # Spec (runtime-linux.md#dev-symbolic-links): MUST create these if the source file exists.
        plan.extend(
            steps.MakeSymlink("", path=path, content=content)
            for path, content in _SYMLINKS
            if host.kcore or content != "/proc/kcore"
        )
    return plan


def clean_path(path: str) -> str:
    """Return the path without "." and "..", absolute: as runc reads paths of config.json."""
    return os.path.normpath("/" + path.lstrip("/"))


def _binds_dev(config: Config) -> bool:
    for mount in config.get("mounts") or []:
        options = mount.get("options") or []
        if clean_path(mount["destination"]) == "/dev" and ("bind" in options or "rbind" in options):
            return True
    return False


def _plan_device(config: Config, host: HostFacts, source: str, device: Device) -> Step:
    path, kind = clean_path(device["path"]), _FILE_TYPE.get(device["type"])
    if kind is None:
        raise ConfigError(
            f"{source}/type", f"{device['type']!r} is no type of device: c, b, u or p"
        )
    major, minor = device.get("major", -1), device.get("minor", -1)
    is_fifo = device["type"] == "p"
    if is_fifo:
        major = minor = 0
    elif major < 0 or minor < 0:
        # Spec (config-linux.md#devices): REQUIRED unless type is p.
        raise ConfigError(source, f"the device {path!r} needs a major and a minor number")
    permissions = device.get("fileMode", _DEFAULT_MODE)
    mode = kind | (permissions & ~_S_IFMT)
    keep = not source
    if is_fifo or _may_make_devices(config, host):
        return steps.MakeDevice(
            source,
            path=path,
            mode=mode,
            major=major,
            minor=minor,
            uid=device.get("uid") or 0,
            gid=device.get("gid") or 0,
            keep=keep,
        )
    if not has_namespace(config, "mount"):
        raise ConfigError(
            source or "/linux/namespaces",
            f"{path!r} cannot be made here, and bound only in a mount namespace",
            hint='add {"type": "mount"} to linux.namespaces',
        )
    tree = None
    if host.privileged:
        tree = HostFd(
            path,
            "block" if device["type"] == "b" else "char",
            os.makedev(major, minor),
            wanted_by=source,
        )
    return steps.BindDevice(
        source, tree=tree, device=path, path=path, mode=mode, major=major, minor=minor, keep=keep
    )


def _may_make_devices(config: Config, host: HostFacts) -> bool:
    """mknod(2) of devices takes CAP_MKNOD in the first user namespace."""
    return (
        bool(host.capabilities >> _CAP_MKNOD & 1)
        and not host.in_user_namespace
        and not has_namespace(config, "user")
    )
