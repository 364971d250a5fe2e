"""`audit`: each rule on a config that breaks it alone, the forms of output, hostile names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from ocipy.bundle import open_bundle
from ocipy.cli import run_command_line
from ocipy.observe import docker_default
from ocipy.observe.audit import audit, compare_with_docker
from tests.bundles import base_config, without_namespace
from tests.unit.plan.test_golden_plans import GOLDEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECCOMP = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}],
}


def hardened() -> dict[str, Any]:
    """Return a config in which there is nothing to be found."""
    config = base_config("hard", "/hard")
    config["process"]["user"] = {"uid": 1000, "gid": 1000}
    config["root"]["readonly"] = True
    config["linux"]["namespaces"].append({"type": "cgroup"})
    config["linux"]["seccomp"] = SECCOMP
    config["linux"]["maskedPaths"] = [*docker_default.MASKED_PATHS]
    config["linux"]["readonlyPaths"] = [*docker_default.READONLY_PATHS]
    config["linux"]["resources"] = {
        "pids": {"limit": 100},
        "memory": {"limit": 1 << 28},
        "cpu": {"quota": 50000, "period": 100000},
    }
    for sets in config["process"]["capabilities"].values():
        sets.remove("CAP_SYS_CHROOT")
    return config


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    def write(config: dict[str, Any]) -> str:
        (tmp_path / "config.json").write_text(json.dumps(config, indent=2))
        return str(tmp_path)

    return write


def found(bundle: str) -> dict[str, str]:
    opened = open_bundle(bundle)
    findings = audit(opened.config, opened.text, opened.config_file, opened.warnings)
    return {finding.rule: finding.severity for finding in findings}


def add_mount(config: dict[str, Any], **entry: Any) -> None:
    config["mounts"].append(entry)


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(config: dict[str, Any]) -> None:
        *way, last = path.split(".")
        for name in way:
            config = config[name]
        config[last] = value

    return apply


def bind(source: str, *options: str) -> Callable[[dict[str, Any]], None]:
    return lambda config: add_mount(
        config, destination="/x", type="bind", source=source, options=["rbind", *options]
    )


def test_nothing_is_found(write: Callable[[dict[str, Any]], str]) -> None:
    assert found(write(hardened())) == {}


ADMIN = {name: ["CAP_SYS_ADMIN"] for name in ("bounding", "effective", "permitted")}
CASES: list[tuple[Callable[[dict[str, Any]], None], str, str]] = [
    (lambda config: without_namespace(config, "pid"), "host-pid-namespace", "high"),
    (lambda config: without_namespace(config, "network"), "host-network-namespace", "high"),
    (lambda config: without_namespace(config, "ipc"), "host-ipc-namespace", "medium"),
    (change("process.user", {"uid": 0, "gid": 0}), "root-without-user-namespace", "medium"),
    (change("process.capabilities", ADMIN), "dangerous-capability", "critical"),
    (
        change("process.capabilities", {"inheritable": ["CAP_CHOWN"]}),
        "inheritable-capabilities",
        "low",
    ),
    (change("process.noNewPrivileges", False), "new-privileges", "medium"),
    (change("process.oomScoreAdj", -999), "oom-protected", "medium"),
    (change("process.env", ["DB_PASSWORD=x"]), "secret-in-environment", "low"),
    (lambda config: config["linux"].pop("seccomp"), "no-seccomp", "high"),
    (change("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW"}), "permissive-seccomp", "high"),
    (bind("/var/run/docker.sock"), "sensitive-socket", "critical"),
    (bind("/run//containerd/containerd.sock", "ro"), "sensitive-socket", "critical"),
    (bind("/"), "sensitive-mount", "critical"),
    (bind("/etc/", "ro"), "sensitive-mount", "medium"),
    (bind("/srv", "rshared"), "shared-propagation", "high"),
    (
        lambda config: add_mount(config, destination="/y", type="sysfs", source="sysfs"),
        "writable-sysfs",
        "medium",
    ),
    (
        lambda config: add_mount(config, destination="/y", type="cgroup2", source="cgroup2"),
        "writable-cgroup",
        "medium",
    ),
    (change("linux.maskedPaths", []), "missing-masked-paths", "medium"),
    (change("linux.readonlyPaths", []), "missing-readonly-paths", "high"),
    (change("linux.resources.pids", {"limit": -1}), "no-pids-limit", "medium"),
    (change("linux.resources.memory", {}), "no-memory-limit", "medium"),
    (change("linux.resources.cpu", {}), "no-cpu-limit", "low"),
    (
        change("linux.resources.devices", [{"allow": True, "access": "rwm"}]),
        "all-devices",
        "critical",
    ),
    (
        change("linux.devices", [{"path": "/dev/sda", "type": "b", "major": 8, "minor": 0}]),
        "dangerous-device",
        "critical",
    ),
    (change("root.readonly", False), "writable-root", "low"),
    (change("root.path", "/"), "host-root", "critical"),
    (change("hooks", {"prestart": [{"path": "/bin/true"}]}), "host-hook", "info"),
    (change("linux.secomp", SECCOMP), "unknown-field", "high"),
    (change("process.colour", "red"), "unknown-field", "low"),
]


@pytest.mark.parametrize(
    ("apply", "rule", "severity"), CASES, ids=[f"{case[1]}-{i}" for i, case in enumerate(CASES)]
)
def test_rule(
    write: Callable[[dict[str, Any]], str],
    apply: Callable[[dict[str, Any]], None],
    rule: str,
    severity: str,
) -> None:
    config = hardened()
    apply(config)
    assert found(write(config)) == {rule: severity}


@pytest.mark.parametrize(
    ("apply", "status"),
    [
        (change("root.readonly", False), 0),
        (change("process.noNewPrivileges", False), 10),
        (change("linux.readonlyPaths", []), 20),
        (change("root.path", "/"), 30),
    ],
)
def test_exit_status(
    write: Callable[[dict[str, Any]], str],
    apply: Callable[[dict[str, Any]], None],
    status: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    config = hardened()
    apply(config)
    assert run_command_line(["audit", "--bundle", write(config)]) == status
    assert "remedy: " in capfd.readouterr().out


def test_json_has_places(
    write: Callable[[dict[str, Any]], str], capfd: pytest.CaptureFixture[str]
) -> None:
    config = hardened()
    config["process"]["noNewPrivileges"] = False
    bundle = write(config)
    run_command_line(["audit", "--format", "json", "-b", bundle])
    (finding,) = json.loads(capfd.readouterr().out)["findings"]
    name, line, _ = finding["location"].split(":")
    assert name == "config.json"
    text = (open_bundle(bundle).text).splitlines()[int(line) - 1]
    assert '"noNewPrivileges": false' in text


# What SARIF 2.1.0 requires of the parts that are written (sections 3.13 to 3.30).
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "additionalProperties": False,
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "additionalProperties": False,
                                            "properties": {
                                                "id": {"type": "string"},
                                                "shortDescription": TEXT,
                                                "fullDescription": TEXT,
                                                "help": TEXT,
                                                "defaultConfiguration": {"type": "object"},
                                                "properties": {"type": "object"},
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message"],
                            "additionalProperties": False,
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": -1},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": TEXT,
                                "locations": {"type": "array", "minItems": 1},
                            },
                        },
                    },
                },
            },
        },
    },
}


def test_sarif(write: Callable[[dict[str, Any]], str], capfd: pytest.CaptureFixture[str]) -> None:
    config = base_config("host", "/x")
    config["linux"]["secomp"] = {}
    run_command_line(["audit", "--format=sarif", "-b", write(config)])
    report = json.loads(capfd.readouterr().out)
    jsonschema.validate(report, SARIF)
    (run,) = report["runs"]
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(ids)) == len(ids)
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region["startColumn"] >= 1


def test_dockers_own_config_is_dockers_default() -> None:
    text = (GOLDEN / "configs" / "docker-run.json").read_text()
    rows = {str(row["aspect"]): row["more"] for row in compare_with_docker(json.loads(text))}
    assert not rows.get("capabilities")
    assert not rows.get("system calls")
    assert not rows.get("writable paths")


def test_a_hostile_name_does_not_drive_the_terminal(
    write: Callable[[dict[str, Any]], str], capfd: pytest.CaptureFixture[str]
) -> None:
    config = hardened()
    config["process"]["env"] = ["\x1b[2JPASSWORD\u202e=x", "B_TOKEN\n=1"]
    assert run_command_line(["audit", "--bundle", write(config)]) == 0
    out = capfd.readouterr().out
    assert "\\x1b[2JPASSWORD\\u202e" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_what_cannot_be_audited(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["audit", "--bundle", str(tmp_path / "no")]) == 1
    assert run_command_line(["audit", "--format", "xml"]) == 1
    assert run_command_line(["audit", "--bundle", str(tmp_path), "some-id"]) == 1
    assert "not both" in capfd.readouterr().err
