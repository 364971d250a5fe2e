"""`ocipy pause ID`: freeze every process of a container."""

from __future__ import annotations

from ocipy.errors import StateError
from ocipy.state import store
from ocipy.state.status import current_status, require_allowed
from ocipy.state.store import ContainerLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.request import Request


def run(request: Request) -> int:
    change_freezer(request.root, request.args[0], "pause")
    return 0


def change_freezer(root: str, container_id: str, verb: str) -> None:
    """Freeze ("pause") or thaw ("resume") a container.

    Raises:
        StateError: the status forbids it, or the container has no cgroup to freeze.
    """
    directory = store.find(store.root_path(root), container_id)
    with ContainerLock(directory, command=verb):
        record = store.load_record(directory)
        require_allowed(verb, current_status(directory, record, lock_held=True), directory.id)
        where = record.get("cgroup")
        if not where:
            raise StateError(f"cannot {verb} {directory.id}: it has no cgroup of its own")
        from ocipy.cgroup.driver import open_cgroup

        cgroup = open_cgroup(where)
        if verb == "pause":
            if not cgroup.exists():
                raise StateError(f"cannot pause {directory.id}: somebody has removed its cgroup")
            cgroup.freeze()
        else:
            cgroup.thaw()
