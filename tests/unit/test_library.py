"""What `import ocipy` offers without privileges: names, configs, bundles and plans."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ocipy
from ocipy.bundle import open_bundle
from ocipy.commands.plan import plan_of
from ocipy.plan.describe import plan_to_text
from tests.bundles import base_config
from tests.conftest import REPOSITORY


def config_dict(**changes: Any) -> dict[str, Any]:
    config = base_config("host", "/cgroup")
    config["root"]["path"] = "/rootfs"
    return {**config, **changes}


def cyclic() -> dict[str, Any]:
    config = config_dict()
    config["annotations"] = {"a~/": [config["process"]]}
    config["process"]["env"] = [config["annotations"]]
    return config


def test_every_name_is_there_and_documented() -> None:
    assert set(dir(ocipy)) == set(ocipy.__all__)
    for name in set(ocipy.__all__) - {"__version__"}:
        assert getattr(ocipy, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'Contaner'"):
        _ = ocipy.Contaner  # type: ignore[attr-defined]


def test_importing_it_loads_nothing_until_it_is_asked_for() -> None:
    script = (
        "import sys; before = set(sys.modules); import ocipy\n"
        "print(sorted(set(sys.modules) - before))\n"
        "ocipy.Container; ocipy.run; print('ocipy.library.container' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "['__future__', 'ocipy']\nTrue\n"


def test_a_config_is_the_same_from_a_dict_a_text_and_a_file(tmp_path: Path) -> None:
    value = config_dict()
    file = tmp_path / "config.json"
    file.write_text(json.dumps(value))
    configs = [
        ocipy.Config(value),
        ocipy.Config(json.dumps(value)),
        ocipy.Config(json.dumps(value).encode()),
        ocipy.Config.read(file),
    ]
    assert all(config == configs[0] for config in configs)
    assert configs[0].to_dict() == value
    assert json.loads(configs[0].text) == value


def test_a_config_does_not_change_with_what_it_was_made_of() -> None:
    value = config_dict()
    config = ocipy.Config(value)
    value["hostname"] = "another"
    config.to_dict()["hostname"] = "a third"
    assert config.value["hostname"] == "host"


def test_paths_tuples_and_enumerations_are_taken_for_what_they_are() -> None:
    class Name(enum.StrEnum):
        HOST = "host7"

    class Uid(enum.IntEnum):
        APP = 7

    value = config_dict(hostname=Name.HOST)
    value["root"]["path"] = Path("/rootfs")
    value["process"]["args"] = ("/bin/true",)
    value["process"]["user"]["uid"] = Uid.APP
    config = ocipy.Config(value).value
    assert config["hostname"] == "host7"
    assert config["root"]["path"] == "/rootfs"
    assert config["process"]["args"] == ["/bin/true"]
    assert config["process"]["user"]["uid"] == 7


@pytest.mark.parametrize(
    ("value", "pointer", "text"),
    [
        (cyclic(), "/process/env/0/a~0~1/0", "contains itself"),
        (config_dict(hostname={1, 2}), "/hostname", "a set has no JSON form"),
        (config_dict(hostname=b"x"), "/hostname", "a bytes has no JSON form"),
        (config_dict(annotations={1: "x"}), "/annotations", "the name 1 is no string"),
        (config_dict(annotations={"a": float("nan")}), "/annotations/a", "nan has no JSON form"),
        (config_dict(hostname=5), "/hostname", "string"),
    ],
)
def test_what_is_no_config_is_refused_with_its_place(value: Any, pointer: str, text: str) -> None:
    with pytest.raises(ocipy.ConfigError, match=text) as caught:
        ocipy.Config(value)
    assert caught.value.pointer == pointer


def test_nesting_without_end_is_refused() -> None:
    value: Any = "deep"
    for _ in range(5000):
        value = [value]
    with pytest.raises(ocipy.ConfigError, match="nested more than 100 deep"):
        ocipy.Config(config_dict(annotations=value))


def test_all_faults_and_the_warnings_are_told() -> None:
    with pytest.raises(ocipy.ConfigFaults) as caught:
        ocipy.Config(config_dict(hostname=1, root={}))
    assert len(caught.value.faults) == 2
    unknown = config_dict(hostnmae="x")
    [(pointer, sentence)] = ocipy.Config(unknown).warnings
    assert pointer == "/hostnmae"
    assert sentence == 'unknown field "hostnmae" is ignored'
    with pytest.raises(ocipy.ConfigError, match="hostnmae"):
        ocipy.Config(unknown, strict=True)


def test_a_merge_patch_merges_replaces_and_removes() -> None:
    config = ocipy.Config(config_dict(annotations={"a": "1", "b": "2"}))
    patch: dict[str, object] = {
        "annotations": {"a": None, "c": "3"},
        "mounts": [],
        "hostname": None,
    }
    merged = config.merged(patch).to_dict()
    assert merged["annotations"] == {"b": "2", "c": "3"}
    assert merged["mounts"] == []
    assert "hostname" not in merged
    assert config.value["hostname"] == "host"


def test_a_config_for_a_program_has_what_was_asked_for() -> None:
    config = ocipy.Config.for_program(
        ["/bin/app", "-v"],
        rootfs="/srv/root",
        env={"A": "1"},
        user=(5, 6),
        memory_bytes=1 << 20,
        pids=3,
        cpus=0.5,
        mounts=[{"destination": "/data", "type": "bind", "source": "/data", "options": ["bind"]}],
    ).value
    process, resources = config["process"], config["linux"]["resources"]
    assert process["args"] == ["/bin/app", "-v"]
    assert process["env"][-1] == "A=1"
    assert process["user"] == {"uid": 5, "gid": 6}
    assert not process.get("terminal")
    assert resources["memory"] == {"limit": 1 << 20, "swap": 1 << 20}
    assert resources["pids"] == {"limit": 3}
    assert resources["cpu"] == {"period": 100_000, "quota": 50_000}
    assert config["mounts"][-1]["destination"] == "/data"
    with pytest.raises(TypeError, match="not one string"):
        ocipy.Config.for_program("/bin/app -v", rootfs="/")


def test_a_bundle_is_written_and_read(tmp_path: Path) -> None:
    config = config_dict()
    config["root"]["path"] = "rootfs"
    bundle = ocipy.Bundle.write(tmp_path / "bundle", config)
    assert bundle.path == str(tmp_path / "bundle")
    assert bundle.config == ocipy.Bundle(bundle.path).config == ocipy.Config(config)
    with pytest.raises(ocipy.UsageError, match="file exists"):
        ocipy.Bundle.write(bundle.path, config)
    with pytest.raises(ocipy.UsageError, match="no such file"):
        ocipy.Bundle(tmp_path / "missing")


def test_a_config_without_a_bundle_needs_an_absolute_root() -> None:
    with pytest.raises(ocipy.ConfigError, match="'rootfs' is relative") as caught:
        ocipy.Plan(config_dict(root={"path": "rootfs"}))
    assert caught.value.pointer == "/root/path"


def test_a_plan_is_what_the_command_plans(tmp_path: Path) -> None:
    bundle = ocipy.Bundle.write(tmp_path, config_dict())
    plan = ocipy.Plan(bundle, id="name")
    steps = plan_of(open_bundle(bundle.path), "name").steps
    assert str(plan) == plan_to_text(steps)
    assert len(plan) == len(steps) == len(plan.to_json())
    assert [step.operation for step in plan] == [step.operation for step in steps]
    other = ocipy.Plan(bundle.config.merged({"hostname": "other"}), id="name")
    assert any("other" in line for line in plan.difference(other))
    assert plan.difference(plan) == []
