"""What is said about a config whose structure is wrong: each fault, with what is allowed."""

from __future__ import annotations

import builtins
import json
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.errors import ConfigError, ConfigFaults
from ocipy.schema import _generated_validate, explain
from ocipy.schema.accept import accept
from tests.unit.config.checks import DROP, config_with
from tests.unit.schema.documents import FILES
from tests.unit.schema.mutations import mutations, specimens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def faults_of(value: object) -> list[ConfigError]:
    with pytest.raises(ConfigError) as caught:
        accept(value, json.dumps(value))
    error = caught.value
    return error.faults if isinstance(error, ConfigFaults) else [error]


@pytest.mark.parametrize(
    ("pointer", "value", "sentence", "hint"),
    [
        (
            "/process/args",
            "sh",
            'args must be an array of strings, found the string "sh"',
            '["sh"]',
        ),
        ("/process/args", [1], "args[0] must be a string, found the number 1", ""),
        ("/process/user/uid", "0", "must be an integer", "without quotes"),
        ("/process/user/uid", 1.0, "must be an integer, found the number 1.0", "write 1"),
        ("/process/user/uid", -1, "uid must be in the range 0 to 4294967295, found -1", ""),
        ("/process/terminal", "true", "must be true or false", "without quotes"),
        ("/process/rlimits", {}, "must be an array of objects, found an object", ""),
        ("/hostname", None, "must be a string, found null", "leave the field out"),
        ("/root", [], "must be an object, found an array", ""),
        ("/root/readonly", 0, "must be true or false, found the number 0", ""),
        ("/mounts", False, "must be an array of objects, found false", ""),
        ("/linux/cgroupsPath", 1.5, "must be a string, found the number 1.5", ""),
        (
            "/linux/rootfsPropagation",
            "slaves",
            '"slaves" is none of shared, slave,',
            'did you mean "slave"?',
        ),
        ("/linux/intelRdt/memBwSchema", "L3:1", "is not of the form ^MB:", "Starts with MB:"),
        ("/linux/intelRdt/memBwSchema", "MB:1\n", "is not of the form ^MB:", "Starts with MB:"),
        ("/annotations/a", 1, "must be a string, found the number 1", ""),
    ],
)
def test_wording(pointer: str, value: Any, sentence: str, hint: str) -> None:
    [fault] = faults_of(config_with({pointer: value}))
    at = f"{pointer}/0" if value == [1] else pointer
    assert fault.pointer == at
    assert sentence in str(fault)
    assert hint in fault.hint
    assert bool(hint) == bool(fault.hint)


def test_names_that_are_missing() -> None:
    [fault] = faults_of(config_with({"/ociVersion": DROP}))
    assert (fault.pointer, str(fault)) == ("", 'the required field "ociVersion" is missing')
    [fault] = faults_of(config_with({"/root": {"paht": "rootfs"}}))
    assert fault.pointer == "/root"
    assert fault.hint == 'is "paht" meant for it?'
    faults = faults_of(config_with({"/process/rlimits": [{}]}))
    assert [str(fault).split('"')[1] for fault in faults] == ["type", "soft", "hard"]


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_what_is_no_object_at_all(value: object) -> None:
    [fault] = faults_of(value)
    assert str(fault).startswith("the configuration must be an object, found")


def test_every_fault_at_once() -> None:
    changes = {
        "/process/args": "sh",
        "/process/user/uid": -1,
        "/process/cwd": "relative",
        "/linux/namespaces": [{"type": "mount"}, {"type": "nett"}, {"type": "mount"}],
        "/hooks/poststop": [{"path": "relative"}, {"timeout": 0}],
    }
    pointers = [fault.pointer for fault in faults_of(config_with(changes))]
    assert sorted(pointers) == [
        "/hooks/poststop/0/path",
        "/hooks/poststop/1",
        "/hooks/poststop/1/timeout",
        "/hostname",
        "/linux/namespaces/1/type",
        "/linux/namespaces/2",
        "/process/args",
        "/process/cwd",
        "/process/user/uid",
    ]


def test_a_wrong_value_is_named_once() -> None:
    [fault] = faults_of(config_with({"/process/args": [None]}))
    assert fault.pointer == "/process/args/0"
    [fault] = faults_of(config_with({"/process/cwd": 5}))
    assert fault.pointer == "/process/cwd"


def test_everything_the_schema_refuses_is_explained() -> None:
    refused = [
        document
        for path, specimen in specimens(FILES, "config.json")
        for document in list(mutations(specimen, path, {}))[len(path) :: 15]
        if not _generated_validate.config(document, [])
    ]
    assert len(refused) > 500
    for document in refused:
        faults = explain.structural_faults(document, "")
        assert faults, json.dumps(document)
        assert all(map(str, faults))


def test_unknown_names_are_warnings_about_a_refused_config() -> None:
    config = config_with({"/process/args": "sh", "/procss": {}, "/root/readOnly": True})
    config["mounts"][0]["optoins"] = []
    with pytest.raises(ConfigError) as caught:
        accept(config, json.dumps(config))
    assert dict(caught.value.warnings) == {
        "/procss": 'unknown field "procss" is ignored',
        "/root/readOnly": 'unknown field "readOnly" is ignored',
        "/mounts/0/optoins": 'unknown field "optoins" is ignored',
    }


def test_without_jsonschema(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def refuse(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if name == "jsonschema":
            raise ImportError(name)
        return real_import(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", refuse)
    faults = explain.explain({"ociVersion": 1}, "", ())
    assert ["jsonschema" in fault.hint for fault in faults] == [True]
