"""`inspect`: what is really in force for a container, read from the kernel."""

from __future__ import annotations

from ocipy.errors import StateError, UsageError
from ocipy.json_text import dumps
from ocipy.observe.inspect import Inspection, inspect_container
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocipy.request import Request

# Drift: of `inspect --verify`.
_DRIFT_STATUS = 10


def run(request: Request) -> int:
    """Return 10 if --verify has found drift."""
    from ocipy.observe.terminal import is_terminal
    from ocipy.state import store

    output_format = request.text("format") or ("text" if is_terminal() else "json")
    if output_format not in ("text", "json"):
        raise UsageError(f"invalid --format {output_format!r}", hint="text or json")
    found = inspect_container(
        store.root_path(request.root),
        request.args[0],
        with_drift=request.flag("verify"),
        with_host=request.flag("host"),
    )
    if request.flag("verify") and found.live is None:
        raise StateError(f"container {found.id} has no process to verify: it is {found.status}")
    if output_format == "json":
        print_text(dumps(found.to_json(), 2) + "\n")
    else:
        _print(found)
    return _DRIFT_STATUS if found.drift else 0


def _print(found: Inspection) -> None:
    from ocipy.observe.terminal import print_heading, print_table, print_tree

    live = found.live
    if live is None:
        print_heading(f"{found.id}: {found.status}, there is no process")
        return
    if found.host is not None:
        print_heading(f"{found.id} beside the host")
        print_table(("", found.id, "host"), _beside(live, found.host))
    elif found.drift is None:
        print_tree(
            f"{found.id}: {found.status}, process {live['pid']}, {' '.join(live['args'])}",
            _branches(live),
        )
        rows = [
            [mount["destination"], mount["type"], mount["source"], ",".join(mount["options"]),
             mount["propagation"]]
            for mount in live["mounts"]
        ]  # fmt: skip
        print_table(("mount", "type", "source", "options", "propagation"), rows)
    if found.drift is not None:
        rows = [["drift", drift.pointer, drift.asked, drift.found] for drift in found.drift]
        if rows:
            print_table(("", "field", "asked for", "in force"), rows)
        print_heading(f"{found.id}: {len(rows)} differences from config.json")


def _branches(live: dict[str, Any]) -> dict[str, list[str]]:
    user = live["user"]
    usage = live["cgroup"].get("usage", {})
    return {
        "namespaces": [
            f"{kind}: {value['of']} ({value['inode']})"
            for kind, value in live["namespaces"].items()
        ],
        "user": [
            f"uid {user['uid']}, gid {user['gid']}, groups {user['groups']}",
            *(f"uid {m['containerID']}+{m['size']} is {m['hostID']} outside"
              for m in user["uidMappings"]),
        ],
        "capabilities": [
            f"{name}: {' '.join(names) or 'none'}" for name, names in live["capabilities"].items()
        ],
        "privileges": [
            f"noNewPrivileges: {'yes' if live['noNewPrivileges'] else 'no'}",
            f"seccomp: {live['seccomp']['mode']}, {live['seccomp']['filters']} filters",
            f"label: {live['label'] or 'none'}",
            f"oomScoreAdj: {live['oomScoreAdj']}",
        ],
        "cgroup": [
            *(f"{names or 'version 2'}: {path}"
              for names, path in live["cgroup"].get("paths", {}).items()),
        ],
        "limits": [f"{name}: {value}" for name, value in live["cgroup"].get("limits", {}).items()],
        "usage": _usage(usage),
        "rlimits": [
            f"{name}: {_limit(value['soft'])} (hard {_limit(value['hard'])})"
            for name, value in live["rlimits"].items()
        ],
        "devices": [
            f"{device['path']} {device['type']} {device['major']}:{device['minor']}"
            for device in live["devices"]
        ],
        "sockets": [f"{socket['type']} {socket['address']}" for socket in live["sockets"]],
    }  # fmt: skip


def _limit(value: int | None) -> str:
    return "unlimited" if value is None else str(value)


def _usage(usage: dict[str, Any]) -> list[str]:
    memory = usage.get("memory", {}).get("usage", {}).get("usage", 0)
    cpu = usage.get("cpu", {}).get("usage", {}).get("total", 0)
    return [
        f"memory: {memory / (1 << 20):.1f} MiB",
        f"CPU time: {cpu / 1e9:.3f} s",
        f"processes: {usage.get('pids', {}).get('current', 0)}",
    ]


def _beside(live: dict[str, Any], host: dict[str, Any]) -> list[list[str]]:
    rows = []
    for kind, value in live["namespaces"].items():
        ours = host["namespaces"].get(kind, {}).get("inode", "")
        rows.append([f"{kind} namespace", str(value["inode"]), str(ours)])
    for name, names in live["capabilities"].items():
        rows.append([f"{name} capabilities", str(len(names)), str(len(host["capabilities"][name]))])
    for name, label in (("noNewPrivileges", "noNewPrivileges"), ("label", "label"),
                        ("oomScoreAdj", "oomScoreAdj")):  # fmt: skip
        rows.append([label, str(live[name]), str(host[name])])
    rows.append(["seccomp", live["seccomp"]["mode"], host["seccomp"]["mode"]])
    rows.append(["uid", str(live["user"]["uid"]), str(host["user"]["uid"])])
    for name in live["rlimits"]:
        ours = host["rlimits"].get(name, {}).get("soft")
        rows.append([name, _limit(live["rlimits"][name]["soft"]), _limit(ours)])
    for name in ("mounts", "devices", "sockets"):
        rows.append([name, str(len(live[name])), str(len(host[name]))])
    return rows
