"""The bundle is read once: what is changed in it afterwards is no order of the caller's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.attacks.verdict import against

if TYPE_CHECKING:
    from tests.attacks.verdict import Attack
    from tests.integration.containers import Container


@against("config-read-again")
@pytest.mark.parametrize("status", ["created", "running"])
def test_exec_after_a_change(container: Container, attack: Attack, status: str) -> None:
    """With more capabilities, without a filter, as another user."""
    container.process["user"] = {"uid": 1000, "gid": 1000}
    container.process["capabilities"] = {}
    if status == "running":
        container.up()
    else:
        container.create()
    changed = json.loads(json.dumps(container.config))
    changed["process"]["user"] = {"uid": 0, "gid": 0}
    with open(f"{container.bundle.path}/config.json", "w", encoding="utf-8") as file:
        json.dump(changed, file)
    call = container.exec("/bin/id", "-u")
    attack.succeeded(call.out == "0\n", call)
