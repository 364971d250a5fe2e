from __future__ import annotations

from typing import Any

import pytest

from ocipy.errors import ConfigError
from ocipy.plan._generated_steps import MaskPath, ReadOnlyPath
from ocipy.plan.masks import plan_masks


def config(namespace: str = "mount", /, **linux: Any) -> Any:
    return {"linux": {"namespaces": [{"type": namespace}], **linux}}


def test_read_only_paths_come_first() -> None:
    assert plan_masks(config(maskedPaths=["/a", "/b"], readonlyPaths=["/c"])) == [
        ReadOnlyPath("/linux/readonlyPaths/0", path="/c"),
        MaskPath("/linux/maskedPaths/0", path="/a"),
        MaskPath("/linux/maskedPaths/1", path="/b"),
    ]


def test_a_path_is_masked_once() -> None:
    steps = plan_masks(config(maskedPaths=["/a", "/a/", "/x/../a"]))
    assert [step.source for step in steps] == ["/linux/maskedPaths/0"]


def test_the_cover_of_directories_has_the_mount_label() -> None:
    (step,) = plan_masks(config(maskedPaths=["/a"], mountLabel="u:r:t:s0"))
    assert step == MaskPath("/linux/maskedPaths/0", path="/a", label="context=u:r:t:s0")


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
def test_paths_must_be_absolute(field: str) -> None:
    with pytest.raises(ConfigError, match="'proc/kcore' is not an absolute path") as error:
        plan_masks(config("mount", **{field: ["/a", "proc/kcore"]}))
    assert error.value.pointer == f"/linux/{field}/1"


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
def test_they_need_a_mount_namespace(field: str) -> None:
    with pytest.raises(ConfigError, match="need a mount namespace"):
        plan_masks(config("pid", **{field: ["/a"]}))
    assert plan_masks(config("pid")) == []
