"""Masked and read-only paths. Spec (config-linux.md#masked-paths, #readonly-paths)."""

from __future__ import annotations

import os

from ocipy.errors import ConfigError
from ocipy.plan import _generated_steps as steps
from ocipy.plan.rootfs import has_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocipy.config._generated_types import Config
    from ocipy.plan.step import Step


def plan_masks(config: Config) -> list[Step]:
    """Return the steps for linux.readonlyPaths, then linux.maskedPaths, each path once.

    Raises:
        ConfigError: a path is relative, or the container has no mount namespace.
    """
    label = config.get("linux", {}).get("mountLabel", "")
    context = f"context={label}" if label else ""
    plan: list[Step] = []
    for source, path in _paths(config, "readonlyPaths"):
        plan.append(steps.ReadOnlyPath(source, path=path))
    for source, path in _paths(config, "maskedPaths"):
        plan.append(steps.MaskPath(source, path=path, label=context))
    return plan


def _paths(config: Config, field: str) -> Iterator[tuple[str, str]]:
    paths: list[str] = config.get("linux", {}).get(field) or []  # type: ignore[assignment]
    seen = set()
    for i, path in enumerate(paths):
        source = f"/linux/{field}/{i}"
        if not has_namespace(config, "mount"):
            raise ConfigError(
                source,
                f"{field} need a mount namespace: they would change the host's mounts",
                hint='add {"type": "mount"} to linux.namespaces',
            )
        # Spec (config-linux.md#masked-paths): the values MUST be absolute paths.
        if not path.startswith("/"):
            raise ConfigError(source, f"{path!r} is not an absolute path")
        clean = os.path.normpath(path)
        if clean not in seen:
            seen.add(clean)
            yield source, path
