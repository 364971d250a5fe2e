"""state, kill, delete, list and ps on real processes, without a cgroup."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
import types
from typing import TYPE_CHECKING

import pytest

from ocipy import cli
from ocipy.commands import delete, kill
from ocipy.errors import HookError
from ocipy.state import destroy, store
from ocipy.state import process as process_module
from ocipy.state.store import ContainerLock
from tests.unit.state.containers import make_container, record_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

REPOSITORY = os.path.abspath(f"{__file__}/../../../..")
POSTSTOP = '{"hooks": {"poststop": [{"path": "/bin/true"}]}}'


@pytest.fixture
def call(root: str, capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs a command line: exit status, output, errors."""

    def run(*args: str) -> tuple[int, str, str]:
        capfd.readouterr()
        status = cli.run_command_line(["--root", root, *args])
        out, err = capfd.readouterr()
        return status, out, err

    return run


def test_state_has_the_keys_and_layout_of_runc(
    root: str, call: Call, process: subprocess.Popen[bytes]
) -> None:
    record = make_container(root, process)
    status, out, _ = call("state", "c1")
    assert status == 0
    assert out == (
        '{\n  "ociVersion": "1.3.0",\n  "id": "c1",\n'
        f'  "pid": {process.pid},\n  "status": "running",\n'
        '  "bundle": "/b",\n  "rootfs": "/b/rootfs",\n'
        f'  "created": "{record["created"]}",\n  "owner": ""\n}}'
    )
    process.kill()
    process.wait()
    state = json.loads(call("state", "c1")[1])
    assert (state["pid"], state["status"]) == (0, "stopped")


def test_state_shows_annotations(root: str, call: Call) -> None:
    record = record_of("c1")
    record["annotations"] = {"org.example": "ü"}
    with store.create(root, "c1") as lock:
        store.save_record(lock, record)
    assert json.loads(call("state", "c1")[1])["annotations"] == {"org.example": "ü"}


@pytest.mark.parametrize("name", ["USR1", "sigusr1", "SIGUSR1", "10", None, "RTMIN+1"])
def test_kill_sends_the_signal(root: str, call: Call, name: str | None) -> None:
    number = {None: signal.SIGTERM, "RTMIN+1": signal.SIGRTMIN + 1}.get(name, signal.SIGUSR1)
    with subprocess.Popen(["sleep", "1000"]) as child:
        make_container(root, child)
        assert call("kill", "c1", *([name] if name else [])) == (0, "", "")
        assert child.wait(10) == -number


def test_kill_refuses(root: str, call: Call, process: subprocess.Popen[bytes]) -> None:
    make_container(root, process)
    for args, text in (
        (["FOO"], 'unknown signal \\"FOO\\"'),
        (["SIG_IGN"], "unknown signal"),
        (["RTMIN+99"], "unknown signal"),
        (["999"], "unable to signal init: invalid argument"),
        (["9x"], "unknown signal"),
    ):
        status, _, err = call("kill", "c1", *args)
        assert (status, text in err) == (1, True), err
    assert process.poll() is None
    process.kill()
    process.wait()
    status, _, err = call("kill", "c1", "9")
    assert status == 1
    assert 'msg="container not running"' in err
    assert call("kill", "--all", "c1", "9") == (0, "", "")


def test_kill_does_not_wait_for_the_lock(
    root: str, call: Call, process: subprocess.Popen[bytes]
) -> None:
    make_container(root, process)
    with ContainerLock(store.find(root, "c1")):
        assert call("kill", "c1", "KILL")[0] == 0
    assert process.wait(10) == -9


def test_kill_spares_a_stranger_with_the_same_pid(
    root: str, call: Call, process: subprocess.Popen[bytes]
) -> None:
    record = make_container(root, process)
    record["startTicks"] -= 1
    with ContainerLock(store.find(root, "c1")) as lock:
        store.save_record(lock, record)
    assert call("kill", "c1", "9")[0] == 1
    assert call("delete", "--force", "c1")[0] == 0
    assert process.poll() is None


@pytest.mark.parametrize(
    ("config", "own"),
    [
        ('{"linux": {"namespaces": [{"type": "pid"}]}}', True),
        ('{"linux": {"namespaces": [{"type": "pid", "path": "/proc/1/ns/pid"}]}}', False),
        ('{"linux": {"namespaces": [{"type": "mount"}]}}', False),
        ("{}", False),
        ("damaged", False),
    ],
)
def test_owning_the_pid_namespace(root: str, config: str, own: bool) -> None:
    make_container(root, config=config)
    assert kill.owns_pid_namespace(store.find(root, "c1")) is own


