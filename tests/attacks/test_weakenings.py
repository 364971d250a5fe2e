"""The weakened builds themselves: each can be made, and some attack has to succeed against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks import weakened
from tests.attacks.weakenings import WEAKENINGS


def test_a_text_that_is_gone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = WEAKENINGS["dumpable"]._replace(changes=(("ocipy/cli.py", "no such text", ""),))
    monkeypatch.setitem(WEAKENINGS, "stale", stale)
    with pytest.raises(weakened.StaleWeakeningError, match="no such text"):
        weakened.patched("stale")


def test_each_weakening_is_attacked() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in WEAKENINGS if f'"{name}"' not in text] == []
