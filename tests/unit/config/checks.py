"""A usual config, changed in one place, and what the gate says about it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ocipy.errors import ConfigError, ConfigFaults
from ocipy.schema.accept import accept
from tests.bundles import base_config

DROP = object()


def config_with(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the usual config with other values at these pointers; DROP takes one out."""
    config = copy.deepcopy(base_config("usual", "/usual"))
    for pointer, value in changes.items():
        *path, last = pointer.split("/")[1:]
        here: Any = config
        for token in path:
            here = here[int(token)] if isinstance(here, list) else here.setdefault(token, {})
        if value is DROP:
            del here[last]
        elif isinstance(here, list):
            here.insert(int(last), value)
        else:
            here[last] = value
    return config


def warnings_of(changes: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the warnings about a config that is accepted."""
    config = config_with(changes)
    return accept(config, json.dumps(config))


def faults_of(changes: dict[str, Any]) -> list[tuple[str, str]]:
    """Return pointer and sentence of each fault of a config that is refused."""
    config = config_with(changes)
    with pytest.raises(ConfigError) as caught:
        accept(config, json.dumps(config))
    error = caught.value
    faults = error.faults if isinstance(error, ConfigFaults) else [error]
    return [(fault.pointer, str(fault)) for fault in faults]


def assert_refused(changes: dict[str, Any], pointer: str, sentence: str) -> None:
    """Assert that this change is the one fault, at that pointer, in words that have `sentence`."""
    faults = faults_of(changes)
    assert [fault[0] for fault in faults] == [pointer]
    assert sentence in faults[0][1]
