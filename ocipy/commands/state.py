"""`ocipy state ID`: print the state of a container, with the keys and the layout of runc."""

from __future__ import annotations

from ocipy.json_text import dumps
from ocipy.state import store
from ocipy.state.status import STOPPED, current_status
from ocipy.sys.fd import print_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request
    from ocipy.state.record import StateRecord


def run(request: Request) -> int:
    directory = store.find(store.root_path(request.root), request.args[0])
    record = store.load_record(directory)
    print_text(dumps(describe_state(record, current_status(directory, record)), indent=2))
    return 0


def describe_state(record: StateRecord, status: str, owner: str = "") -> dict[str, object]:
    """Return what `state` and `list --format json` print: the specification's State, and more."""
    state: dict[str, object] = {
        "ociVersion": record["ociVersion"],
        "id": record["id"],
        "pid": 0 if status == STOPPED else record["pid"],
        "status": status,
        "bundle": record["bundle"],
        "rootfs": record["rootfs"],
        "created": record["created"],
    }
    if record["annotations"]:
        state["annotations"] = record["annotations"]
    state["owner"] = owner or record["owner"]
    return state
