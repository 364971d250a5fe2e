"""Each property of config.json: absent where it is required, of another type, out of range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.case import Case, add
from conformance.fields import FIELDS, LEAST, surroundings
from conformance.host import lacks
from conformance.room import ABSENT

if TYPE_CHECKING:
    from conformance.room import Room

# The enumeration of fields has its own order, so that the first of a kind is the one with a text.
_AT_START = "/process/"


def _prepare(room: Room, pointer: str) -> str:
    """Make room for the property in the configuration; return the pointer it then has."""
    for outer, value in surroundings(pointer):
        room.set(_placed(room, outer, new=True), value)
    if "Mappings/" in pointer:
        _both_mappings(room, _placed(room, pointer).partition("/uidM")[0].partition("/gidM")[0])
    if pointer.startswith("/linux/timeOffsets"):
        room.namespace("time")
    if pointer.startswith("/linux/netDevices"):
        room.namespace("network")
    return _placed(room, pointer)


def _both_mappings(room: Room, where: str) -> None:
    """A mapping of uids is worth nothing without one of gids, nor without who it is for."""
    valid = [{"containerID": 0, "hostID": 100000, "size": 10}]
    here: Any = room.config
    for name in filter(None, where.split("/")):
        here = here[int(name)] if isinstance(here, list) else here[name]
    for kind in ("uidMappings", "gidMappings"):
        here.setdefault(kind, valid)
    if where == "/linux":
        room.namespace("user")
    else:
        here["options"] = ["bind", "idmap"]


def _placed(room: Room, pointer: str, new: bool = False) -> str:
    """Replace `-` by the number of the last entry, or of a new one."""
    for name, entries in (
        ("mounts", room.config["mounts"]),
        ("namespaces", room.linux["namespaces"]),
    ):
        head, dash, tail = pointer.partition(f"/{name}/-")
        if dash:
            index = len(entries) if new and not tail else len(entries) - 1
            pointer = f"{head}/{name}/{index}{tail}"
    return pointer


def _missing(room: Room, pointer: str) -> None:
    placed = _prepare(room, pointer)
    room.set(placed, ABSENT)
    room.rejects(placed, late=pointer.startswith(_AT_START))


def _wrong(room: Room, pointer: str, value: Any) -> None:
    placed = _prepare(room, pointer)
    room.set(placed, value)
    room.rejects(placed, late=pointer.startswith(_AT_START))


def _least(room: Room, pointer: str) -> None:
    room.needs(lacks(pointer))
    placed = _prepare(room, pointer)
    _settle(room, pointer, placed)
    room.accepts()


def _unknown(room: Room, pointer: str) -> None:
    room.needs(lacks(pointer))
    placed = _prepare(room, pointer) if pointer != "/" else ""
    if pointer != "/":
        _settle(room, pointer, placed)
    room.set(f"{placed}/org.example.unknown", {"is": ["none", "of", 4, "known"]})
    room.accepts()


def _settle(room: Room, pointer: str, placed: str) -> None:
    """What the object is about must be there: see fields.LEAST."""
    if pointer.startswith(("/linux/uidMappings", "/linux/gidMappings")):
        room.user_namespace(size=10)
    if pointer.startswith("/mounts/-/"):
        room.file("shared/file", "")
        room.config["mounts"][-1]["source"] = f"{room.directory}/shared"


def _register() -> None:
    for field in FIELDS:
        name, pointer, section = field.name, field.pointer, field.section
        if field.required:
            text = f"without {pointer}, which is REQUIRED, the configuration is refused"
            add(Case(f"fields.missing.{name}", "MUST", section, text, _missing, (pointer,)))
        text = f"{pointer} of another JSON type than {field.kind} is refused"
        arguments = (pointer, field.wrong_type)
        add(Case(f"fields.type.{name}", "MUST", section, text, _wrong, arguments))
        for value in field.wrong_values:
            what = {-1: "negative"}.get(value, "small" if str(value).startswith("-") else "large")
            what = "unknown" if value == "BANANA" else what
            text = f"{pointer} is {field.kind}, so {value} is refused"
            arguments = (pointer, value)
            add(Case(f"fields.{what}.{name}", "MUST", section, text, _wrong, arguments))
    sections = {field.pointer: field.section for field in FIELDS}
    for pointer in sorted(LEAST):
        inside = next(p for p in sections if p == pointer or p.startswith(f"{pointer}/"))
        name = ".".join(w for w in pointer.split("/") if w and w not in ("0", "-"))
        text = f"{pointer} with only what is REQUIRED in it is accepted"
        add(Case(f"fields.least.{name}", "MUST", sections[inside], text, _least, (pointer,)))
    unknown = {"/", "/root", "/process", "/process/user", "/linux", "/hooks", "/linux/resources"}
    maps = {"/linux/timeOffsets", "/linux/netDevices", "/linux/resources/rdma"}
    maps |= {"/linux/resources/unified"}
    for pointer in sorted((unknown | set(LEAST)) - maps):
        name = ".".join(w for w in pointer.split("/") if w and w not in ("0", "-")) or "config"
        text = f"an unknown property in {pointer} is ignored"
        section = "config.md#extensibility"
        add(Case(f"fields.ignored.{name}", "MUST", section, text, _unknown, (pointer,)))


_register()
