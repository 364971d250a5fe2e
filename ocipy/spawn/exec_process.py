"""The process of `exec`: from --process FILE, or the container's own with options over it."""

from __future__ import annotations

from ocipy import log
from ocipy.errors import UsageError, errno_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocipy.config._generated_types import Capabilities, Config, Process
    from ocipy.request import Request


def process_of(request: Request, config: Config, pid: int) -> tuple[Process, str, str]:
    """Return the accepted process, and the text and name of the file that it came from.

    `pid` is the container's init, in whose root user names are looked up. The text is "" where the
    command line made the process.

    Raises:
        UsageError: a file that cannot be read, or an option that cannot be understood.
        ConfigError: the process breaks a rule.
    """
    from ocipy.config.process import accept_process

    path = request.text("process")
    if path:
        from ocipy.bundle import accept_text, decode, parse

        text = decode(_read(path), path)
        process: Process = parse(text, path)  # type: ignore[assignment]
        for pointer, sentence in accept_text(accept_process, process, text, path):
            log.warning(f"{sentence} ({pointer})")
        return process, text, path
    if len(request.args) < 2:
        raise UsageError(
            "exec requires a command", hint="'ocipy exec ID COMMAND...', or --process FILE"
        )
    process = _from_command_line(request, config, pid)
    accept_process(process, "")
    return process, "", "the command line"


def _read(path: str) -> bytes:
    from ocipy.bundle import read_all

    try:
        with open(path, "rb", buffering=0) as file:
            return read_all(file.fileno(), path)
    except OSError as error:
        raise UsageError(f"open {path}: {errno_text(error.errno or 0)}") from None


def _from_command_line(request: Request, config: Config, pid: int) -> Process:
    process: Process = {**config.get("process", {"cwd": "/"})}  # type: ignore[typeddict-item]
    process["args"] = request.args[1:]
    process["terminal"] = request.flag("tty")
    if request.text("cwd"):
        process["cwd"] = request.text("cwd")
    for option, field in (("apparmor", "apparmorProfile"), ("process-label", "selinuxLabel")):
        if request.text(option):
            process[field] = request.text(option)  # type: ignore[literal-required]
    if request.flag("no-new-privs"):
        process["noNewPrivileges"] = True
    if request.texts("env"):
        process["env"] = [*process.get("env", []), *request.texts("env")]
    if request.texts("cap"):
        process["capabilities"] = _with_capabilities(request, process)
    if request.text("user") or request.texts("additional-gids"):
        from ocipy.spawn.users import user_of

        process["user"] = user_of(request, process, pid)
    return process


def _with_capabilities(request: Request, process: Process) -> Capabilities:
    """Return the sets with those of --cap added; never to the inheritable one (CVE-2022-29162)."""
    sets: dict[str, list[str]] = {**process.get("capabilities", {})}  # type: ignore[dict-item]
    for name in request.texts("cap"):
        full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
        for kind in ("bounding", "effective", "permitted"):
            if full not in sets.get(kind, []):
                sets[kind] = [*sets.get(kind, []), full]
        # capabilities(7): ambient needs inheritable, so it only grows where that has it already.
        if full in sets.get("inheritable", []) and full not in sets.get("ambient", []):
            sets["ambient"] = [*sets.get("ambient", []), full]
    return sets  # type: ignore[return-value]
