"""Rules about a config as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocipy.json_text import loads
from ocipy.schema.accept import accept
from tests.unit.config.checks import DROP, assert_refused, faults_of, warnings_of

GOLDEN = Path(__file__).parent.parent / "golden" / "configs"


def test_the_usual_config_is_accepted_without_a_word() -> None:
    assert warnings_of({}) == []


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_what_engines_send_is_accepted_without_a_word(path: Path) -> None:
    text = path.read_text()
    assert accept(loads(text), text) == []


@pytest.mark.parametrize(
    "version",
    [
        "1.0.0",
        "1.0.2-dev",
        "1.0.0-rc5-dev",
        "1.3.0",
        "1.3.9",
        "1.0.0+b.1",
        "1.1.0-rc.2",
        "1.2.0-0a",
    ],
)
def test_versions_that_are_supported(version: str) -> None:
    assert warnings_of({"/ociVersion": version}) == []


@pytest.mark.parametrize(
    "version",
    [
        *("", "banana", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.00.0", "1.0.0-", "1.0.0+"),
        *("1.0.0-01", "1.0.0-a..b", "1.0.0-ä", "1.0.0 ", "1.0.0\n", "١.0.0", "-1.0.0", "1.-1.0"),
    ],
)
def test_what_is_no_semantic_version(version: str) -> None:
    assert_refused({"/ociVersion": version}, "/ociVersion", "is no version of the form 1.3.0")


@pytest.mark.parametrize("version", ["0.5.0", "2.0.0", "0.0.0", "10.3.0"])
def test_other_major_versions(version: str) -> None:
    assert_refused({"/ociVersion": version}, "/ociVersion", "is not supported")


def test_a_later_minor_version_is_worth_a_warning() -> None:
    [(pointer, sentence)] = warnings_of({"/ociVersion": "1.4.0"})
    assert pointer == "/ociVersion"
    assert "1.4.0" in sentence
    assert "1.3" in sentence


def test_root_is_required() -> None:
    assert_refused({"/root": DROP}, "", "root must be specified")
    assert_refused({"/root/path": ""}, "/root/path", "empty")


def test_create_without_process_is_allowed() -> None:
    assert warnings_of({"/process": DROP}) == []


def test_linux_may_be_missing() -> None:
    assert warnings_of({"/linux": DROP, "/hostname": DROP}) == []


@pytest.mark.parametrize("name", ["hostname", "domainname"])
def test_uts_names(name: str) -> None:
    without: dict[str, Any] = {"/linux/namespaces": [{"type": "mount"}], "/hostname": DROP}
    assert_refused(
        without | {f"/{name}": "n"}, f"/{name}", f"unable to set {name} without a private UTS"
    )
    assert warnings_of(without | {f"/{name}": ""}) == []
    joined = {"/linux/namespaces": [{"type": "uts", "path": "/proc/1/ns/uts"}]}
    assert warnings_of(joined | {f"/{name}": "n"}) == []
    assert warnings_of({f"/{name}": "n" * 64}) == []
    assert_refused({f"/{name}": "n" * 65}, f"/{name}", "65 bytes")
    assert_refused({f"/{name}": "ä" * 33}, f"/{name}", "66 bytes")


TMPFS = {"destination": "/x", "type": "tmpfs", "source": "tmpfs"}
BIND = {"destination": "/x", "source": "/y", "options": ["bind"]}
LINES = [{"containerID": 0, "hostID": 1000, "size": 10}]


@pytest.mark.parametrize(
    ("mount", "pointer", "sentence"),
    [
        (TMPFS | {"destination": ""}, "/mounts/0/destination", "empty"),
        ({"destination": "/x"}, "/mounts/0", "neither a type nor a bind mount"),
        ({"destination": "/x", "type": ""}, "/mounts/0", "neither a type nor a bind mount"),
        ({"destination": "/x", "options": ["rbind"]}, "/mounts/0", "needs a source"),
        (BIND | {"uidMappings": LINES}, "/mounts/0/uidMappings", "uidMappings without gidMappings"),
        (BIND | {"gidMappings": LINES}, "/mounts/0/gidMappings", "gidMappings without uidMappings"),
        (BIND | {"options": ["bind", "idmap"]}, "/mounts/0", "idmap needs mappings"),
        (BIND | {"options": ["rbind", "ridmap"]}, "/mounts/0", "ridmap needs mappings"),
        (
            BIND | {"options": ["bind", "idmap"], "uidMappings": [], "gidMappings": []},
            "/mounts/0",
            "idmap needs mappings",
        ),
        (
            BIND
            | {
                "options": ["bind", "idmap"],
                "uidMappings": [{"containerID": 0, "hostID": 0, "size": 0}],
                "gidMappings": LINES,
            },
            "/mounts/0/uidMappings/0/size",
            "size 0",
        ),
    ],
)
def test_mounts_that_cannot_be(mount: dict[str, Any], pointer: str, sentence: str) -> None:
    assert_refused({"/mounts/0": mount}, pointer, sentence)


def test_mounts_that_can_be() -> None:
    both = {"uidMappings": LINES, "gidMappings": LINES}
    remount = {"destination": "/x", "options": ["remount", "ro"]}
    idmapped = BIND | both | {"options": ["bind", "idmap"]}
    for mount in (TMPFS, BIND, remount, idmapped):
        assert warnings_of({"/mounts/0": mount}) == []


def test_idmap_takes_the_mappings_of_the_user_namespace() -> None:
    user = [{"type": "user"}, {"type": "uts"}, {"type": "mount"}]
    changes = {"/linux/namespaces": user, "/linux/uidMappings": LINES, "/linux/gidMappings": LINES}
    assert warnings_of(changes | {"/mounts/0": BIND | {"options": ["bind", "idmap"]}}) == []


def test_mounts_worth_a_warning() -> None:
    relative = warnings_of({"/mounts/0": TMPFS | {"destination": "x"}})
    assert [pointer for pointer, _ in relative] == ["/mounts/0/destination"]
    assert 'taken as "/x"' in relative[0][1]
    mapped = warnings_of({"/mounts/0": BIND | {"uidMappings": LINES, "gidMappings": LINES}})
    assert [pointer for pointer, _ in mapped] == ["/mounts/0"]
    assert "neither idmap nor ridmap" in mapped[0][1]


@pytest.mark.parametrize(
    "kind",
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
)
def test_paths_of_hooks_are_absolute(kind: str) -> None:
    assert warnings_of({f"/hooks/{kind}": [{"path": "/bin/true", "timeout": 1}]}) == []
    hooks = [{"path": "/bin/true"}, {"path": "bin/true"}, {"path": ""}]
    pointers = [pointer for pointer, _ in faults_of({f"/hooks/{kind}": hooks})]
    assert pointers == [f"/hooks/{kind}/1/path", f"/hooks/{kind}/2/path"]


def test_timeouts_of_hooks_are_positive() -> None:
    hooks = [{"path": "/bin/true", "timeout": 0}]
    assert_refused(
        {"/hooks/poststop": hooks}, "/hooks/poststop/0/timeout", "must be at least 1, found 0"
    )
    assert warnings_of({"/hooks/poststop": [{"path": "/bin/true", "timeout": 9223372036}]}) == []
    hooks = [{"path": "/bin/true", "timeout": 10**400}]
    assert_refused({"/hooks/poststop": hooks}, "/hooks/poststop/0/timeout", "are too many")


def test_annotations() -> None:
    assert warnings_of({"/annotations": {"a": "", "b c": "\u0000"}}) == []
    assert_refused({"/annotations": {"": "x"}}, "/annotations/", "empty")
    assert_refused({"/annotations": {"\n": 1}}, "/annotations/\n", "must be a string")


def test_ids_that_the_user_namespace_does_not_map() -> None:
    changes: dict[str, Any] = {
        "/linux/namespaces": [{"type": "user"}, {"type": "uts"}, {"type": "mount"}],
        "/linux/uidMappings": LINES,
        "/linux/gidMappings": LINES,
        "/process/user": {"uid": 9, "gid": 0, "additionalGids": [1]},
    }
    assert warnings_of(changes) == []
    changes["/process/user"] = {"uid": 10, "gid": 11, "additionalGids": [1, 12]}
    assert [pointer for pointer, _ in faults_of(changes)] == [
        "/process/user/uid",
        "/process/user/gid",
        "/process/user/additionalGids/1",
    ]
    changes["/linux/namespaces"] = [
        {"type": "user", "path": "/proc/1/ns/user"},
        {"type": "uts"},
        {"type": "mount"},
    ]
    assert warnings_of(changes) == [], "the joined namespace may map more than the copy says"


def test_every_fault_is_named() -> None:
    changes = {"/process/cwd": "x", "/process/args": [], "/hostname": "h" * 70}
    changes["/linux/maskedPaths"] = ["proc"]
    assert {pointer for pointer, _ in faults_of(changes)} == {
        "/process/cwd",
        "/process/args",
        "/hostname",
        "/linux/maskedPaths/0",
    }


def test_ids_that_a_process_does_not_name_are_missed_in_the_mappings() -> None:
    """The pointer is to a value that is there, or the place in the file could not be shown."""
    mapping = [{"containerID": 5, "hostID": 0, "size": 10}]
    changes = {
        "/linux/namespaces/0": {"type": "user"},
        "/linux/uidMappings": mapping,
        "/linux/gidMappings": mapping,
        "/process/user": DROP,
    }
    faults = faults_of(changes)
    assert [pointer for pointer, _ in faults] == ["/linux/uidMappings", "/linux/gidMappings"]


def test_the_pointer_of_an_annotation_is_spelt_as_pointers_are() -> None:
    assert_refused({"/annotations": {"a/b~c": True}}, "/annotations/a~1b~0c", "must be a string")
