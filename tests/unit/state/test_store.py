"""Directories, locks and atomic replacement, on a real file system."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ocipy.errors import StateError
from ocipy.json_text import dumps
from ocipy.state import store
from ocipy.state.record import salvage_record
from ocipy.state.store import (
    ContainerBusyError,
    ContainerLock,
    ContainerNotFoundError,
    RecordError,
)
from tests.unit.state.containers import make_container, record_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPOSITORY = os.path.abspath(f"{__file__}/../../../..")


def test_what_is_saved_can_be_loaded(root: str) -> None:
    record = make_container(root, config='{"ociVersion": "1.3.0", "π": "\\u0000"}')
    directory = store.find(root, "c1")
    assert store.load_record(directory) == record
    assert store.load_config(directory) == {"ociVersion": "1.3.0", "π": "\0"}
    assert store.list_ids(root) == ["c1"]


@pytest.mark.parametrize("text", ["C:\\udir", "\\uD83D", '{"a": "\\ud83d\\ude00"}', "\\\\ud800"])
def test_what_looks_like_an_escape_can_be_loaded(root: str, text: str) -> None:
    record = make_container(root)
    record["annotations"] = {text: text}
    with ContainerLock(store.find(root, "c1")) as lock:
        store.save_record(lock, record)
    assert store.load_record(store.find(root, "c1")) == record


def test_nobody_else_can_read_it(root: str) -> None:
    make_container(root)
    assert os.stat(f"{root}/c1").st_mode & 0o077 == 0
    for name in ("state.json", "config.json", "lock"):
        assert os.stat(f"{root}/c1/{name}").st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "bad",
    ["", ".", "..", "a/b", "/a", "../c1", "a b", "a\0b", "ä", "a\n", "a:b", "x" * 256, "١"],
)
def test_ids_that_are_no_names(root: str, bad: str) -> None:
    for call in (store.create, store.find):
        with pytest.raises(StateError, match=r"container id cannot be empty|invalid container ID"):
            call(root, bad)
    assert os.listdir(root) == []


@pytest.mark.parametrize("good", ["a", "A-1_b+c.d", "...", "-", "x" * 255])
def test_ids_that_runc_takes(root: str, good: str) -> None:
    make_container(root, container_id=good)
    assert store.list_ids(root) == [good]


def test_an_id_is_taken_once(root: str) -> None:
    make_container(root)
    with pytest.raises(StateError, match="container with given ID already exists"):
        store.create(root, "c1")
    assert store.load_record(store.find(root, "c1"))["id"] == "c1"


def test_unknown_containers(root: str) -> None:
    with pytest.raises(ContainerNotFoundError, match="container does not exist"):
        store.find(root, "c1")
    with pytest.raises(ContainerNotFoundError):
        store.find(f"{root}/missing", "c1")
    assert store.list_ids(f"{root}/missing") == []


def test_what_is_no_directory_is_no_container(root: str, tmp_path: Path) -> None:
    os.symlink(tmp_path, f"{root}/link")
    with open(f"{root}/file", "wb"):
        pass
    for name in ("link", "file"):
        with pytest.raises(ContainerNotFoundError):
            store.find(root, name)
        with pytest.raises(StateError, match="already exists"):
            store.create(root, name)
    assert store.list_ids(root) == []


@pytest.mark.parametrize("left", [[], ["lock"], ["lock", "start", "state.json.new"]])
def test_create_takes_over_what_a_killed_create_left(root: str, left: list[str]) -> None:
    os.mkdir(f"{root}/c1")
    for name in left:
        with open(f"{root}/c1/{name}", "wb"):
            pass
    with pytest.raises(ContainerNotFoundError):
        store.load_record(store.find(root, "c1"))
    assert store.list_ids(root) == []
    with store.create(root, "c1") as lock:
        assert os.listdir(lock.directory.fd) == ["lock"]


def test_a_container_that_is_being_made_exists(root: str) -> None:
    with store.create(root, "c1"), pytest.raises(StateError, match="already exists"):
        store.create(root, "c1")


def test_of_many_makers_one_wins(root: str) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def make() -> None:
        barrier.wait()
        try:
            lock = store.create(root, "c1")
        except StateError as error:
            outcomes.append(str(error))
            return
        store.save_record(lock, record_of("c1"))
        lock.release()
        outcomes.append("made")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["container with given ID already exists: c1"] * 7 + ["made"]


def test_the_lock_excludes_others(root: str) -> None:
    make_container(root)
    with ContainerLock(store.find(root, "c1")):
        start = time.monotonic()
        with pytest.raises(ContainerBusyError, match=f"c1 is busy.*process {os.getpid()}"):
            ContainerLock(store.find(root, "c1"), wait_seconds=0.05).acquire()
        assert time.monotonic() - start > 0.04
    ContainerLock(store.find(root, "c1"), wait_seconds=0).acquire()


@pytest.mark.parametrize("made_anew", [False, True])
@pytest.mark.parametrize("wait_seconds", [None, 10.0])
def test_who_waited_for_a_deleted_container_learns_it(
    root: str, made_anew: bool, wait_seconds: float | None
) -> None:
    make_container(root)
    holder = ContainerLock(store.find(root, "c1"))
    holder.acquire()
    waiting = store.find(root, "c1")
    outcome: list[str] = []

    def wait() -> None:
        try:
            ContainerLock(waiting, wait_seconds).acquire()
            outcome.append("granted")
        except ContainerNotFoundError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    # Long enough for the waiter to have opened the lock file that is about to go.
    time.sleep(0.1)
    store.remove(holder)
    if made_anew:
        make_container(root)
    holder.release()
    thread.join(10)
    assert outcome == ["container does not exist: c1 was deleted meanwhile"]


def test_descriptors_are_close_on_exec(root: str) -> None:
    with store.create(root, "c1") as lock:
        assert not os.get_inheritable(lock.fd)
        assert not os.get_inheritable(lock.directory.fd)


def test_a_reader_sees_the_old_record_or_the_new_one(root: str) -> None:
    record = make_container(root)
    stop = threading.Event()
    seen = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(len(store.load_record(store.find(root, "c1"))["bundle"]))

    thread = threading.Thread(target=read)
    thread.start()
    with ContainerLock(store.find(root, "c1")) as lock:
        for i in range(300):
            record["bundle"] = "/b" if i % 2 else "/b" + "x" * 100_000
            store.save_record(lock, record)
    stop.set()
    thread.join()
    assert seen <= {2, 100_002}


def test_a_writer_killed_at_any_moment_leaves_a_whole_record(root: str) -> None:
    make_container(root)
    code = (
        f"import sys; sys.path.insert(0, {REPOSITORY!r})\n"
        "from ocipy.state import store\n"
        f"directory = store.find({root!r}, 'c1')\n"
        "record = store.load_record(directory)\n"
        "with store.ContainerLock(directory) as lock:\n"
        "    print(flush=True)\n"
        "    while True:\n"
        "        record['bundle'] = '/' + 'x' * (500_000 - len(record['bundle']))\n"
        "        store.save_record(lock, record)\n"
    )
    for delay in (0.0, 0.003, 0.011, 0.017):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(delay)
            writer.kill()
        # Neither its lock nor its temporary file is in the way.
        with ContainerLock(store.find(root, "c1"), wait_seconds=0) as lock:
            record = store.load_record(lock.directory)
            store.save_record(lock, record)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "a value is missing"),
        (b'{"version": 1, "id"', "cannot read"),
        (b"[]", "it is not an object"),
        (b'{"version": 1}', "'id' is missing or has the wrong type"),
        (b'{"version": true}', "'version' is missing or has the wrong type"),
        (b'{"version": 1, "version": 1}', "stands there twice"),
        (b"\xff\xfe", "cannot read"),
        (b'{"bundle": "\\ud800"}', "escapes that ocipy does not write"),
    ],
)
def test_damaged_records(root: str, text: bytes, problem: str) -> None:
    make_container(root)
    with open(f"{root}/c1/state.json", "wb") as file:
        file.write(text)
    with pytest.raises(RecordError, match=problem) as caught:
        store.load_record(store.find(root, "c1"))
    assert "delete --force c1" in caught.value.hint


@pytest.mark.parametrize(
    ("make", "problem"),
    [(os.mkfifo, "a value is missing"), (os.mkdir, r": is a directory \(EISDIR\)$")],
)
def test_something_else_in_the_place_of_a_record(
    root: str, make: Callable[[str], None], problem: str
) -> None:
    """A fifo is not waited for."""
    make_container(root)
    for name, read in (("state.json", store.load_record), ("config.json", store.load_config)):
        directory = store.find(root, "c1")
        os.unlink(f"{root}/c1/{name}")
        make(f"{root}/c1/{name}")
        with pytest.raises(RecordError, match=problem):
            read(directory)


def test_a_fifo_with_a_writer_in_the_place_of_a_record(root: str) -> None:
    make_container(root)
    path = f"{root}/c1/state.json"
    os.unlink(path)
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    try:
        with pytest.raises(RecordError, match="temporarily unavailable"):
            store.load_record(store.find(root, "c1"))
    finally:
        os.close(writer)


def test_what_has_no_end_in_the_place_of_a_record(root: str) -> None:
    """A device, say /dev/zero; `list` would take all memory."""
    make_container(root)
    for name, read in (("state.json", store.load_record), ("config.json", store.load_config)):
        with open(f"{root}/c1/{name}", "wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(RecordError, match="it is larger than 32 MiB"):
            read(store.find(root, "c1"))


def test_records_of_other_versions(root: str) -> None:
    record = dict(make_container(root))
    path = f"{root}/c1/state.json"

    def write(**changes: object) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(dumps(record | changes))

    write(version=2, ocipyVersion="9.0")
    with pytest.raises(RecordError, match=r"written by a newer ocipy \(9.0\)"):
        store.load_record(store.find(root, "c1"))
    # One that did not know these yet.
    for name in ("annotations", "owner", "ociVersion"):
        del record[name]
    write()
    assert store.load_record(store.find(root, "c1"))["annotations"] == {}


CGROUP = {"driver": "cgroupfs", "paths": {"": "/sys/fs/cgroup/c1"}, "made": ["/sys/fs/cgroup/c1"]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pid", -1),
        ("pid", 1 << 70),
        ("annotations", {"a": 1}),
        ("owner", None),
        ("firstStartStep", "1"),
        ("cgroup", True),
        ("cgroup", {}),
        ("cgroup", CGROUP | {"paths": {"": 1}}),
        ("cgroup", CGROUP | {"paths": {"": "/"}, "made": []}),
        ("cgroup", CGROUP | {"paths": {"": "relative"}, "made": []}),
        ("cgroup", CGROUP | {"paths": {"": "/sys/fs/cgroup/x/../.."}, "made": []}),
        ("cgroup", CGROUP | {"unit": 1}),
        # Directories that are not the container's would be removed.
        ("cgroup", CGROUP | {"made": ["/etc"]}),
        ("cgroup", {"driver": "cgroupfs", "paths": {"": "/sys/fs/cgroup/c1"}}),
        ("resctrl", {"made": "/sys/fs/resctrl/c1"}),
        ("exit", {"waitStatus": "0", "oomKilled": False}),
        ("exit", {"waitStatus": 1 << 80, "oomKilled": False}),
        ("exit", {"waitStatus": -1, "oomKilled": False}),
    ],
)
def test_members_that_ocipy_cannot_have_written(root: str, name: str, value: object) -> None:
    record = dict(make_container(root)) | {"cgroup": CGROUP, "pid": 42, "startTicks": 1}
    with open(f"{root}/c1/state.json", "w", encoding="utf-8") as file:
        file.write(dumps(record | {name: value}))
    with pytest.raises(RecordError, match=f"'{name}' is missing or has the wrong type") as caught:
        store.load_record(store.find(root, "c1"))
    # What is sound of it is what delete --force goes by.
    found: Any = salvage_record(caught.value.value, "c1")
    assert found["cgroup" if name != "cgroup" else "pid"] == (CGROUP if name != "cgroup" else 42)
    assert found.get(name) != value


def test_nothing_to_salvage() -> None:
    values: list[Any] = [None, [], {}, {"pid": 3}, {"pid": "3", "startTicks": 4}, {"cgroup": {}}]
    for value in values:
        assert salvage_record(value, "c1") is None


def test_a_missing_config(root: str) -> None:
    make_container(root)
    os.unlink(f"{root}/c1/config.json")
    with pytest.raises(RecordError, match=r"config\.json"):
        store.load_config(store.find(root, "c1"))


class Killed(BaseException):
    """Stands for SIGKILL at one system call."""


@pytest.mark.parametrize("survived", range(8))
def test_a_remove_can_be_interrupted_anywhere_and_repeated(
    root: str, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_container(root)
    os.mkfifo(f"{root}/c1/start")
    os.mkdir(f"{root}/c1/directory")
    calls = [0]

    def count(real: object) -> object:
        def call(*args: object, **kwargs: object) -> object:
            calls[0] += 1
            if calls[0] > survived:
                raise Killed
            return real(*args, **kwargs)  # type: ignore[operator]

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", count(os.unlink))
        patch.setattr(os, "rmdir", count(os.rmdir))
        try:
            with ContainerLock(store.find(root, "c1")) as lock:
                store.remove(lock)
            assert survived >= 7, "more calls than this test knows of"
        except Killed:
            pass
    # The record goes last: as long as anything else is there, so is it.
    left = os.listdir(f"{root}/c1") if os.path.exists(f"{root}/c1") else []
    assert "state.json" in left or set(left) <= {"lock"}
    try:
        with ContainerLock(store.find(root, "c1"), wait_seconds=0) as lock:
            store.remove(lock)
    except ContainerNotFoundError:
        assert survived >= 7
    assert os.listdir(root) == []


def test_the_default_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert store.root_path("") == "/run/user/1000/ocipy"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(store, "_in_user_namespace", lambda: True)
    assert store.root_path("") == "/run/user/1000/ocipy"
    monkeypatch.setattr(store, "_in_user_namespace", lambda: False)
    assert store.root_path("") == "/run/ocipy"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert store.root_path("") == "/run/ocipy"


def test_the_root_is_made_for_its_owner_and_sticky_in_the_runtime_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.open_root(str(tmp_path / "deep" / "er"))
    assert os.stat(path).st_mode & 0o7777 == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert os.stat(store.open_root("")).st_mode & 0o7777 == 0o1700
    with pytest.raises(StateError, match="cannot make the state root /proc/nosuch"):
        store.open_root("/proc/nosuch")
    with pytest.raises(StateError, match="ENAMETOOLONG"):
        store.open_root("/proc" + "/x" * 3000)


def test_a_relative_root_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store.root_path("r") == f"{tmp_path}/r"
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert store.root_path("/r") == "/r"
    with pytest.raises(StateError, match="working directory was removed"):
        store.root_path("r")
