"""`ocipy list`: the containers of one state root."""

from __future__ import annotations

import os

from ocipy import log
from ocipy.commands.state import describe_state
from ocipy.errors import StateError, UsageError
from ocipy.json_text import dumps
from ocipy.state import store
from ocipy.state.status import current_status
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request

_COLUMNS = ("id", "pid", "status", "bundle", "created", "owner")


def run(request: Request) -> int:
    if request.text("format") not in ("table", "json"):
        raise UsageError("invalid format option", hint="--format is table or json")
    root = store.root_path(request.root)
    if request.flag("quiet"):
        print_text("".join(f"{container_id}\n" for container_id in store.list_ids(root)))
        return 0
    states = _states(root)
    if request.text("format") == "json":
        # runc prints a nil slice.
        print_text((dumps(states) if states else "null") + "\n")
    elif os.isatty(1):
        from ocipy.observe.terminal import print_table

        rows = [[str(state[name]) for name in _COLUMNS] for state in states]
        print_table([name.upper() for name in _COLUMNS], rows)
    else:
        print_text(_table(states))
    return 0


def _states(root: str) -> list[dict[str, object]]:
    states = []
    owners: dict[int, str] = {}
    for container_id in store.list_ids(root):
        try:
            directory = store.find(root, container_id)
            record = store.load_record(directory)
        except store.ContainerNotFoundError:
            continue  # deleted since the root was read
        except StateError as error:
            log.warning(str(error))
            continue
        status = current_status(directory, record)
        uid = os.fstat(directory.fd).st_uid
        if uid not in owners:
            # Each question opens a file.
            owners[uid] = _owner(uid)
        states.append(describe_state(record, status, owners[uid]))
    return states


def _owner(uid: int) -> str:
    """Return the name of a user, or the number where it has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def _table(states: list[dict[str, object]]) -> str:
    """Lay out as runc's tabwriter does: columns at least 12 wide, with 3 blanks between them."""
    rows = [[name.upper() for name in _COLUMNS]]
    rows += [[str(state[name]) for name in _COLUMNS] for state in states]
    widths = [max(12, *(len(row[i]) + 3 for row in rows)) for i in range(len(_COLUMNS) - 1)]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        + row[-1]
        + "\n"
        for row in rows
    )
