"""Opening bundles: what is read, what is refused, and where an error says that it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ocipy import bundle as bundle_module
from ocipy.bundle import open_bundle
from ocipy.errors import ConfigError, ConfigFaults, OcipyError, UsageError
from tests.bundles import base_config
from tests.conftest import REPOSITORY


@pytest.fixture
def config() -> dict[str, Any]:
    return base_config("usual", "/usual")


@pytest.fixture
def path(tmp_path: Path, config: dict[str, Any]) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config, indent=4))
    return tmp_path


def refusal(path: Path, data: bytes | str, **options: Any) -> OcipyError:
    """Return the error that a config.json of these bytes is refused with."""
    data = data.encode() if isinstance(data, str) else data
    (path / "config.json").write_bytes(data)
    with pytest.raises(OcipyError) as caught:
        open_bundle(str(path), **options)
    return caught.value


def test_bundle(path: Path, config: dict[str, Any]) -> None:
    bundle = open_bundle(str(path))
    assert bundle.path == os.path.realpath(path)
    assert bundle.config == config
    assert bundle.text == (path / "config.json").read_text()
    assert bundle.warnings == []
    assert bundle.config_file == "config.json"


def test_path_is_absolute_and_without_links(
    path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path_factory.mktemp("other") / "link"
    link.symlink_to(path)
    real = os.path.realpath(path)
    assert open_bundle(str(link)).path == real
    monkeypatch.chdir(path)
    assert open_bundle(".").path == real
    assert open_bundle("../" + path.name).path == real


def test_no_descriptor_stays_open(path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    open_bundle(str(path))
    refusal(path, "{")
    refusal(path, b"\xff")
    assert os.listdir("/proc/self/fd") == before


def test_another_config(
    path: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "config.json").unlink()
    other = path / "other.json"
    other.write_text(json.dumps(config | {"hostname": "other"}))
    bundle = open_bundle(str(path), str(other))
    assert bundle.config["hostname"] == "other"
    assert bundle.config_file == str(other)
    monkeypatch.chdir("/")
    with pytest.raises(UsageError, match=r"JSON specification file other.json not found"):
        open_bundle(str(path), "other.json")


def test_config_from_a_pipe(path: Path, config: dict[str, Any]) -> None:
    text = json.dumps(config | {"annotations": {"long": "x" * 300_000}})
    fifo = path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_text, args=(text,))
    writer.start()
    bundle = open_bundle(str(path), str(fifo))
    writer.join()
    assert bundle.text == text


def test_config_from_standard_input(path: Path, config: dict[str, Any]) -> None:
    program = (
        f"import sys; sys.path.insert(0, {REPOSITORY!r})\n"
        "from ocipy.bundle import open_bundle\n"
        f"bundle = open_bundle({str(path)!r}, '-')\n"
        "print(bundle.config_file, bundle.config['hostname'])\n"
    )
    (path / "config.json").unlink()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        input=json.dumps(config), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "standard input usual\n"


def test_bundles_that_are_not_there(path: Path) -> None:
    with pytest.raises(UsageError, match=r"chdir .*/none: no such file or directory") as caught:
        open_bundle(f"{path}/none")
    assert "--bundle" in caught.value.hint
    with pytest.raises(UsageError, match=r"chdir .*config.json: not a directory"):
        open_bundle(f"{path}/config.json")
    (path / "config.json").unlink()
    with pytest.raises(UsageError, match=r"^JSON specification file config.json not found$"):
        open_bundle(str(path))
    (path / "config.json").mkdir()
    with pytest.raises(UsageError, match=r"read config.json: is a directory"):
        open_bundle(str(path))


def test_size_is_limited(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="/dev/zero is larger than 16 MiB"):
        open_bundle(str(path), "/dev/zero")
    monkeypatch.setattr(bundle_module, "MAX_CONFIG_BYTES", 10)
    with pytest.raises(UsageError, match=r"config\.json is larger"):
        open_bundle(str(path))


@pytest.mark.parametrize(
    ("text", "location", "sentence"),
    [
        ('{"a": 1\n "b": 2}', "config.json:2:2", "a comma is missing"),
        ('{"a": 1,\n}', "config.json:1:8", "a comma too many before }"),
        ("[1, 2,]", "config.json:1:6", "a comma too many before ]"),
        ('{"a" 1}', "config.json:1:6", "a colon is missing"),
        ('{\n  // x\n  "a": 1}', "config.json:2:3", "a comment"),
        ('{"a": 1, # x\n"b": 1}', "config.json:1:10", "a comment"),
        ("{'a': 1}", "config.json:1:2", "a single quote"),
        ("{a: 1}", "config.json:1:2", "a name in double quotes is missing"),
        ('{"a": tru}', "config.json:1:7", "a value is missing"),
        ('{"a": [1,\n2', "config.json:2:2", "ends too early"),
        ('{"a": "x', "config.json:1:7", "no closing quote"),
        ('{"a": "x\ny"}', "config.json:1:9", "a line end"),
        ('{"a": 1}\n}', "config.json:2:1", "something follows"),
        ('{"NaN": "NaN", "b": NaN}', "config.json:1:21", "NaN is not JSON"),
        ('{"a": 1, "b": {"x": 1, "x": 2}}', "config.json:1:24", 'the name "x" stands twice'),
    ],
)
def test_what_is_no_json(path: Path, text: str, location: str, sentence: str) -> None:
    error = refusal(path, text)
    assert isinstance(error, ConfigError)
    assert sentence in str(error)
    assert error.location == location
    number, column = map(int, location.split(":")[1:])
    line, pointing = error.details.split("\n")[2:4]
    assert line.endswith("| " + text.split("\n")[number - 1])
    assert pointing.index("^") - line.index("|") - 2 == column - 1


def test_config_without_a_place(path: Path) -> None:
    assert str(refusal(path, "")) == "config.json is empty"
    assert str(refusal(path, " \n")) == "config.json is empty"
    assert str(refusal(path, "null")) == "the configuration must be an object, found null"
    assert "nested too deeply" in str(refusal(path, "[" * 100_000))
    assert str(refusal(path, f'{{"a":{"1" * 4301}}}')).endswith("digits are not taken")


def test_encoding(path: Path) -> None:
    error = refusal(path, b'{"a":\n "\xc3\xa4\xff"}')
    assert str(error) == "config.json is not UTF-8: byte 0xff at offset 10"
    assert error.location == "config.json:2:4"
    assert "byte order mark" in str(refusal(path, b"\xef\xbb\xbf{}"))
    assert "UTF-16" in refusal(path, '{"a": 1}'.encode("utf-16")).hint
    assert "gzip" in refusal(path, b"\x1f\x8b\x08").hint


def test_faults_come_in_the_order_of_the_file(path: Path, config: dict[str, Any]) -> None:
    config["hostname"] = "h" * 65
    config["process"]["cwd"] = "tmp"
    config["linux"]["maskedPaths"] = ["proc"]
    text = json.dumps(config, indent=4)
    error = refusal(path, text)
    assert isinstance(error, ConfigFaults)
    pointers = [fault.pointer for fault in error.faults]
    assert pointers == ["/process/cwd", "/hostname", "/linux/maskedPaths/0"]
    for fault in error.faults:
        line = int(fault.location.split(":")[1])
        assert fault.pointer.split("/")[-1 if fault.pointer[-1] != "0" else -2] in "".join(
            text.split("\n")[line - 2 : line]
        )
        assert fault.location in str(error)
        assert fault.pointer in str(error)
    assert "\n" not in str(error), "a log record is one line"
    assert error.details.startswith("3 faults in config.json\n")
    assert error.details.count("^") == 3


def test_strict(path: Path, config: dict[str, Any]) -> None:
    config["linux"]["seccompp"] = {}
    text = json.dumps(config, indent=4)
    error = refusal(path, text, strict=True)
    assert str(error) == 'unknown field "seccompp"'
    assert error.hint == 'did you mean "seccomp"?'
    number = next(i for i, line in enumerate(text.split("\n"), 1) if "seccompp" in line)
    assert error.location == f"config.json:{number}:9"
    assert open_bundle(str(path)).warnings != []


def test_accepting_imports_nothing_more(path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {REPOSITORY!r})\n"
        "import ocipy.bundle\n"
        "before = set(sys.modules)\n"
        f"ocipy.bundle.open_bundle({str(path)!r})\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
