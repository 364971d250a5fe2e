"""The bundle: opens its directory and reads config.json, both by descriptor, once.

The text is kept as it was read: the state directory gets a copy of it, so that nothing done to the
file later can reach the container (Spec: runtime.md#lifecycle), and errors point into it.
"""

from __future__ import annotations

import os

from ocipy.errors import ConfigError, UsageError, errno_text
from ocipy.json_text import DuplicateName, JsonError, loads
from ocipy.schema.accept import accept, accept_strictly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from ocipy.config._generated_types import Config
    from ocipy.config.found import Remark

CONFIG_FILE = "config.json"

# Nothing near this size is a config; a mistaken --config /dev/zero shall not fill the memory.
MAX_CONFIG_BYTES = 16 * 1024 * 1024

# podman and people know this sentence from runc.
CONFIG_MISSING = "JSON specification file {} not found"


class Bundle:
    """An opened bundle whose config was accepted.

    `path` is absolute and has no symbolic links, as the kernel tells it (and runc takes it);
    `config_file` is the name that messages use for where `text` came from; `warnings` are pairs of
    a pointer and a sentence. `fd` is the bundle's directory, or -1; the object owns it.
    """

    __slots__ = ("config", "config_file", "fd", "path", "text", "warnings")

    def __init__(
        self,
        path: str,
        config_file: str,
        text: str,
        config: Config,
        warnings: list[Remark],
        fd: int = -1,
    ) -> None:
        self.fd = fd
        self.path = path
        self.config_file = config_file
        self.text = text
        self.config = config
        self.warnings = warnings

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the directory."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def open_rootfs(self) -> int:
        """Open the root file system (O_PATH), in the directory that the config was read in.

        Raises:
            OSError: it is not there, or no directory.
        """
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        path = self.config["root"]["path"]
        if self.fd < 0:
            return os.open(os.path.join(self.path, path), flags)
        return os.open(path, flags, dir_fd=self.fd)


def open_bundle(path: str, config_path: str | None = None, *, strict: bool = False) -> Bundle:
    """Read and accept the config of the bundle directory `path`.

    `config_path` is a file to read in place of the bundle's config.json, relative to the current
    directory; "-" is the standard input. With `strict`, what would be warnings are errors.

    Raises:
        UsageError: the directory or the file cannot be read.
        ConfigError: the file is not UTF-8 (Spec: glossary.md#json), not JSON, or not acceptable.
            `location` and `details` are set.
    """
    try:
        bundle_fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        # The words of runc, which changes into the directory.
        raise UsageError(
            f"chdir {path}: {errno_text(error.errno or 0)}",
            hint="--bundle names the directory that has config.json in it",
        ) from None
    try:
        absolute_path = os.readlink(f"/proc/self/fd/{bundle_fd}")
        if config_path is None:
            config_file, config_fd = CONFIG_FILE, _open_config(CONFIG_FILE, bundle_fd)
        elif config_path == "-":
            config_file, config_fd = "standard input", os.dup(0)
        else:
            config_file, config_fd = config_path, _open_config(config_path, None)
        try:
            data = read_all(config_fd, config_file)
        finally:
            os.close(config_fd)
        text = decode(data, config_file)
        config = parse(text, config_file)
        gate = accept_strictly if strict else accept
        warnings = accept_text(gate, config, text, config_file)
    except BaseException:
        os.close(bundle_fd)
        raise
    return Bundle(
        absolute_path,
        config_file,
        text,
        config,  # type: ignore[arg-type]
        warnings,
        bundle_fd,
    )


def accept_text(
    gate: Callable[[object, str], list[Remark]], value: object, text: str, file_name: str
) -> list[Remark]:
    """Return the warnings of a gate, such as accept(), about what `text` of that file says.

    Raises:
        ConfigError: it is refused; `location` and `details` are set.
    """
    try:
        return gate(value, text)
    except ConfigError as error:
        from ocipy.schema.report import describe_faults

        describe_faults(error, text, file_name)
        raise


def read_config(path: str) -> bytes:
    """Return the bytes of a file. Raises UsageError: it cannot be read, or is no config by size."""
    fd = _open_config(path, None)
    try:
        return read_all(fd, path)
    finally:
        os.close(fd)


def _open_config(path: str, directory_fd: int | None) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY, dir_fd=directory_fd)
    except FileNotFoundError:
        raise UsageError(
            CONFIG_MISSING.format(path), hint="'ocipy spec' writes one to start from"
        ) from None
    except OSError as error:
        raise UsageError(f"open {path}: {errno_text(error.errno or 0)}") from None


def read_all(fd: int, file_name: str) -> bytes:
    """Read to the end, of a pipe too; the size of a file says nothing about what can be read."""
    parts, size = [], 0
    try:
        while part := os.read(fd, 64 * 1024):
            parts.append(part)
            size += len(part)
            if size > MAX_CONFIG_BYTES:
                limit = MAX_CONFIG_BYTES // (1024 * 1024)
                raise UsageError(f"{file_name} is larger than {limit} MiB: this is no config")
    except OSError as error:
        raise UsageError(f"read {file_name}: {errno_text(error.errno or 0)}") from None
    return b"".join(parts)


def decode(data: bytes, file_name: str) -> str:
    """Return the text of a JSON file. Raises ConfigError where it is not UTF-8."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        _refuse_encoding(data, error, file_name)
    if text.startswith("\ufeff"):
        fault = ConfigError(
            "",
            f"{file_name} begins with a byte order mark, which JSON must not have",
            hint="save it as UTF-8 without BOM",
        )
        fault.location = f"{file_name}:1:1"
        raise fault
    return text


def _refuse_encoding(data: bytes, error: UnicodeDecodeError, file_name: str) -> NoReturn:
    hint = "save it as UTF-8"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        hint = "it looks like UTF-16: save it as UTF-8"
    elif data[:2] == b"\x1f\x8b":
        hint = "it looks like a gzip file"
    fault = ConfigError(
        "",
        f"{file_name} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}",
        hint=hint,
    )
    from ocipy.json_position import line_and_column

    before = data[: error.start].decode()
    line, column = line_and_column(before, len(before))
    fault.location = f"{file_name}:{line}:{column}"
    raise fault


def parse(text: str, file_name: str) -> object:
    """Return the value of a JSON text. Raises ConfigError, with the place, where it is not JSON."""
    try:
        return loads(text)
    except (JsonError, DuplicateName) as error:
        from ocipy.schema.bad_json import explain_bad_json

        raise explain_bad_json(error, text, file_name) from None
