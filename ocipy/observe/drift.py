"""`inspect --verify`: where what is in force differs from what config.json asked for.

A process may give up privileges by itself, and usually does: that is no drift. What counts is what
it has more than was asked for, and what the container lacks.
"""

from __future__ import annotations

import os

from ocipy.cgroup.systemd.properties import as_systemd_writes
from ocipy.host.probe import probe_host
from ocipy.observe.bundle_plan import plan_of_bundle
from ocipy.observe.live import read
from ocipy.plan import _generated_steps as steps
from ocipy.sys.constants import CLONE_FLAG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ocipy.bundle import Bundle
    from ocipy.cgroup.systemd.scope import Scope
    from ocipy.config._generated_types import Config
    from ocipy.json_text import Json
    from ocipy.state.record import CgroupRecord

_FLAGS = ("ro", "nosuid", "nodev", "noexec")
# What these files hold for "no limit".
_UNLIMITED = {"max", "-1", "9223372036854771712"}


class Drift:
    """One difference: the field, what it asked for, and what there is."""

    __slots__ = ("asked", "found", "pointer")

    def __init__(self, pointer: str, asked: str, found: str) -> None:
        self.pointer = pointer
        self.asked = asked
        self.found = found

    def to_json(self) -> dict[str, Json]:
        return {"pointer": self.pointer, "asked": self.asked, "found": self.found}


def verify(
    bundle: Bundle,
    live: dict[str, Any],
    container_id: str,
    root: str,
    cgroup: CgroupRecord | None,
) -> list[Drift]:
    """Compare the config that a container was made with to what read_process() has found.

    `cgroup` is what its record says of the cgroup.
    """
    config = bundle.config
    return [
        *_namespaces(config, live),
        *_capabilities(config, live),
        *_process(config, live),
        *_mounts(config, live),
        *_hidden_paths(config, live),
        *_limits(bundle, container_id, root, cgroup),
    ]


def _namespaces(config: Config, live: dict[str, Any]) -> Iterator[Drift]:
    namespaces = config.get("linux", {}).get("namespaces", ())
    asked = {ns["type"]: i for i, ns in enumerate(namespaces)}
    for kind in CLONE_FLAG:
        found = live["namespaces"].get(kind)
        if found is None:
            continue
        if kind not in asked:
            if found["of"] != "host":
                yield Drift("/linux/namespaces", f"the host's {kind} namespace", "another one")
            continue
        path = namespaces[asked[kind]].get("path", "")
        if path:
            try:
                inode = os.stat(path).st_ino
            except OSError:
                continue  # whoever made it has removed its name since
            if inode != found["inode"]:
                yield Drift(f"/linux/namespaces/{asked[kind]}/path",
                            f"{kind}:[{inode}]", f"{kind}:[{found['inode']}]")  # fmt: skip
        elif found["of"] == "host":
            yield Drift(f"/linux/namespaces/{asked[kind]}", f"a {kind} namespace of its own",
                        "the host's")  # fmt: skip


def _capabilities(config: Config, live: dict[str, Any]) -> Iterator[Drift]:
    sets = config.get("process", {}).get("capabilities", {})
    for name, found in live["capabilities"].items():
        more = {*found} - {*sets.get(name, ())}  # type: ignore[misc]
        # Without a user namespace of its own, root regains what is in its bounding set at execve.
        if name in ("effective", "permitted"):
            more -= {*sets.get("bounding", ())}
        if more:
            yield Drift(
                f"/process/capabilities/{name}", "no others than listed", ", ".join(sorted(more))
            )


def _process(config: Config, live: dict[str, Any]) -> Iterator[Drift]:
    process = config.get("process", {})
    if process.get("noNewPrivileges") and not live["noNewPrivileges"]:
        yield Drift("/process/noNewPrivileges", "true", "false")
    if "seccomp" in config.get("linux", {}) and live["seccomp"]["mode"] != "filter":
        yield Drift("/linux/seccomp", "a filter", str(live["seccomp"]["mode"]))
    if "oomScoreAdj" in process and process["oomScoreAdj"] != live["oomScoreAdj"]:
        yield Drift("/process/oomScoreAdj", str(process["oomScoreAdj"]), str(live["oomScoreAdj"]))
    profile = process.get("apparmorProfile")
    if profile and not str(live["label"]).startswith(profile):
        yield Drift("/process/apparmorProfile", profile, str(live["label"]) or "none")
    label = process.get("selinuxLabel")
    if label and live["label"] != label:
        yield Drift("/process/selinuxLabel", label, str(live["label"]) or "none")
    for i, limit in enumerate(process.get("rlimits", ())):
        found = live["rlimits"].get(limit["type"])
        # A process may lower both.
        if (
            found
            and (found["hard"] is None or found["hard"] > limit["hard"])
            and (limit["hard"] < 1 << 63)
        ):
            yield Drift(f"/process/rlimits/{i}/hard", str(limit["hard"]),
                        "unlimited" if found["hard"] is None else str(found["hard"]))  # fmt: skip


