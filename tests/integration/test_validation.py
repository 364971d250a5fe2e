"""Wrong configs: refused before anything is made, with the place of the fault; config.md."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.integration.containers import Container

REMOVED = object()

# Pointer in the config, value to put there, and the pointer to be named if it is another one.
FAULTS: list[tuple[str, Any, str]] = [
    ("/ociVersion", REMOVED, "ociVersion"),
    ("/ociVersion", "banana", ""),
    ("/ociVersion", "2.0.0", ""),
    ("/ociVersion", "1.0", ""),
    ("/ociVersion", 1, ""),
    ("/root", REMOVED, "root"),
    ("/root", "rootfs", ""),
    ("/root/path", REMOVED, "/root"),
    ("/root/path", "", ""),
    ("/root/path", 5, ""),
    ("/root/readonly", "yes", ""),
    ("/hostname", 5, ""),
    ("/annotations", {"": "empty key"}, "/annotations"),
    ("/annotations", {"key": 5}, "/annotations/key"),
    ("/annotations", ["a"], ""),
    ("/process/args", REMOVED, "/process"),
    ("/process/args", [], ""),
    ("/process/args", "/bin/true", ""),
    ("/process/args", ["/bin/true", 5], "/process/args/1"),
    ("/process/cwd", REMOVED, "/process"),
    ("/process/cwd", "relative", ""),
    ("/process/cwd", "", ""),
    ("/process/env", "A=1", ""),
    ("/process/env", ["A=1", 7], "/process/env/1"),
    ("/process/terminal", "true", ""),
    ("/process/user", "root", ""),
    ("/process/user", {"uid": -1, "gid": 0}, "/process/user/uid"),
    ("/process/user", {"uid": 0, "gid": 4294967296}, "/process/user/gid"),
    ("/process/user", {"uid": "0", "gid": 0}, "/process/user/uid"),
    (
        "/process/user",
        {"uid": 0, "gid": 0, "additionalGids": [-5]},
        "/process/user/additionalGids/0",
    ),
    ("/process/user", {"uid": 0, "gid": 0, "umask": -1}, "/process/user/umask"),
    ("/process/consoleSize", {"height": -1, "width": 1}, "/process/consoleSize"),
    ("/process/consoleSize", {"height": 1}, "/process/consoleSize"),
    ("/process/noNewPrivileges", "yes", ""),
    ("/process/capabilities", ["CAP_CHOWN"], ""),
    ("/process/capabilities/bounding", "CAP_CHOWN", ""),
    ("/process/rlimits", [{"type": "RLIMIT_BANANA", "soft": 1, "hard": 1}], "/process/rlimits/0"),
    ("/process/rlimits", [{"type": "NOFILE", "soft": 1, "hard": 1}], "/process/rlimits/0"),
    ("/process/rlimits", [{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}], "/process/rlimits/0"),
    ("/process/rlimits", [{"type": "RLIMIT_NOFILE", "soft": 1}], "/process/rlimits/0"),
    ("/process/rlimits", [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2, "/process/rlimits/1"),
    ("/process/rlimits", [{"type": "RLIMIT_NOFILE", "soft": -1, "hard": 1}], "/process/rlimits/0"),
    ("/process/oomScoreAdj", "5", ""),
    ("/mounts", {"destination": "/x"}, ""),
    ("/mounts/0/destination", REMOVED, "/mounts/0"),
    ("/mounts/0/destination", "", ""),
    ("/mounts/0/options", "ro", ""),
    ("/mounts/0/source", 7, ""),
    ("/hooks", [], ""),
    ("/hooks", {"prestart": {"path": "/bin/true"}}, "/hooks/prestart"),
    ("/linux/namespaces", "all", ""),
    ("/linux/namespaces/0/type", REMOVED, "/linux/namespaces/0"),
    ("/linux/uidMappings", [{"containerID": 0, "hostID": 0}], "/linux/uidMappings/0"),
    ("/linux/uidMappings", [{"containerID": -1, "hostID": 0, "size": 1}], "/linux/uidMappings/0"),
    ("/linux/maskedPaths", "/proc/kcore", ""),
    ("/linux/devices", {"path": "/dev/x"}, ""),
    ("/linux/sysctl", {"net.ipv4.ip_forward": 1}, "/linux/sysctl"),
    ("/linux/cgroupsPath", 5, ""),
    ("/linux/rootfsPropagation", "sharing", ""),
    ("/linux/seccomp", {"defaultAction": "SCMP_ACT_BANANA"}, "/linux/seccomp/defaultAction"),
    ("/linux/seccomp", {}, "/linux/seccomp"),
]

# What runc 1.1 lets pass of these.
RUNC_ACCEPTS = {
    "/ociVersion=removed",
    "/ociVersion=banana",
    "/ociVersion=2.0.0",
    "/ociVersion=1.0",
    "/process/consoleSize={'height': 1}",
    "/process/rlimits=[{'type': 'RLIMIT_CORE', 'soft': 0, 'hard': 0}, "
    "{'type': 'RLIMIT_CORE', 'soft': 0, 'hard': 0}]",
    "/linux/uidMappings=[{'containerID': 0, 'hostID': 0}]",
    "/linux/seccomp={}",
    "/annotations={'': 'empty key'}",
}


def identity(pointer: str, value: Any) -> str:
    return f"{pointer}={'removed' if value is REMOVED else value}"


def change(config: dict[str, Any], pointer: str, value: Any) -> None:
    *parents, last = pointer.split("/")[1:]
    target: Any = config
    for name in parents:
        target = target[int(name)] if isinstance(target, list) else target[name]
    if value is REMOVED:
        del target[last]
    else:
        target[last] = copy.deepcopy(value)


@pytest.mark.parametrize(
    ("pointer", "value", "named"),
    [
        pytest.param(
            *fault,
            marks=[pytest.mark.runc_deviates("accepts it")]
            if identity(*fault[:2]) in RUNC_ACCEPTS
            else [],
            id=identity(*fault[:2])[:60],
        )
        for fault in FAULTS
    ],
)
def test_faults(container: Container, pointer: str, value: Any, named: str) -> None:
    change(container.config, pointer, value)
    container.is_rejected(named or pointer)


@pytest.mark.runc_deviates("reports the first only")
def test_every_fault_is_named_at_once(container: Container) -> None:
    change(container.config, "/process/cwd", "relative")
    change(container.config, "/process/args", [])
    change(container.config, "/mounts/2/destination", REMOVED)
    call = container.is_rejected("/process/cwd", "/process/args", "/mounts/2")
    assert call.err.count("\n") == 1 or "level=" not in call.err


@pytest.mark.parametrize(
    "version", ["1.0.0", "1.0.0-rc5", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0", "1.0.1+build5"]
)
def test_versions_that_are_fine(container: Container, version: str) -> None:
    container.config["ociVersion"] = version
    assert container.run().err == ""


@pytest.mark.runc_deviates("does not look at the version")
def test_a_newer_minor_version_warns(container: Container) -> None:
    container.config["ociVersion"] = "1.99.0"
    call = container.run()
    assert "1.99.0" in call.err
    assert "level=warning" in call.err


def test_unknown_properties_are_ignored(container: Container) -> None:
    """config.md#extensibility: MUST NOT be an error."""
    container.config["unknown"] = {"x": 1}
    container.process["futureField"] = [1, 2]
    container.linux["banana"] = None
    container.config["mounts"][0]["color"] = "blue"
    container.run()


