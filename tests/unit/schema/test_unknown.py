"""Names that the specification does not know, and unusable strings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ocipy.errors import ConfigError, ConfigFaults
from ocipy.schema.accept import accept
from ocipy.schema.suggest import did_you_mean, edit_distance, nearest
from tests.unit.config.checks import assert_refused, config_with, faults_of, warnings_of

LINUX = {"/linux/seccompp": {"defaultAction": "SCMP_ACT_ALLOW"}}


def test_unknown_names_are_ignored_with_a_warning() -> None:
    assert warnings_of({"/process/noNewPriviliges": True}) == [
        (
            "/process/noNewPriviliges",
            'unknown field "noNewPriviliges" is ignored',
        )
    ], "noNewPrivileges is there already: it was not meant"
    assert warnings_of(LINUX) == [
        ("/linux/seccompp", 'unknown field "seccompp" is ignored; did you mean "seccomp"?')
    ]


def test_pointers_are_escaped() -> None:
    assert warnings_of({"/linux/a~1b": 1, "/linux/devices": [{"type": "p", "path": "/x", "~": 1}]})
    config = config_with({})
    config["linux"]["a/b~c"] = 1
    assert [pointer for pointer, _ in accept(config, "")] == ["/linux/a~1b~0c"]


def test_names_in_lists() -> None:
    mount = {"destination": "/x", "type": "tmpfs", "option": ["ro"]}
    [(pointer, sentence)] = warnings_of({"/mounts/2": mount})
    assert pointer == "/mounts/2/option"
    assert 'did you mean "options"?' in sentence


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("/seccomp", "/linux"),
        ("/process/maskedPaths", "/linux"),
        ("/linux/hostname", "the top level"),
        ("/noNewPrivileges", "/process"),
        ("/linux/cpu", "/linux/resources"),
        ("/destination", "an entry of /mounts"),
    ],
)
def test_names_in_the_wrong_place(pointer: str, place: str) -> None:
    name = pointer.rpartition("/")[2]
    sentence = f'unknown field "{name}" is ignored; it belongs to {place}'
    assert warnings_of({pointer: {}}) == [(pointer, sentence)]


@pytest.mark.parametrize("name", ["path", "layerFolders", "ncpus", "x"])
def test_names_that_belong_to_many_places_or_none(name: str) -> None:
    assert warnings_of({f"/{name}": 1}) == [(f"/{name}", f'unknown field "{name}" is ignored')]


def test_names_that_are_free() -> None:
    free: dict[str, Any] = {
        "/annotations": {"x": "y"},
        "/linux/sysctl": {"net.x": "1"},
        "/linux/resources": {"unified": {"x": "1"}, "rdma": {"x": {"hcaHandles": 1}}},
    }
    assert warnings_of(free) == []


def test_strict() -> None:
    text = json.dumps(config_with(LINUX | {"/mounts/0/destination": "proc"}))
    with pytest.raises(ConfigFaults) as caught:
        accept(json.loads(text), text, strict=True)
    unknown, relative = caught.value.faults
    assert unknown.pointer == "/linux/seccompp"
    assert unknown.hint == 'did you mean "seccomp"?'
    assert text[unknown.offset :].startswith('"seccompp"'), "the name is wrong, not its value"
    assert relative.pointer == "/mounts/0/destination"
    assert caught.value.warnings == []


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_strings_that_no_system_call_can_be_given(character: str) -> None:
    assert_refused({"/process/args": [f"a{character}"]}, "/process/args/0", "")
    pointers = [p for p, _ in faults_of({"/linux/sysctl": {f"net.{character}": "1"}})]
    assert f"/linux/sysctl/net.{character}" in pointers


def test_strings_that_stay_json() -> None:
    data = {"/annotations": {"a": "\0"}}
    assert warnings_of(data) == []
    config = config_with({"/process/args": ["\\u0000", "\U0001f600"]})
    assert accept(config, json.dumps(config)) == [], "an escaped backslash, and a whole pair"


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("a", "", 1), ("abc", "abd", 1), ("abc", "acb", 1), ("kitten", "sitting", 3)],
)
def test_edit_distance(first: str, second: str, distance: int) -> None:
    assert edit_distance(first, second) == distance
    assert edit_distance(second, first) == distance


@pytest.mark.parametrize(
    ("name", "meant"),
    [("OCIVERSION", "ociVersion"), ("ociVerison", "ociVersion"), ("mount", "mounts"), ("x", "")],
)
def test_nearest(name: str, meant: str) -> None:
    known = ("ociVersion", "mounts", "root", "process")
    assert nearest(name, known) == meant
    assert did_you_mean(name, known) == (f'did you mean "{meant}"?' if meant else "")


def test_part_with_unknown_names() -> None:
    with pytest.raises(ConfigError, match="args must not be empty") as caught:
        accept(config_with({"/process": {"cwd": "/", "arg": ["sh"]}}), "")
    assert caught.value.warnings[0][0] == "/process/arg"
