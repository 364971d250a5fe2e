"""Config: a configuration that keeps to the runtime-spec, wherever it came from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from math import isfinite
from typing import TYPE_CHECKING, Any

from ocipy.bundle import accept_text, decode, parse, read_config
from ocipy.commands.spec import example_config
from ocipy.errors import ConfigError
from ocipy.json_position import escape
from ocipy.json_text import dumps
from ocipy.schema.accept import accept, accept_strictly

if TYPE_CHECKING:
    from ocipy.config._generated_types import Config as ConfigDict
    from ocipy.json_text import Json

# Far beyond what any config needs, far below where Python's own recursion ends.
_MAX_DEPTH = 100


class Config:
    """A config.json that was accepted; it never changes.

    Attributes:
        text: JSON, as it was read or as it was made of the value.
        name: what messages call it, such as the name of the file.
        warnings: pairs of a JSON pointer and a sentence.
    """

    __slots__ = ("_value", "name", "text", "warnings")

    def __init__(
        self,
        value: Mapping[str, object] | str | bytes,
        *,
        strict: bool = False,
        name: str = "config",
    ) -> None:
        """Accept a mapping with the specification's own names, or JSON.

        Args:
            value: mappings, sequences, strings, numbers, booleans, None and paths; or JSON text.
            strict: refuse what would be a warning, such as unknown fields.
            name: what messages shall call it.

        Raises:
            ConfigError: it is no JSON, or it breaks the specification. All faults are in it.
        """
        if isinstance(value, str | bytes):
            text = decode(value, name) if isinstance(value, bytes) else value
        else:
            text = dumps(plain(value), indent=4)
        gate = accept_strictly if strict else accept
        parsed = parse(text, name)
        self.warnings = accept_text(gate, parsed, text, name)
        self._value: ConfigDict = parsed  # type: ignore[assignment]
        self.text = text
        self.name = name

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, strict: bool = False) -> Config:
        """Read and accept a file.

        Raises:
            UsageError: it cannot be read.
            ConfigError: as for Config().
        """
        name = os.fspath(path)
        return cls(read_config(name), strict=strict, name=name)

    @classmethod
    def for_program(
        cls,
        args: Sequence[str],
        *,
        rootfs: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        user: int | tuple[int, int] = 0,
        hostname: str = "ocipy",
        readonly: bool = True,
        mounts: Iterable[Mapping[str, object]] = (),
        memory_bytes: int | None = None,
        pids: int | None = None,
        cpus: float | None = None,
    ) -> Config:
        """Return what `ocipy spec` writes, for a program without a terminal.

        It has namespaces of its own (pid, network, ipc, uts, mount; cgroup on cgroup v2), three
        capabilities, no new privileges, and the loopback device as its only network.

        Args:
            args: the program, by its absolute path or found in `PATH`, and its arguments.
            rootfs: the directory that becomes `/`.
            env: added to a plain `PATH`.
            user: uid, or uid and gid.
            readonly: whether `/` can be written to; what is mounted has options of its own.
            mounts: more entries of `mounts`, after the usual ones.
            memory_bytes: limit of memory, swap included.
            pids: highest number of processes and threads.
            cpus: CPUs' worth of time, such as 0.5.
        """
        value: Any = example_config(
            cgroup_v2=os.path.exists("/sys/fs/cgroup/cgroup.controllers"), rootless_ids=None
        )
        uid, gid = user if isinstance(user, tuple) else (user, user)
        process, linux = value["process"], value["linux"]
        if isinstance(args, str):
            raise TypeError("args is a list such as ['/bin/echo', 'hello'], not one string")
        del process["terminal"]
        process["env"] = process["env"][:1] + [f"{n}={v}" for n, v in (env or {}).items()]
        process |= {"args": list(args), "cwd": cwd, "user": {"uid": uid, "gid": gid}}
        value["root"] = {"path": os.path.abspath(rootfs), "readonly": readonly}
        value["hostname"] = hostname
        value["mounts"] += [dict(mount) for mount in mounts]
        resources = linux["resources"]
        if memory_bytes is not None:
            resources["memory"] = {"limit": memory_bytes, "swap": memory_bytes}
        if pids is not None:
            resources["pids"] = {"limit": pids}
        if cpus is not None:
            resources["cpu"] = {"period": 100_000, "quota": max(1000, round(cpus * 100_000))}
        return cls(value)

    def merged(self, patch: Mapping[str, object]) -> Config:
        """Return this config with a JSON merge patch (RFC 7396) over it.

        Objects are merged; everything else, lists included, is replaced; None removes a name.
        """
        return Config(_merge(self.to_dict(), patch), name=self.name)

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of the value, to change and to make another Config of."""
        return deepcopy(self._value)  # type: ignore[arg-type]

    @property
    def value(self) -> ConfigDict:
        """The value, typed as the specification has it; it is shared, so do not change it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        program = " ".join(self._value.get("process", {}).get("args", []))
        return f"<ocipy.Config {self.name!r}: {program or 'no process'}>"


def _merge(target: Any, patch: object) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged


def plain(value: object) -> Json:
    """Return a copy of what can be JSON. Raises ConfigError, with the place, for what cannot."""
    return _copy(value, "", ())


def _copy(value: object, pointer: str, inside: tuple[int, ...]) -> Json:
    if value is None or isinstance(value, bool):
        return value
    # Members of enumerations, too, are their plain values.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise ConfigError(pointer, f"{value} has no JSON form")
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if id(value) in inside:
        raise ConfigError(pointer, "the value contains itself", hint="JSON has no way to say that")
    if len(inside) >= _MAX_DEPTH:
        raise ConfigError(pointer, f"nested more than {_MAX_DEPTH} deep")
    inside = (*inside, id(value))
    if isinstance(value, Mapping):
        copied: dict[str, Json] = {}
        for name, item in value.items():
            if not isinstance(name, str):
                raise ConfigError(pointer, f"the name {name!r} is no string")
            copied[name] = _copy(item, f"{pointer}/{escape(name)}", inside)
        return copied
    if isinstance(value, list | tuple):
        return [_copy(item, f"{pointer}/{i}", inside) for i, item in enumerate(value)]
    raise ConfigError(
        pointer,
        f"a {type(value).__name__} has no JSON form",
        hint="use dicts, lists, strings, numbers, booleans and None",
    )