@pytest.mark.runc_deviates("says nothing")
def test_a_misspelt_property_warns(container: Container) -> None:
    del container.process["noNewPrivileges"]
    container.process["noNewPriviliges"] = True
    call = container.run()
    assert "noNewPriviliges" in call.err
    assert "noNewPrivileges" in call.err, "with a suggestion"


def create_with_text(container: Container, text: bytes) -> Any:
    container.bundle.write()
    with open(f"{container.bundle.path}/config.json", "wb") as file:
        file.write(text)
    return container.runtime.call("create", "--bundle", container.bundle.path, container.id)


def as_text(container: Container) -> str:
    return json.dumps(container.config)


@pytest.mark.parametrize(
    "change_text",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(",", ",,", 1),
        lambda text: text.replace('"', "'"),
        lambda text: text + "}",
        lambda text: "[" + text + "]",
        lambda text: "null",
        lambda text: "",
        lambda text: text.replace("true", "True", 1),
    ],
    ids=["truncated", "comma", "quotes", "trailing", "array", "null", "empty", "True"],
)
def test_broken_json(container: Container, change_text: Any, request: Any) -> None:
    call = create_with_text(container, change_text(as_text(container)).encode())
    if container.runtime.is_runc and call.status == 0:
        pytest.xfail("runc reads the first value and ignores what follows")
    assert call.status == 1 or (container.runtime.is_runc and "panic" in call.err), call
    if container.runtime.is_ocipy:
        assert "config" in call.err
    assert not container.runtime.holds(container.id)


def test_broken_json_names_line_and_column(container: Container) -> None:
    text = '{\n  "ociVersion": "1.0.0",\n  "root": {"path" "rootfs"}\n}\n'
    call = create_with_text(container, text.encode())
    assert call.status == 1
    if container.runtime.is_ocipy:
        assert "3:19" in call.err or ("line 3" in call.err and "column 19" in call.err), call


@pytest.mark.runc_deviates("takes the last of them")
def test_duplicate_names(container: Container) -> None:
    """glossary.md: JSON with unique names."""
    text = as_text(container).replace('"ociVersion"', '"hostname": "other", "ociVersion"', 1)
    call = create_with_text(container, text.encode())
    assert call.status == 1, call
    assert "hostname" in call.err


@pytest.mark.runc_deviates("replaces it by U+FFFD")
def test_invalid_utf8(container: Container) -> None:
    container.config["hostname"] = "HOST"
    call = create_with_text(container, as_text(container).encode().replace(b"HOST", b"a\xff"))
    assert call.status == 1, call
    assert "utf-8" in call.err.lower()


def test_a_byte_order_mark(container: Container) -> None:
    """RFC 8259: a parser may ignore it; whichever way, it must not be a crash."""
    call = create_with_text(container, b"\xef\xbb\xbf" + as_text(container).encode())
    assert call.status in (0, 1)
    assert "Traceback" not in call.err


def test_deep_nesting(container: Container) -> None:
    text = as_text(container)[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    call = create_with_text(container, text.encode())
    assert call.status in (0, 1), call
    assert "Traceback" not in call.err


@pytest.mark.parametrize("number", ["1e400", "-0", "1.5", "99999999999999999999999", "1E2"])
def test_odd_numbers(container: Container, number: str) -> None:
    container.process["user"]["uid"] = 987654
    text = as_text(container).replace("987654", number)
    call = create_with_text(container, text.encode())
    if call.status == 0:
        # The same number in another spelling; runc's parser is stricter than the specification.
        assert number in ("-0", "1E2")
    assert "Traceback" not in call.err


@pytest.mark.runc_deviates("finds out when it runs the program")
def test_nul_in_a_string(container: Container) -> None:
    container.args("/bin/echo", "a\0b")
    call = container.create(check=False)
    assert call.status == 1, call
    assert "Traceback" not in call.err
