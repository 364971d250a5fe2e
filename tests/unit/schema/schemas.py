"""The schemas of this project and the official ones, as jsonschema validators."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft4Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from types import ModuleType

SPEC = Path(REPOSITORY) / "spec"
OFFICIAL = Path(REPOSITORY).parent / "shared" / "runtime-spec"
GOLDEN = Path(REPOSITORY) / "tests" / "unit" / "golden"


def strict_ends(schema: Any) -> Any:
    """Return a schema whose patterns end where they say: JSON Schema's `$` (ECMA 262) does.

    Python's `$`, which jsonschema runs, also matches before a final line end.
    """
    if isinstance(schema, dict):
        return {
            key: value[:-1] + r"\Z"
            if key == "pattern" and isinstance(value, str) and value.endswith("$")
            else strict_ends(value)
            for key, value in schema.items()
        }
    return [strict_ends(item) for item in schema] if isinstance(schema, list) else schema


def validator(directory: Path, reference: str) -> Draft4Validator:
    """Return a validator for `file.json#/pointer`; files of the directory name each other."""
    registry: Registry[Any] = Registry().with_resources(
        (path.name, DRAFT4.create_resource(strict_ends(json.loads(path.read_text()))))
        for path in directory.glob("*.json")
    )
    return Draft4Validator({"$ref": reference}, registry=registry)


def compiler() -> ModuleType:
    """Return spec/compile.py, which is a program and in no package."""
    described = importlib.util.spec_from_file_location("spec_compile", SPEC / "compile.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def compiled(file: str) -> Any:
    """Return the function that spec/compile.py makes of a whole schema file."""
    module = compiler()
    text = module.ValidatorWriter(module.SchemaSet(SPEC)).write({"verdict": "#"}, file)
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    return namespace["verdict"]