def _visible(live: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the mounts by destination; of several on the same, the last one is seen."""
    return {mount["destination"]: mount for mount in live["mounts"]}


def _mounts(config: Config, live: dict[str, Any]) -> Iterator[Drift]:
    visible = _visible(live)
    if config["root"].get("readonly") and "ro" not in visible.get("/", {}).get("options", ["ro"]):
        yield Drift("/root/readonly", "true", "the root can be written to")
    for i, mount in enumerate(config.get("mounts", ())):
        real_path = _real_path(live, mount["destination"])
        found = visible.get(real_path) if real_path is not None else None
        if found is None:
            destination = os.path.normpath(mount["destination"])
            yield Drift(f"/mounts/{i}/destination", f"a mount on {destination}", "none")
            continue
        in_force = [found]
        if mount.get("type") == "cgroup" and found["type"] == "tmpfs":
            # Of cgroup v1 there is one mount for each hierarchy; the tmpfs only holds them.
            below = found["destination"] + "/"
            in_force = [m for m in visible.values() if m["destination"].startswith(below)]
        for flag in _FLAGS:
            lacking = [m for m in in_force if flag not in m["options"]]
            if flag in mount.get("options", ()) and lacking:
                yield Drift(f"/mounts/{i}/options", flag, ",".join(lacking[0]["options"]))


def _hidden_paths(config: Config, live: dict[str, Any]) -> Iterator[Drift]:
    visible = _visible(live)
    for field in ("maskedPaths", "readonlyPaths"):
        for i, path in enumerate(config.get("linux", {}).get(field, ())):  # type: ignore[arg-type, var-annotated]
            real_path = _real_path(live, path)
            if real_path is None:  # what the container has not got needs no hiding
                continue
            found = visible.get(real_path)
            if found is None:
                yield Drift(f"/linux/{field}/{i}", f"{path} hidden or read-only", "it is not")
            elif field == "readonlyPaths" and "ro" not in found["options"]:
                yield Drift(f"/linux/{field}/{i}", f"{path} read-only",
                            ",".join(found["options"]))  # fmt: skip


def _real_path(live: dict[str, Any], path: str) -> str | None:
    """Return where the container finds `path`, with links followed: /var/run is often one."""
    from ocipy.sys import native

    try:
        root = os.open(f"/proc/{live['pid']}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = native.open_in_root(root, path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    finally:
        os.close(root)
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)


def _limits(
    bundle: Bundle, container_id: str, root: str, cgroup: CgroupRecord | None
) -> Iterator[Drift]:
    """Plan the container again, and look whether each file has the value that it was given."""
    if not cgroup or not cgroup["paths"]:
        return
    scope = _scope(cgroup)
    paths = cgroup["paths"]
    plan = plan_of_bundle(bundle, probe_host(), container_id, root, cgroup_paths=paths, scope=scope)
    values: dict[str, tuple[str, str]] = {}
    for step in plan.steps:
        if isinstance(step, steps.WriteCgroupFile):
            path, value = step.path, step.value
            if step.fallback_path and not os.path.exists(path):
                path, value = step.fallback_path, step.fallback_value
            values[path] = (step.source, value)
        elif isinstance(step, steps.WriteDependentCgroupFiles):
            for path, value in zip(step.paths, step.values, strict=True):
                values[path] = (step.source, value)
    for path, (pointer, value) in values.items():
        found = read(path).strip()
        if not found or _equal(value, found):
            continue
        if scope is not None and found == as_systemd_writes(os.path.basename(path), value):
            continue
        yield Drift(pointer, f"{os.path.basename(path)}: {value}", found)


def _scope(cgroup: CgroupRecord) -> Scope | None:
    unit = cgroup.get("unit", "")
    if not unit:
        return None
    from ocipy.cgroup.systemd.scope import Scope

    path = cgroup["paths"][""]
    return Scope(os.path.basename(os.path.dirname(path)), unit, path, cgroup.get("bus", ""))


def _equal(asked: str, found: str) -> bool:
    if asked == found or {asked, found} <= _UNLIMITED:
        return True
    if asked.isdigit() and found.isdigit():
        # The kernel counts memory in pages.
        page = os.sysconf("SC_PAGE_SIZE")
        return int(asked) // page == int(found) // page and int(asked) >= page
    # A file of several lines, one for each device, has the line among others.
    if all(word in found.split() for word in asked.split()):
        return True
    return _numbers(asked) == _numbers(found) != []


def _numbers(text: str) -> list[int]:
    """Return the numbers of a list such as "0-2,7"; [] for anything else."""
    from ocipy.config.cpu_list import parse_list

    try:
        return parse_list(text)
    except (ValueError, IndexError):
        return []
