"""Rules of resources, in a config and in `update`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ocipy.config.resources import accept_resources
from ocipy.errors import ConfigError
from tests.unit.config.checks import assert_refused, warnings_of

GOLDEN = Path(__file__).parent.parent / "golden" / "resources"
NODE = {"major": 8, "minor": 0}


@pytest.mark.parametrize(
    ("resources", "pointer", "sentence"),
    [
        (
            {"devices": [{"allow": True, "type": "x", "access": "r"}]},
            "/devices/0/type",
            "none of a, b, c",
        ),
        ({"devices": [{"allow": True, "type": "c"}]}, "/devices/0", "needs access"),
        ({"devices": [{"allow": True, "access": ""}]}, "/devices/0/access", "needs access"),
        ({"devices": [{"allow": True, "access": "rx"}]}, "/devices/0/access", "more in it"),
        (
            {"devices": [{"allow": True, "access": "r", "major": -2}]},
            "/devices/0/major",
            "no device number",
        ),
        (
            {"devices": [{"allow": True, "access": "r", "minor": 2**32}]},
            "/devices/0/minor",
            "no device number",
        ),
        ({"memory": {"limit": -2}}, "/memory/limit", "-2 is no number of bytes"),
        ({"memory": {"reservation": -5}}, "/memory/reservation", "-5 is no number of bytes"),
        ({"memory": {"limit": 10, "swap": 9}}, "/memory/swap", "less than memory alone"),
        ({"memory": {"swappiness": 101}}, "/memory/swappiness", "0 to 100"),
        ({"cpu": {"quota": 10, "burst": 11}}, "/cpu/burst", "larger than the quota"),
        ({"cpu": {"idle": 2}}, "/cpu/idle", "neither 0 nor 1"),
        ({"cpu": {"cpus": "0-"}}, "/cpu/cpus", "neither a number nor a range"),
        ({"cpu": {"mems": "3-1"}}, "/cpu/mems", "runs backwards"),
        ({"blockIO": {"weightDevice": [NODE]}}, "/blockIO/weightDevice/0", "neither weight"),
        (
            {"blockIO": {"throttleReadBpsDevice": [NODE]}},
            "/blockIO/throttleReadBpsDevice/0",
            '"rate" is missing',
        ),
        ({"rdma": {"mlx": {}}}, "/rdma/mlx", "neither hcaHandles nor hcaObjects"),
        ({"unified": {"a/b": "1"}}, "/unified/a~1b", "no name of a file"),
        ({"unified": {"..": "1"}}, "/unified/..", "no name of a file"),
        ({"unified": {"": "1"}}, "/unified/", "no name of a file"),
    ],
)
def test_resources_that_cannot_be(resources: Any, pointer: str, sentence: str) -> None:
    assert_refused({"/linux/resources": resources}, f"/linux/resources{pointer}", sentence)
    with pytest.raises(ConfigError, match=sentence) as caught:
        accept_resources(resources, json.dumps(resources))
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    "resources",
    [
        {
            "devices": [
                {"allow": False, "access": "rwm"},
                {"allow": True, "type": "", "major": -1, "access": "m"},
            ]
        },
        {"memory": {"limit": -1, "swap": -1, "swappiness": 18446744073709551615}},
        {"memory": {"limit": 100, "swap": 0, "reservation": 0, "kernel": -1, "kernelTCP": 0}},
        {"cpu": {"quota": 0, "burst": 100, "shares": 0, "cpus": "", "idle": 1}},
        {"cpu": {"quota": -1, "burst": 100, "cpus": "0-31:2/4", "mems": "all"}},
        {"pids": {"limit": 0}},
        {"blockIO": {"weight": 0, "weightDevice": [NODE | {"leafWeight": 0}]}},
        {"rdma": {"mlx": {"hcaObjects": 0}}},
        {"unified": {"memory.high": "1", "x": ""}},
        {},
    ],
)
def test_resources_that_can_be(resources: Any) -> None:
    assert warnings_of({"/linux/resources": resources}) == []
    assert accept_resources(resources, json.dumps(resources)) == []


def test_kernel_memory_is_ignored() -> None:
    warnings = warnings_of({"/linux/resources": {"memory": {"kernel": 5, "kernelTCP": 5}}})
    assert [pointer.rpartition("/")[2] for pointer, _ in warnings] == ["kernel"]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_what_engines_send_to_update(path: Path) -> None:
    text = path.read_text()
    assert accept_resources(json.loads(text), text) == []
