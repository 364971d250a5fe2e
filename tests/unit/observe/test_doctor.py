"""`doctor`: on this host, and on hosts that lack something."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.cgroup.facts import CgroupFacts
from ocipy.cli import run_command_line
from ocipy.observe import doctor
from ocipy.observe.doctor import FAIL, OK, WARN, Check, examine_host, worst
from tests.bundles import base_config
from tests.unit.host_facts import host_facts

if TYPE_CHECKING:
    from pathlib import Path


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {f"{check.group}: {check.name}": check for check in checks}


def test_this_host(capfd: pytest.CaptureFixture[str]) -> None:
    status = run_command_line(["doctor", "--format", "json"])
    report = json.loads(capfd.readouterr().out)
    assert status == (10 if report["verdict"] == FAIL else 0)
    for check in report["checks"]:
        assert check["verdict"] in (OK, WARN, FAIL)
        assert check["found"]
        # Whatever is wrong has a consequence and a remedy, and nothing else has.
        assert bool(check["consequence"]) == bool(check["remedy"]) == (check["verdict"] != OK)
    assert run_command_line(["doctor"]) == status
    out = capfd.readouterr().out
    assert all(f"{check['group']}: {check['name']}" in out for check in report["checks"])


def test_a_poor_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An old kernel without cgroups and user namespaces, and a user without privileges."""
    host = host_facts(kernel="4.19.0", capabilities=0, clone_flags=0, cgroup=CgroupFacts())
    monkeypatch.setattr(doctor, "probe_host", lambda: host)
    checks = examine_host(str(tmp_path / "state"))
    found = by_name(checks)
    assert worst(checks) == FAIL
    assert found["kernel: version"].verdict == FAIL
    assert found["cgroup: hierarchy"].verdict == FAIL
    assert found["namespaces: pid"].verdict == FAIL
    assert found["namespaces: user"].remedy == "a kernel with CONFIG_USER_NS"
    assert found["privileges: user"].verdict == WARN
    assert found["file systems: idmapped mounts"].verdict == WARN


def bundle(tmp_path: Path, **changes: Any) -> str:
    config = base_config("doctor", "/doctor")
    for name, value in changes.items():
        config[name] = {**config.get(name, {}), **value}
    path = tmp_path / "bundle"
    (path / "rootfs" / "bin").mkdir(parents=True)
    (path / "rootfs" / "bin" / "true").write_text("")
    (path / "config.json").write_text(json.dumps(config))
    return str(path)


def pointers(capfd: pytest.CaptureFixture[str], path: str) -> dict[str, str]:
    run_command_line(["doctor", "--bundle", path, "--format=json"])
    checks = json.loads(capfd.readouterr().out)["checks"]
    return {check["pointer"]: check["verdict"] for check in checks if check["pointer"]}


def test_fields_that_cannot_be_honoured(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = bundle(
        tmp_path,
        process={"args": ["/bin/false"]},
        linux={
            "namespaces": [
                *({"type": kind} for kind in ("mount", "uts", "network")),
                {"type": "ipc", "path": "/no/namespace"},
            ],
            "netDevices": {"no0": {}},
            "devices": [{"path": "/dev/x", "type": "c", "major": 4000, "minor": 4}],
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}],
            },
        },
        hooks={"prestart": [{"path": "/no/hook"}]},
    )
    found = pointers(capfd, path)
    assert found["/process/args/0"] == FAIL
    assert found["/linux/namespaces/3/path"] == FAIL
    assert found["/linux/netDevices/no0"] == FAIL
    assert found["/hooks/prestart/0/path"] == FAIL
    assert found["/linux/devices/0"] == WARN
    assert found["/linux/seccomp/syscalls"] == WARN


def test_a_bundle_without_faults(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = pointers(capfd, bundle(tmp_path))
    # Which capabilities there are to give is the machine's matter.
    assert set(found) <= {"/process/capabilities"}


def test_a_mount_source_that_is_missing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = bundle(tmp_path)
    config = json.loads((tmp_path / "bundle" / "config.json").read_text())
    entry = {"destination": "/x", "source": "/no/\x1b[2J", "options": ["bind"]}
    config["mounts"].append(entry)
    (tmp_path / "bundle" / "config.json").write_text(json.dumps(config))
    index = len(config["mounts"]) - 1
    assert pointers(capfd, path)[f"/mounts/{index}/source"] == FAIL
    assert run_command_line(["doctor", "--bundle", path]) == 10
    out = capfd.readouterr().out
    assert "/no/\\x1b[2J does not exist" in out
    assert "\x1b" not in out


def test_what_is_no_bundle(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["doctor", "--bundle", str(tmp_path / "no")]) == 1
    assert run_command_line(["doctor", "--format", "yaml"]) == 1
    assert "text or json" in capfd.readouterr().err
