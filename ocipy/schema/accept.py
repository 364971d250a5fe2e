"""The one gate: a parsed config that passes here means what the specification says it means.

First the structure, by the validator compiled from spec/config.json; then the rules that a schema
cannot say, in ocipy.config.rules. What is accepted costs well under a millisecond and imports no
more than those. Only a rejection brings in what it takes to explain it.
"""

from __future__ import annotations

from ocipy.config.rules import RULES
from ocipy.errors import ConfigError, ConfigFaults
from ocipy.schema import _generated_validate as compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ocipy.config.found import Found, Remark
    from ocipy.schema._generated_validate import Unknown

    Rule = Callable[[Any], Iterable[Found]]


def accept(config: object, text: str, *, strict: bool = False) -> list[Remark]:
    """Return the warnings about a config that keeps to the specification, as (pointer, sentence).

    `text` is what `config` was parsed from. With `strict`, warnings are faults.

    Raises:
        ConfigError: it does not; ConfigFaults with every fault where there are several.
    """
    return judge(config, text, compiled.config, "", RULES, strict=strict)


def accept_strictly(config: object, text: str) -> list[Remark]:
    """Do as accept(), and refuse what it would only warn about: `--strict`."""
    return accept(config, text, strict=True)


def judge(
    value: object,
    text: str,
    validate: Callable[[Any, Unknown], bool],
    definition: str,
    rules: Iterable[Rule],
    *,
    strict: bool = False,
) -> list[Remark]:
    """Do as accept() for the part of a config that `validate` and `rules` are about.

    `definition` is the name of that part in the schema, "" for a whole config.
    """
    unknown: Unknown = []
    faults: list[ConfigError] = []
    warnings: list[Remark] = []
    if not validate(value, unknown):
        from ocipy.schema.explain import explain, unknown_in

        faults += explain(value, definition, rules)
        unknown = unknown_in(value, definition)
    else:
        for rule in rules:
            for found in rule(value):
                if isinstance(found, ConfigError):
                    faults.append(found)
                else:
                    warnings.append(found)
    if "\\u0000" in text or "\\ud" in text or "\\uD" in text:
        # A NUL cannot stand in JSON unescaped, nor can half of a surrogate pair.
        from ocipy.schema.strings import unusable_strings

        faults += unusable_strings(value)
    if unknown:
        from ocipy.schema.unknown import unknown_names

        names = unknown_names(value, unknown, text if strict else "")
        if strict:
            faults += names
        else:
            warnings += [(name.pointer, _as_remark(name)) for name in names]
    if strict:
        faults += [ConfigError(pointer, sentence) for pointer, sentence in warnings]
    if faults:
        error = faults[0] if len(faults) == 1 else ConfigFaults(faults)
        error.warnings = [] if strict else warnings
        raise error
    return warnings


def _as_remark(name: ConfigError) -> str:
    return f"{name} is ignored; {name.hint}" if name.hint else f"{name} is ignored"