def test_delete_needs_force_while_it_runs(
    root: str, call: Call, process: subprocess.Popen[bytes]
) -> None:
    make_container(root, process)
    status, _, err = call("delete", "c1")
    assert status == 1
    assert "cannot delete container c1 that is not stopped: running; --force" in err
    assert process.poll() is None
    assert call("delete", "--force", "c1") == (0, "", "")
    assert process.poll() == -9
    assert os.listdir(root) == []


def test_delete_takes_a_created_container(
    root: str, call: Call, waiting_init: subprocess.Popen[bytes]
) -> None:
    make_container(root, waiting_init)
    os.mkfifo(f"{root}/c1/start")
    record = record_of("c1", waiting_init)
    record["status"] = "created"
    with ContainerLock(store.find(root, "c1")) as lock:
        store.save_record(lock, record)
    assert call("delete", "c1") == (0, "", "")
    assert waiting_init.wait(10) == -9


def test_delete_of_what_is_not_there(root: str, call: Call) -> None:
    status, _, err = call("delete", "c1")
    assert status == 1
    assert "container does not exist: c1" in err
    assert call("delete", "--force", "c1") == (0, "", "")


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("left", [[], ["lock"], ["lock", "state.json.new", "start"]])
def test_delete_clears_what_a_killed_create_left(
    root: str, call: Call, left: list[str], force: list[str]
) -> None:
    os.mkdir(f"{root}/c1")
    for name in left:
        with open(f"{root}/c1/{name}", "wb"):
            pass
    status, _, err = call("delete", *force, "c1")
    assert status == (0 if force else 1)
    assert ("does not exist" in err) == (force == [])
    assert os.listdir(root) == []


def test_a_damaged_record_can_only_be_deleted_by_force(
    root: str, call: Call, process: subprocess.Popen[bytes]
) -> None:
    make_container(root, process)
    with open(f"{root}/c1/state.json", "r+b") as file:
        file.truncate(20)
    for args in (["state", "c1"], ["kill", "c1"], ["delete", "c1"]):
        status, _, err = call(*args)
        assert status == 1
        assert "state.json" in err
        assert "delete --force c1" in err
    status, out, err = call("list")
    assert status == 0
    assert "c1" not in out
    assert "state.json" in err
    status, _, err = call("delete", "--force", "c1")
    assert status == 0
    assert "level=warning" in err
    assert os.listdir(root) == []


def test_force_deletes_what_a_newer_ocipy_made(
    root: str, call: Call, process: subprocess.Popen[bytes]
) -> None:
    record = make_container(root, process)
    record["version"] = 2
    with ContainerLock(store.find(root, "c1")) as lock:
        store.save_record(lock, record)
    assert call("delete", "c1")[0] == 1
    assert process.poll() is None
    assert call("delete", "--force", "c1")[0] == 0
    assert process.wait(10) == -9


def test_force_does_not_wait_for_a_create_that_hangs(
    root: str, call: Call, process: subprocess.Popen[bytes]
) -> None:
    """It kills the process; the create that was waiting for it takes back what it has made."""
    make_container(root, process)
    held = ContainerLock(store.find(root, "c1"))
    held.acquire()

    def hanging_create() -> None:
        process.wait()
        store.remove(held)
        held.release()

    thread = threading.Thread(target=hanging_create)
    thread.start()
    start = time.monotonic()
    assert call("delete", "--force", "c1") == (0, "", "")
    thread.join(10)
    assert time.monotonic() - start < 10
    assert os.listdir(root) == []


@pytest.mark.parametrize(("on_sigterm", "number"), [("SIG_DFL", -15), ("SIG_IGN", -9)])
def test_force_kills_a_create_that_does_not_even_notice(
    root: str,
    call: Call,
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    on_sigterm: str,
    number: int,
) -> None:
    """It waits for a hook without a timeout, say. Asked to end, it ends the hook first."""
    monkeypatch.setattr(delete, "_NOTICE_SECONDS", 0.05)
    if number == -9:
        monkeypatch.setattr(delete, "_OBEY_SECONDS", 0.05)
    record = make_container(root, process)
    code = (
        f"import sys; sys.path.insert(0, {REPOSITORY!r}); import signal, time\n"
        "from ocipy.state import store\n"
        f"signal.signal(signal.SIGTERM, signal.{on_sigterm})\n"
        f"lock = store.ContainerLock(store.find({root!r}, 'c1')); lock.acquire()\n"
        "print(flush=True); time.sleep(1000)\n"
    )
    record["status"] = "creating"
    with ContainerLock(store.find(root, "c1")) as lock:
        store.save_record(lock, record)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as creator:
        assert creator.stdout is not None
        creator.stdout.readline()
        assert json.loads(call("state", "c1")[1])["status"] == "creating"
        assert call("delete", "--force", "c1") == (0, "", "")
        assert creator.wait(10) == number
    assert process.wait(10) == -9
    assert os.listdir(root) == []


