"""Generated configs through the gate and the planners: accepted, or refused with the place.

One validation is one config that goes through ocipy.bundle as the text of a file does.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocipy.bundle import accept_text, parse
from ocipy.errors import ConfigError, ConfigFaults
from ocipy.schema.accept import accept
from tests.fuzz.config_target import check_faults, plan_everywhere
from tests.property.configs import Configs
from tests.property.conftest import COUNTS, seeded, sized
from tests.property.faults import RULES, broken, structural

VALID = Configs(runnable=False).whole()


def validate(config: Any) -> Any:
    """Return the config as it was read, accepted. Raises ConfigError."""
    COUNTS["validations"] += 1
    text = json.dumps(config, indent=1)
    value = parse(text, "config.json")
    accept_text(accept, value, text, "config.json")
    return value


def faults_of(config: Any) -> dict[str, ConfigError]:
    """Return pointer: fault of a config that must be refused."""
    with pytest.raises(ConfigError) as caught:
        validate(config)
    check_faults(caught.value, config)
    error = caught.value
    faults = error.faults if isinstance(error, ConfigFaults) else [error]
    return {fault.pointer: fault for fault in faults}


@seeded
@sized("PROPERTY_VALIDATIONS", 30)
@given(config=VALID)
def test_a_valid_config_is_accepted_and_planned(config: dict[str, Any]) -> None:
    plan_everywhere(validate(config))


@seeded
@sized("PROPERTY_VALIDATIONS", 60)
@given(data=st.data(), config=VALID)
def test_what_breaks_the_schema_is_refused_with_its_place(
    data: st.DataObject, config: dict[str, Any]
) -> None:
    wrong, pointer = data.draw(structural(config))
    # Rules may find fault with what the change has made of its neighbourhood, beside it.
    assert pointer in faults_of(wrong)


@seeded
@sized("PROPERTY_VALIDATIONS", 100)
@given(config=VALID, rule=st.sampled_from(RULES))
def test_what_breaks_a_rule_is_refused_with_its_place(
    config: dict[str, Any], rule: tuple[str, str, Any, str]
) -> None:
    wrong, pointer = broken(config, rule)
    assert list(faults_of(wrong)) == [pointer], rule[0]
