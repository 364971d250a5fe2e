"""A state.json of any bytes under every command: one_input() is the harness.

What a command may do is succeed, or raise an OcipyError. `list` succeeds always, and after
`delete --force` the container is gone, or an error has said what is in the way.

    python -m tests.fuzz.state_target FILE...      replays files, in a sandbox, as root
    python -m tests.fuzz.state_target --damage N   replays every Nth of damaged()

What a damaged record names is signalled, and its directories are removed. So all of this happens
in pid and mount namespaces of its own, where only the state root is writable: enter_sandbox().
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any

from ocipy import log
from ocipy.arguments import parse_command
from ocipy.errors import OcipyError
from ocipy.state.process import start_ticks
from ocipy.state.record import new_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = "/mnt"
ID = "c1"
COMMANDS = [
    ["state", ID],
    ["list"],
    ["list", "--format", "json"],
    ["ps", ID],
    ["events", "--stats", ID],
    ["pause", ID],
    ["resume", ID],
    ["update", "--pids-limit", "5", ID],
    ["exec", ID, "/bin/true"],
    ["start", ID],
    ["kill", ID, "TERM"],
    ["kill", "--all", ID, "KILL"],
    ["delete", ID],
]
CONFIG = {
    "ociVersion": "1.3.0",
    "root": {"path": "rootfs"},
    "process": {"cwd": "/", "args": ["/bin/true"], "user": {"uid": 0, "gid": 0}},
    "linux": {"namespaces": [{"type": "pid"}]},
}
# What stands for a process that lives, in what is tried: pid and start ticks. As numbers they would
# be those of nobody.
PID, TICKS = 1999999999, 1888888888

WRITABLE_KINDS = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue"}


def enter_sandbox() -> None:
    """Go on in new pid and mount namespaces, the file systems read-only, a tmpfs as state root.

    The arguments of the program that exist as directories stay writable: corpora.
    """
    if os.environ.get("OCIPY_FUZZ_SANDBOX") != "yes":
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.environ["OCIPY_FUZZ_SANDBOX"] = "yes"
        os.execvp(unshare[0], [*unshare, sys.executable, *sys.orig_argv[1:]])
    for kept in filter(os.path.isdir, sys.argv[1:]):
        _mount("--bind", kept, kept)
    kept_paths = {os.path.realpath(kept) for kept in filter(os.path.isdir, sys.argv[1:])}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            path, kind = line.split()[4], line.split(" - ")[1].split()[0]
            if kind not in WRITABLE_KINDS and path not in kept_paths:
                subprocess.run(["mount", "-o", "remount,bind,ro", path], stderr=subprocess.DEVNULL)
    # No cgroup of the host's can be reached.
    _mount("-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
    _mount("-t", "tmpfs", "tmpfs", ROOT)
    log._log.fd = os.open("/dev/null", os.O_WRONLY)


def _mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


class Alive:
    """A process that a record may mean. It is started again when a command has ended it."""

    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def numbers(cls) -> tuple[int, int]:
        if cls.process is None or cls.process.poll() is not None:
            cls.process = subprocess.Popen(["/bin/sleep", "1000000"])
        ticks = start_ticks(cls.process.pid)
        assert ticks is not None
        return cls.process.pid, ticks


def one_input(data: bytes) -> None:
    """Try every command on a container with this state.json."""
    for command in COMMANDS:
        place(data)
        run(command)
    place(data)
    error = run(["delete", "--force", ID])
    if error is None:
        assert not os.path.exists(f"{ROOT}/{ID}"), "delete --force has succeeded, and it is there"


def place(data: bytes) -> None:
    """Make the container's directory as create leaves it, but for the record."""
    pid, ticks = Alive.numbers()
    data = data.replace(str(PID).encode(), str(pid).encode())
    data = data.replace(str(TICKS).encode(), str(ticks).encode())
    directory = f"{ROOT}/{ID}"
    os.makedirs(directory, exist_ok=True)
    for name, content in (("config.json", json.dumps(CONFIG).encode()), ("state.json", data)):
        with open(f"{directory}/{name}", "wb") as file:
            file.write(content)


