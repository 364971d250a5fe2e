"""Bundle: a directory with a config.json, opened and accepted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeAlias

from ocipy.bundle import CONFIG_FILE, open_bundle
from ocipy.bundle import Bundle as OpenedBundle
from ocipy.errors import ConfigError, UsageError, errno_text
from ocipy.library.config import Config

# What a container can be made of: a bundle or its path, or a configuration alone.
Source: TypeAlias = "Bundle | Config | Mapping[str, object] | str | os.PathLike[str]"


class Bundle:
    """A bundle as the specification has it: relative paths in its config start at its directory.

    Attributes:
        path: absolute, without symbolic links.
        config: what was accepted; later changes of the file do not reach it.
    """

    __slots__ = ("config", "path")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        config_path: str | os.PathLike[str] | None = None,
        strict: bool = False,
    ) -> None:
        """Open a bundle directory and accept its config.json, or the file `config_path` instead.

        Raises:
            UsageError: the directory or the file cannot be read.
            ConfigError: the config breaks the specification; with `strict`, also where it would
                only be warned about.
        """
        file = None if config_path is None else os.fspath(config_path)
        opened = open_bundle(os.fspath(path), file, strict=strict)
        self.path = opened.path
        self.config = Config(opened.text, strict=strict, name=opened.config_file)

    @classmethod
    def write(cls, path: str | os.PathLike[str], config: Config | Mapping[str, object]) -> Bundle:
        """Write a config.json into a directory, which is made if it is missing; return the bundle.

        Raises:
            ConfigError: the config breaks the specification; nothing was written.
            UsageError: it cannot be written. A config.json that is there already is not replaced.
        """
        config = config if isinstance(config, Config) else Config(config)
        file = os.path.join(path, CONFIG_FILE)
        try:
            os.makedirs(path, exist_ok=True)
            fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            with open(fd, "w", encoding="utf-8") as stream:
                stream.write(config.text + "\n")
        except OSError as error:
            raise UsageError(f"cannot write {file}: {errno_text(error.errno or 0)}") from None
        return cls(path)

    def __repr__(self) -> str:
        return f"<ocipy.Bundle {self.path!r}>"


def opened(source: Source, home: str) -> OpenedBundle:
    """Return a source as the commands know bundles; `home` stands for the bundle where none is.

    Raises:
        ConfigError: it breaks the specification, or has a relative root.path and no bundle.
    """
    if isinstance(source, str | os.PathLike):
        source = Bundle(source)
    if isinstance(source, Bundle):
        return _opened(source.path, source.config)
    config = source if isinstance(source, Config) else Config(source)
    root = config.value.get("root", {}).get("path", "")
    if not os.path.isabs(root):
        raise ConfigError(
            "/root/path",
            f"{root!r} is relative, and there is no bundle that it could start at",
            hint="give an absolute path",
        )
    return _opened(home, config)


def _opened(path: str, config: Config) -> OpenedBundle:
    return OpenedBundle(path, config.name, config.text, config.value, config.warnings)
