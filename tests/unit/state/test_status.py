"""Which status a container is in, and what that allows."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from ocipy.errors import StateError
from ocipy.state import status, store
from ocipy.state.status import (
    CREATED,
    CREATING,
    PAUSED,
    RUNNING,
    STOPPED,
    current_status,
    require_allowed,
)
from ocipy.state.store import ContainerLock
from tests.unit.state.containers import make_container

if TYPE_CHECKING:
    from ocipy.state.record import StateRecord


def status_now(root: str, record: StateRecord) -> str:
    return current_status(store.find(root, "c1"), record)


def test_a_live_process_is_running(root: str, process: subprocess.Popen[bytes]) -> None:
    assert status_now(root, make_container(root, process)) == RUNNING


def test_while_the_start_fifo_is_there_it_is_created(
    root: str, waiting_init: subprocess.Popen[bytes]
) -> None:
    record = make_container(root, waiting_init)
    os.mkfifo(f"{root}/c1/start")
    assert status_now(root, record) == CREATED
    # The record may be behind: start writes it after it has let init go.
    record["status"] = "running"
    assert status_now(root, record) == CREATED
    os.unlink(f"{root}/c1/start")
    record["status"] = "created"
    assert status_now(root, record) == RUNNING


def test_a_fifo_that_a_killed_start_left_says_nothing(
    root: str, process: subprocess.Popen[bytes]
) -> None:
    record = make_container(root, process)
    os.mkfifo(f"{root}/c1/start")
    assert status_now(root, record) == RUNNING


def test_a_dead_process_is_stopped_whatever_was_written(
    root: str, process: subprocess.Popen[bytes]
) -> None:
    record = make_container(root, process)
    os.mkfifo(f"{root}/c1/start")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert status_now(root, record) == STOPPED, "a zombie"
    process.wait()
    assert status_now(root, record) == STOPPED


def test_a_stranger_with_the_same_pid_is_not_the_container(
    root: str, process: subprocess.Popen[bytes]
) -> None:
    record = make_container(root, process)
    record["startTicks"] -= 1
    assert status_now(root, record) == STOPPED


def test_creating_until_the_record_says_otherwise(
    root: str, process: subprocess.Popen[bytes]
) -> None:
    record = make_container(root, process)
    record["status"] = "creating"
    os.mkfifo(f"{root}/c1/start")
    assert status_now(root, record) == CREATING


def test_creating_without_a_process_is_true_while_somebody_creates(root: str) -> None:
    record = make_container(root)
    with ContainerLock(store.find(root, "c1")):
        assert status_now(root, record) == CREATING
        directory = store.find(root, "c1")
        # To who holds the lock it is clear that nobody else is creating.
        assert current_status(directory, record, lock_held=True) == STOPPED
    assert status_now(root, record) == STOPPED, "create was killed before it cloned init"
    # Having looked left no lock behind.
    ContainerLock(store.find(root, "c1"), wait_seconds=0).acquire()


def test_nobody_has_locked_what_is_no_file(root: str) -> None:
    record = make_container(root)
    os.unlink(f"{root}/c1/lock")
    os.mkdir(f"{root}/c1/lock")
    assert record["status"] == "creating"
    assert status_now(root, record) == STOPPED


def test_frozen_is_paused(
    root: str, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_container(root, process)
    monkeypatch.setattr(status, "_is_frozen", lambda record: True)
    assert status_now(root, record) == PAUSED


ALL = {CREATING, CREATED, RUNNING, PAUSED, STOPPED}


@pytest.mark.parametrize(
    ("verb", "allowed"),
    [
        ("start", {CREATED}),
        ("kill", {CREATING, CREATED, RUNNING, PAUSED}),
        ("delete", {CREATED, STOPPED}),
        ("exec", {CREATED, RUNNING}),
        ("pause", {CREATED, RUNNING}),
        ("resume", {PAUSED}),
        ("update", {CREATED, RUNNING, PAUSED}),
        ("events", {CREATING, CREATED, RUNNING, PAUSED}),
        ("state", ALL),
    ],
)
def test_what_each_status_allows(verb: str, allowed: set[str]) -> None:
    for name in ALL:
        if name in allowed:
            require_allowed(verb, name, "c1")
        else:
            with pytest.raises(StateError):
                require_allowed(verb, name, "c1")


@pytest.mark.parametrize(
    ("verb", "name", "text"),
    [
        ("start", RUNNING, "cannot start an already running container"),
        ("start", STOPPED, "cannot start a container that has stopped"),
        ("start", PAUSED, "cannot start a container in the paused state"),
        # containerd: "container not running" means that the process has ended.
        ("kill", STOPPED, "container not running"),
        ("delete", RUNNING, "cannot delete container c1 that is not stopped: running"),
        ("delete", PAUSED, "cannot delete container c1 that is not stopped: paused"),
        ("exec", STOPPED, "cannot exec in a stopped container"),
        ("pause", PAUSED, "container not running"),
        ("resume", RUNNING, "container not paused"),
        ("events", STOPPED, "container with id c1 is not running"),
    ],
)
def test_the_texts_are_those_of_runc(verb: str, name: str, text: str) -> None:
    with pytest.raises(StateError) as caught:
        require_allowed(verb, name, "c1")
    assert str(caught.value) == text
