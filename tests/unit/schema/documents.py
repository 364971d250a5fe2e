"""The documents that verdicts are compared over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ocipy.schema import _generated_validate
from tests.unit.schema.mutations import Files, mutations, shuffled, specimens
from tests.unit.schema.schemas import GOLDEN, SPEC, compiled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = Files({path.name: json.loads(path.read_text()) for path in SPEC.glob("*.json")})
FILE_NAMES = sorted(FILES.files)


def corpus(kind: str) -> list[Path]:
    """Return what real engines have sent: "configs", "processes" or "resources"."""
    return sorted((GOLDEN / kind).glob("*.json"))


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def documents(file: str) -> Iterator[Any]:
    """Yield some fifteen thousand documents, most of them wrong in one place."""
    for path, document in specimens(FILES, file):
        yield from mutations(document, path, FILES.schema_at(file, path))
    for seed, config in enumerate(corpus("configs")) if file == "config.json" else ():
        yield from shuffled(load(config), seed, 12)


def compiled_verdict(file: str) -> Any:
    """Return the compiled validator; of state and features it is compiled for the test only."""
    return _generated_validate.config if file == "config.json" else compiled(file)