def test_force_spares_other_commands_and_names_them(
    root: str, call: Call, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delete that runs poststop hooks, say: they would run twice."""
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.05)
    make_container(root, process)
    with ContainerLock(store.find(root, "c1")):
        for force in ([], ["--force"]):
            status, _, err = call("delete", *force, "c1")
            assert status == 1
            assert f"busy: another ocipy command, process {os.getpid()}" in err


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOMEM, errno.EIO, errno.EACCES])
def test_a_record_that_cannot_be_read_now_is_not_taken_for_damaged(
    root: str, call: Call, process: subprocess.Popen[bytes], code: int
) -> None:
    """`delete --force` would forget a container that lives on."""
    make_container(root, process)
    read = store._read

    def refuse(directory: store.ContainerDir, name: str) -> str:
        if name == store.RECORD:
            raise OSError(code, os.strerror(code))
        return read(directory, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_read", refuse)
        status, _, err = call("delete", "--force", "c1")
        assert status == 1
        assert f"cannot read {root}/c1/state.json: " in err
        assert errno.errorcode[code] in err
        status, out, err = call("list")
        assert (status, "c1" in out, "cannot read" in err) == (0, False, True)
    assert process.poll() is None
    assert call("delete", "--force", "c1") == (0, "", "")


def test_delete_says_so_if_the_process_does_not_end(
    root: str, call: Call, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destroy, "_WAIT_SECONDS", 0.01)
    # A process in the kernel's D state cannot be had; one that gets no signal is as stubborn.
    monkeypatch.setattr(destroy, "SIGKILL", 0)
    make_container(root, process)
    status, _, err = call("delete", "--force", "c1")
    assert status == 1
    assert f"container init still running: process {process.pid}" in err
    assert os.path.exists(f"{root}/c1/state.json"), "it can be tried again"


@pytest.fixture
def hook_runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The states that hooks were run with; each run fails."""
    runs: list[dict[str, object]] = []

    def run_all_hooks(config: object, kind: str, state: dict[str, object]) -> list[HookError]:
        assert kind == "poststop"
        runs.append(state)
        return [HookError("poststop hook 0 failed: exit status 1")]

    module = types.ModuleType("ocipy.spawn.hooks")
    module.run_all_hooks = run_all_hooks  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ocipy.spawn.hooks", module)
    return runs


def test_a_failing_poststop_hook_is_a_warning(
    root: str, call: Call, hook_runs: list[dict[str, object]]
) -> None:
    make_container(root, config=POSTSTOP)
    status, _, err = call("delete", "c1")
    assert status == 0
    assert 'level=warning msg="poststop hook 0 failed: exit status 1"' in err
    assert hook_runs == [{"ociVersion": "1.3.0", "id": "c1", "status": "stopped", "bundle": "/b"}]
    assert os.listdir(root) == []


def test_hooks_run_once_even_if_delete_was_interrupted_after_them(
    root: str,
    call: Call,
    hook_runs: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_container(root, config=POSTSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(store, "remove", lambda lock: 1 / 0)
        assert call("delete", "c1")[0] == 1
    assert call("delete", "c1")[0] == 0
    assert len(hook_runs) == 1


def test_list(root: str, call: Call, process: subprocess.Popen[bytes]) -> None:
    heading = "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
    assert call("list") == (0, heading, "")
    assert call("list", "-f", "json") == (0, "null\n", "")
    record = make_container(root, process)
    make_container(root, container_id="a-container-with-a-long-name")
    os.mkdir(f"{root}/left-behind")
    assert call("list", "-q")[1] == "a-container-with-a-long-name\nc1\n"
    lines = call("list")[1].splitlines()
    assert lines[2].split() == ["c1", str(process.pid), "running", "/b", record["created"], "root"]
    assert lines[0].index("PID") == len("a-container-with-a-long-name") + 3
    assert [len(line.rstrip()) == len(line) for line in lines] == [True] * 3
    second = json.loads(call("list", "--format=json")[1])[1]
    assert (second["id"], second["status"], second["owner"]) == ("c1", "running", "root")
    assert call("list", "--format", "xml")[0] == 1


def test_ps(root: str, call: Call, process: subprocess.Popen[bytes]) -> None:
    make_container(root, process)
    assert call("ps", "-f", "json", "c1") == (0, f"[{process.pid}]\n", "")
    assert call("ps", "--format", "xml", "c1")[0] == 1
    process.kill()
    process.wait()
    assert call("ps", "--format", "json", "c1") == (0, "[]\n", "")


def test_ps_table(
    root: str,
    call: Call,
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    make_container(root, process)
    monkeypatch.setenv("PATH", "/nonexistent")
    status, out, _ = call("ps", "c1")
    assert status == 0
    assert out.splitlines()[0].split() == ["UID", "PID", "COMMAND"]
    assert out.splitlines()[1].split() == ["0", str(process.pid), "sleep", "1000"]
    assert call("ps", "c1", "-ef")[0] == 1

    # Any ps will do: its table is what it prints.
    with open(f"{tmp_path}/ps", "w", encoding="utf-8") as file:
        file.write(
            f'#!/bin/sh\necho "USER PID ARGS"\necho root {process.pid} "$*"\necho root 1 no\n'
        )
    os.chmod(f"{tmp_path}/ps", 0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    assert call("ps", "c1")[1] == f"USER PID ARGS\nroot {process.pid} -ef\n"
    assert call("ps", "c1", "-o", "pid")[1] == f"USER PID ARGS\nroot {process.pid} -o pid\n"


def test_pause_needs_a_cgroup(root: str, call: Call, process: subprocess.Popen[bytes]) -> None:
    make_container(root, process)
    status, _, err = call("pause", "c1")
    assert status == 1
    assert "no cgroup" in err
    status, _, err = call("resume", "c1")
    assert 'msg="container not paused"' in err


class Killed(BaseException):
    """Stands for SIGKILL of ocipy at one of its system calls."""


@pytest.mark.parametrize("survived", range(9))
def test_delete_can_be_killed_anywhere_and_repeated(
    root: str,
    call: Call,
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    survived: int,
) -> None:
    make_container(root, process, config=POSTSTOP)
    module = types.ModuleType("ocipy.spawn.hooks")
    module.run_all_hooks = lambda config, kind, state: []  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ocipy.spawn.hooks", module)
    calls = [0]

    def until_killed(real: Callable[..., object]) -> Callable[..., object]:
        def counting(*args: object, **kwargs: object) -> object:
            calls[0] += 1
            if calls[0] > survived:
                raise Killed
            return real(*args, **kwargs)

        return counting

    with monkeypatch.context() as patch:
        for name in ("pidfd_open", "rename", "unlink", "rmdir", "listdir"):
            patch.setattr(os, name, until_killed(getattr(os, name)))
        patch.setattr(destroy, "open_process", until_killed(process_module.open_process))
        try:
            assert call("delete", "--force", "c1")[0] == 0
            assert survived == 8, "fewer effects than this test knows of"
        except Killed:
            assert survived < 8, "more effects than this test knows of"

    status, out, err = call("state", "c1")
    if status == 0:
        described = json.loads(out)["status"]
        assert described == ("running" if process.poll() is None else "stopped")
    else:
        assert "does not exist" in err
        assert process.poll() is not None
    assert call("delete", "--force", "c1") == (0, "", "")
    assert process.wait(10) == -9
    assert os.listdir(root) == []


def cgroup_of_files(directory: Path, pid: int) -> Path:
    """Return a tree of files that looks like a cgroup; what is in it is signalled for real."""
    cgroup = directory / "cgroup"
    cgroup.mkdir()
    (cgroup / "cgroup.procs").write_text(f"{pid}\n")
    return cgroup


def test_strangers_in_a_cgroup_that_was_there_before_survive_a_create_that_never_cloned(
    root: str, call: Call, process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """A second container with the cgroupsPath of a running one: create fails, the first lives."""
    cgroup = cgroup_of_files(tmp_path, process.pid)
    record = record_of("c1")
    record["cgroup"] = {"driver": "cgroupfs", "paths": {"": str(cgroup)}, "made": []}
    with store.create(root, "c1") as lock:
        store.save_record(lock, record)
        destroy.kill_processes(record)
    time.sleep(0.05)
    assert process.poll() is None
    assert call("delete", "--force", "c1")[0] == 0
    assert process.poll() is None


def test_what_is_left_in_a_cgroup_that_create_made_is_killed(
    root: str, process: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only when the kernel says that the cgroup is not empty: mostly it is."""
    cgroup = cgroup_of_files(tmp_path, process.pid)
    record = record_of("c1")
    record["cgroup"] = {"driver": "cgroupfs", "paths": {"": str(cgroup)}, "made": [str(cgroup)]}
    really_remove = os.rmdir

    def rmdir(path: str, **where: int) -> None:
        if path == str(cgroup):
            if process.poll() is None:
                raise OSError(errno.EBUSY, "there are processes in it")
            (cgroup / "cgroup.procs").unlink()
        really_remove(path, **where)

    monkeypatch.setattr(os, "rmdir", rmdir)
    with store.create(root, "c1") as lock:
        store.save_record(lock, record)
        destroy.destroy(lock, record)
    assert process.wait(10) == -9
    assert not cgroup.exists()
    assert os.listdir(root) == []
