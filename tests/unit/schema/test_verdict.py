"""The compiled validator and the schema it is compiled from give the same verdict.

Compared over what real engines send, over every kind of value in every place of the schema, and
over seeded random damage.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.schema import _generated_validate
from tests.unit.schema.documents import (
    FILE_NAMES,
    FILES,
    compiled_verdict,
    corpus,
    documents,
    load,
)
from tests.unit.schema.mutations import shuffled, specimens
from tests.unit.schema.schemas import SPEC, compiler, validator

if TYPE_CHECKING:
    from pathlib import Path


def test_generated_files_are_what_the_schemas_say() -> None:
    stale = [
        path for path, text in compiler().generated_files().items() if path.read_text() != text
    ]
    assert not stale, "run spec/compile.py"


@pytest.mark.parametrize("file", FILE_NAMES)
def test_every_place_of_the_schema_is_tried(file: str) -> None:
    verdict = compiled_verdict(file)
    assert all(verdict(document, []) for _, document in specimens(FILES, file))
    assert sum(1 for _ in documents(file)) > 300


@pytest.mark.parametrize("file", FILE_NAMES)
def test_compiled_verdict_is_that_of_the_schema(file: str) -> None:
    verdict, schema = compiled_verdict(file), validator(SPEC, file)
    for document in documents(file):
        assert verdict(document, []) == schema.is_valid(document), json.dumps(document)


@pytest.mark.parametrize(("name", "part"), [("Process", "process"), ("Resources", "resources")])
def test_compiled_verdict_on_a_part(name: str, part: str) -> None:
    verdict = getattr(_generated_validate, part)
    schema = validator(SPEC, f"config.json#/definitions/{name}")
    kind = {"process": "processes"}.get(part, part)
    given = [load(path) for path in corpus(kind)]
    assert given
    for seed, document in enumerate(given):
        assert verdict(document, [])
        for damaged in shuffled(document, seed, 100):
            assert verdict(damaged, []) == schema.is_valid(damaged), json.dumps(damaged)


@pytest.mark.parametrize("path", corpus("configs"), ids=lambda path: path.stem)
def test_what_engines_send_is_known(path: Path) -> None:
    unknown: list[Any] = []
    assert _generated_validate.config(load(path), unknown)
    assert not unknown