def run(words: list[str]) -> OcipyError | None:
    """Run a command as cli.py does; return what it has raised on purpose. All else is a finding."""
    request = parse_command({"root": ROOT}, words)
    module = __import__(f"ocipy.commands.{words[0]}", fromlist=["run"])
    try:
        module.run(request)
    except OcipyError as error:
        refused = error
    else:
        return None
    finally:
        log._log.warnings.clear()
    assert str(refused), words
    assert words[0] != "list", refused
    return refused


# -- what is tried without a fuzzer


def sound_records() -> list[dict[str, Any]]:
    """Return records of a container that is no more, and of one that runs in a cgroup."""
    record: Any = new_record(
        ID,
        bundle="/bundle",
        rootfs="/bundle/rootfs",
        oci_version="1.3.0",
        annotations={"org.example": "x"},
    )
    record |= {"status": "running", "created": "2026-01-01T00:00:00.000000000Z"}
    paths = {"freezer": f"/sys/fs/cgroup/freezer/{ID}", "": f"/sys/fs/cgroup/unified/{ID}"}
    cgroup = {"driver": "cgroupfs", "paths": paths, "made": list(paths.values())}
    groups = {"made": [f"/sys/fs/resctrl/{ID}"]}
    alive = record | {"pid": PID, "startTicks": TICKS, "cgroup": cgroup, "resctrl": groups}
    alive |= {"poststopDone": False, "noNewKeyring": True, "firstStartStep": 40}
    return [record, alive, alive | {"status": "created"}, alive | {"status": "creating"}]


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.5, 1 << 31, 1 << 70, -(1 << 70), "", "x", "\ud800", "\0"),
    *("/", "..", "/..", [], {}, [1], ["x"], {"x": 1}, {"": "/"}, {"freezer": 1}, {"a": ["b"]}),
]


def damaged() -> Iterator[bytes]:
    """Yield records with each kind of damage, some 28,000."""
    for record in sound_records():
        text = json.dumps(record)
        yield text.encode()
        for path in paths_of(record):
            for value in VALUES:
                yield json.dumps(changed_record(record, path, value)).encode()
            yield json.dumps(changed_record(record, path, None, drop=True)).encode()
        yield json.dumps(record | {"unknown": {"x": 1}}).encode()
        for version in (0, 2, 3, -1, 1 << 40):
            yield json.dumps(record | {"version": version}).encode()
        data = text.encode()
        for at in range(len(data)):
            yield data[:at]
        for bit in range(len(data) * 8):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            yield bytes(flipped)
        yield data + data
        yield b"\xef\xbb\xbf" + data
        yield text.encode("utf-16")
        yield text.replace("running", "\x80").encode("latin-1")
        yield json.dumps(record | {"owner": "x" * (4 << 20)}).encode()
        yield json.dumps(record | {"annotations": {str(i): "x" for i in range(20000)}}).encode()
    yield b""
    yield b"\0" * 4096
    yield b"[" * 100000
    yield b'{"a":' * 100000
    yield b'{"pid": ' + b"9" * 5000 + b"}"


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        pairs = enumerate(value)
    for key, inner in pairs:
        yield from paths_of(inner, (*path, key))


def changed_record(record: Any, path: Sequence[Any], value: Any, *, drop: bool = False) -> Any:
    record = json.loads(json.dumps(record))
    here = record
    for key in path[:-1]:
        here = here[key]
    if drop:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return record


def main() -> None:
    enter_sandbox()
    # What state and list print.
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    if sys.argv[1:2] == ["--damage"]:
        inputs = list(itertools.islice(damaged(), 0, None, int(sys.argv[2])))
    else:
        inputs = []
        for name in sys.argv[1:]:
            with open(name, "rb") as file:
                inputs.append(file.read())
    failed = 0
    for data in inputs:
        try:
            one_input(data)
        except Exception:  # noqa: BLE001 - each of them is a finding, and reported
            failed += 1
            sys.stderr.write(f"{data[:2000]!r}\n{traceback.format_exc()}\n")
            if failed > 20:
                break
    sys.stderr.write(f"{len(inputs)} tried, {failed} failed\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
