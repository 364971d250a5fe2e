"""A plan's init and start steps as bytes: what ocipy-init reads (docs/plan-format.md).

Pure: the numbers of the descriptors come in as a table. init checks everything that is written here
again (ocipy_native/init/plan_reader.c).
"""

from __future__ import annotations

from _struct import pack  # type: ignore[import-not-found, unused-ignore]

from ocipy.errors import ConfigError
from ocipy.plan.step import HostFd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocipy.plan.step import Step

# plan_reader.h
PLAN_MAGIC = 0x314E4C504943304F
PLAN_VERSION = 1
PLAN_SIZE_MAX = 16 << 20
STRINGS_MAX = 1 << 20
PLAN_FLAG_TRACE = 1
PLAN_FLAG_DUMPABLE = 2
_HEADER_SIZE = 32


def encode_plan(plan: Sequence[Step], fds: Mapping[HostFd, int], flags: int = 0) -> bytes:
    """Return the bytes of every step that init runs; steps keep the index they have in `plan`.

    Args:
        plan: all steps, those of the host included.
        fds: the number of each HostFd that a step names.
        flags: PLAN_FLAG_*.

    Raises:
        ConfigError: a string has a NUL inside, or the plan is too large: from config.json both.
    """
    parts: list[bytes] = []
    strings_max = count = 0
    for index, step in enumerate(plan):
        if step.place == "host":
            continue
        args, strings = _encode_args(step, fds)
        parts.append(pack("<IIII", step.code, index, len(args), 0))
        parts.append(args)
        strings_max = max(strings_max, strings)
        if strings_max > STRINGS_MAX:
            raise ConfigError(step.source, f"more than {STRINGS_MAX} strings")
        count += 1
    body = b"".join(parts)
    size = _HEADER_SIZE + len(body)
    if size > PLAN_SIZE_MAX:
        raise ConfigError("", f"the plan has {size} bytes, more than {PLAN_SIZE_MAX}")
    header = pack("<QIIIIQ", PLAN_MAGIC, PLAN_VERSION, flags, count, strings_max, size)
    return header + body


def _encode_args(step: Step, fds: Mapping[HostFd, int]) -> tuple[bytes, int]:
    parts: list[bytes] = []
    strings = 0
    for name, kind in step.kinds:
        value = getattr(step, name)
        if kind == "int":
            # Masks are unsigned; on the wire they have the same 64 bits.
            parts.append(pack("<q", value) if value < 1 << 63 else pack("<Q", value))
        elif kind == "fd":
            parts.append(pack("<q", -1 if value is None else fds[value]))
        elif kind == "strs":
            parts.append(pack("<I", len(value)))
            parts.extend(_encode_string(step, item) for item in value)
            strings += len(value) + 1
        elif kind == "bytes":
            parts.append(pack("<I", len(value)) + value)
        else:
            parts.append(_encode_string(step, value))
    return b"".join(parts), strings


def _encode_string(step: Step, text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if 0 in data:
        raise ConfigError(step.source, f"a string with a NUL in it: {text!r}")
    return pack("<I", len(data)) + data + b"\0"


def host_fds_of(plan: Sequence[Step]) -> list[tuple[Step, HostFd]]:
    """Return every descriptor that the steps of init need, each once, with a step that wants it."""
    found: dict[HostFd, Step] = {}
    for step in plan:
        for name in step.fds:
            value = getattr(step, name)
            if value is not None:
                found.setdefault(value, step)
    return [(step, fd) for fd, step in found.items()]
