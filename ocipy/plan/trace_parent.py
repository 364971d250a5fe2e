"""W3C trace context: the caller's place in a distributed trace, handed to hooks as it came.

https://www.w3.org/TR/trace-context/, in the environment as OpenTelemetry has it: TRACEPARENT and
TRACESTATE.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEX = frozenset("0123456789abcdef")
_LENGTHS = (2, 32, 16, 2)


def caller_trace_parent(environment: Mapping[str, str]) -> str:
    """Return the TRACEPARENT of an environment, "" if there is none or it is malformed."""
    value = environment.get("TRACEPARENT", "")
    parts = value.split("-")
    if len(parts) != 4 or parts[0] == "ff":
        return ""
    if any(
        len(part) != n or not _HEX.issuperset(part) for part, n in zip(parts, _LENGTHS, strict=True)
    ):
        return ""
    # All zeros: no trace, no span.
    return value if parts[1].strip("0") and parts[2].strip("0") else ""


def trace_environment(environment: Mapping[str, str]) -> list[str]:
    """Return what hooks are given of the caller's trace context: NAME=VALUE, or nothing."""
    parent = caller_trace_parent(environment)
    if not parent:
        return []
    state = environment.get("TRACESTATE", "")
    return [f"TRACEPARENT={parent}", *([f"TRACESTATE={state}"] if state else [])]


def with_trace(env: Sequence[str], trace: Sequence[str]) -> list[str]:
    """Return the environment of a hook with the trace context; what it has itself stays."""
    names = {entry.partition("=")[0] for entry in env}
    return [*env, *(entry for entry in trace if entry.partition("=")[0] not in names)]
