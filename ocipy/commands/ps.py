"""`ocipy ps ID [PS OPTIONS]`: the processes in a container.

As runc does, the table is that of ps(1), with the lines of other processes left out; where ps is
not installed, and no options for it were given, a plain table is made from /proc.
"""

from __future__ import annotations

import os

from ocipy.errors import StateError, UsageError
from ocipy.json_text import dumps
from ocipy.state import store
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request
    from ocipy.state.record import StateRecord

# podman calls without PATH in the environment.
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(request: Request) -> int:
    output = request.text("format")
    if output not in ("table", "json"):
        raise UsageError("invalid format option", hint="--format is table or json")
    container_id, *ps_options = request.args
    directory = store.find(store.root_path(request.root), container_id)
    pids = container_pids(store.load_record(directory))
    if output == "json":
        print_text(dumps(pids) + "\n")
        return 0
    program = _find_ps()
    if program:
        print_text(filter_table(_run_ps(program, ps_options or ["-ef"]), pids))
    elif ps_options:
        raise StateError("ps is not installed", hint="without options, ocipy makes its own table")
    else:
        print_text(_own_table(pids))
    return 0


def container_pids(record: StateRecord) -> list[int]:
    """Return the pids of all processes in the container's cgroup, or of init where it has none."""
    cgroup = record.get("cgroup")
    if not cgroup:
        from ocipy.state.process import is_alive

        return [record["pid"]] if is_alive(record["pid"], record["startTicks"]) else []
    from ocipy.cgroup.driver import open_cgroup

    return open_cgroup(cgroup).pids()


def filter_table(table: str, pids: list[int]) -> str:
    """Keep the heading of ps's table and the lines with one of the pids.

    Raises:
        StateError: there is no PID column to find them by.
    """
    heading, *lines = table.splitlines(keepends=True)
    names = heading.split()
    if "PID" not in names:
        raise StateError(
            "couldn't find PID field in ps output", hint="let ps print it: -o pid,comm,args"
        )
    column = names.index("PID")
    wanted = {str(pid) for pid in pids}
    kept = [heading]
    for line in lines:
        fields = line.split()
        if len(fields) > column and fields[column] in wanted:
            kept.append(line)
    return "".join(kept)


def _find_ps() -> str:
    for folder in os.environ.get("PATH", _DEFAULT_PATH).split(":"):
        path = f"{folder or '.'}/ps"
        if folder and os.access(path, os.X_OK):
            return path
    return ""


def _run_ps(program: str, options: list[str]) -> str:
    import subprocess

    done = subprocess.run([program, *options], capture_output=True, check=False)
    if done.returncode:
        problem = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise StateError(f"ps failed with exit status {done.returncode}: {problem}")
    return done.stdout.decode("utf-8", "surrogateescape")


def _own_table(pids: list[int]) -> str:
    rows = ["UID         PID COMMAND\n"]
    for pid in pids:
        try:
            uid = os.stat(f"/proc/{pid}").st_uid
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().rstrip(b"\0").replace(b"\0", b" ")
            if not words:
                with open(f"/proc/{pid}/comm", "rb") as file:
                    words = b"[" + file.read().strip() + b"]"
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended since the cgroup was read
        rows.append(f"{uid:<8} {pid:>6} {words.decode('utf-8', 'replace')}\n")
    return "".join(rows)
