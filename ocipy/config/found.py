"""What a rule says about a config: nothing, faults, remarks. For type checkers only."""

from __future__ import annotations

from typing import TypeAlias

from ocipy.errors import ConfigError

# A pointer and a sentence: worth a warning, no reason to refuse the config.
Remark: TypeAlias = tuple[str, str]

Found: TypeAlias = ConfigError | Remark
