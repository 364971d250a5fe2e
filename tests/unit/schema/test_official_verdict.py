"""Our schemas give the verdict of the official ones, but for LOOSER."""

from __future__ import annotations

import json

import pytest

from tests.unit.schema.documents import FILE_NAMES, compiled_verdict, documents, load
from tests.unit.schema.schemas import OFFICIAL, validator

OFFICIAL_NAMES = {
    "config.json": "config-schema.json",
    "state.json": "state-schema.json",
    "features.json": "features-schema.json",
}

# What the official schema refuses and ours accepts, and why. There is nothing the other way round:
# what is stricter than the schema is in ocipy/config/rules.py.
LOOSER = {
    # config-linux.md says uint32, and podman sends the type bits of stat(2) along: 8612.
    ("fileMode", "maximum"),
    # Docker and Kubernetes send rslave and rshared, when a volume has such a propagation.
    ("rootfsPropagation", "enum"),
}


@pytest.mark.requires("official-schemas")
@pytest.mark.parametrize("file", FILE_NAMES)
def test_verdict_is_that_of_the_official_schema(file: str) -> None:
    verdict, official = compiled_verdict(file), validator(OFFICIAL, OFFICIAL_NAMES[file])
    for document in documents(file):
        ours, theirs = verdict(document, []), official.is_valid(document)
        if ours and not theirs:
            errors = {(e.absolute_path[-1], e.validator) for e in official.iter_errors(document)}
            assert errors <= LOOSER, json.dumps(document)
        else:
            assert ours == theirs, json.dumps(document)


@pytest.mark.requires("official-schemas")
@pytest.mark.parametrize("kind", ["config", "state", "features"])
def test_official_examples(kind: str) -> None:
    verdict = compiled_verdict(f"{kind}.json")
    good = list((OFFICIAL / "test" / kind / "good").glob("*.json"))
    bad = list((OFFICIAL / "test" / kind / "bad").glob("*.json"))
    assert good
    assert bad
    for path in good:
        assert verdict(load(path), []), path
    for path in bad:
        try:
            value = load(path)
        except ValueError:
            assert path.name == "invalid-json.json"
        else:
            assert not verdict(value, []), path
