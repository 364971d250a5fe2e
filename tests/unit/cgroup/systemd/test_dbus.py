"""The conversation with systemd, with a peer that can be told to misbehave.

What a real systemd says is in tests/integration/test_systemd_cgroup.py. Here are the faults that it
cannot be brought to: an answer that never comes, a signal that is lost, a connection that breaks.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import pytest
from jeepney import (
    DBusAddress,
    HeaderFields,
    Parser,
    new_error,
    new_method_return,
    new_signal,
)

from ocipy.cgroup.systemd import dbus as dbus_module
from ocipy.cgroup.systemd.bus import (
    open_system_bus,
    open_user_bus,
    system_addresses,
    user_addresses,
    uses_user_systemd,
)
from ocipy.cgroup.systemd.dbus import Systemd, SystemdError
from tests.unit.host_facts import host_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JOB = "/org/freedesktop/systemd1/job/7"
SYSTEMD = "org.freedesktop.systemd1."
ERROR = "org.freedesktop.DBus.Error."


class Peer(threading.Thread):
    """Answers one connection after the other with what `answers` has for a method.

    An answer is a tuple for the body with its signature, an error's name, or None for silence.
    """

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.answers: dict[str, Any] = {
            "Hello": ("s", (":1.1",)),
            "AddMatch": ("", ()),
            "Subscribe": ("", ()),
            "StartTransientUnit": ("o", (JOB,)),
            "StopUnit": ("o", (JOB,)),
            "SetUnitProperties": ("", ()),
            "ResetFailedUnit": ("", ()),
        }
        self.result: str | None = "done"
        self.authentication = b"OK 0123456789abcdef\r\n"
        self.calls: list[tuple[str, Any]] = []
        # As sd-bus: the first message is not looked at before the second has come.
        self.sleeps_on_first = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join(60)

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._serve(connection)
                except ConnectionError:
                    pass

    def _serve(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb", buffering=0)
        assert lines.readline() == b"\0AUTH EXTERNAL\r\n"
        connection.sendall(b"DATA\r\n")
        assert lines.readline() == b"DATA\r\n"
        connection.sendall(self.authentication)
        if lines.readline() != b"BEGIN\r\n":
            return
        parser, serial = Parser(), 0
        slept_on: list[Any] = []
        while True:
            message = parser.get_next_message()
            if message is not None and self.sleeps_on_first and not slept_on:
                slept_on.append(message)
                message = None
            elif message is not None and slept_on[:1]:
                message, slept_on[0] = slept_on[0] or message, None
            if message is None:
                data = connection.recv(65536)
                if not data:
                    return
                parser.add_data(data)
                continue
            method = message.header.fields[HeaderFields.member]
            self.calls.append((method, message.body))
            answer = self.answers.get(method, f"{ERROR}UnknownMethod")
            if answer == "hang up":
                return
            if answer is None:
                continue
            replies = []
            if isinstance(answer, str):
                replies.append(new_error(message, answer, "s", (f"{answer} it is",)))
            else:
                signature, body = answer
                replies.append(new_method_return(message, signature or None, body))
            has_job = method in ("StartTransientUnit", "StopUnit") and not isinstance(answer, str)
            if has_job and self.result:
                address = DBusAddress("/org/freedesktop/systemd1", interface=f"{SYSTEMD}Manager")
                body = (7, JOB, "x.scope", self.result)
                # Before the reply: an answer must not be needed to understand it.
                replies.insert(0, new_signal(address, "JobRemoved", "uoss", body))
            for reply in replies:
                serial += 1
                connection.sendall(reply.serialise(serial))


@pytest.fixture
def directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="ocipy-") as path:
        yield path


@pytest.fixture
def peer(directory: str) -> Iterator[Peer]:
    peer = Peer(f"{directory}/bus")
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def connect(directory: str, peer: Peer) -> Iterator[Callable[..., Systemd]]:
    opened: list[Systemd] = []

    def connect(**options: Any) -> Systemd:
        opened.append(Systemd(f"unix:path={directory}/bus", **options))
        return opened[-1]

    yield connect
    for manager in opened:
        manager.close()


def test_start(peer: Peer, connect: Callable[..., Systemd]) -> None:
    properties = ["Slice='a.slice'", "MemoryMax=uint64 5", "DeviceAllow=@a(ss) [('a', 'r')]"]
    connect().start_transient_unit("x.scope", properties, [42])
    assert [method for method, _ in peer.calls] == [
        "Hello",
        "AddMatch",
        "Subscribe",
        "StartTransientUnit",
    ]
    unit, mode, sent, auxiliary = peer.calls[-1][1]
    assert (unit, mode, auxiliary) == ("x.scope", "replace", [])
    assert sent == [
        ("Slice", ("s", "a.slice")),
        ("MemoryMax", ("t", 5)),
        ("DeviceAllow", ("a(ss)", [("a", "r")])),
        ("PIDs", ("au", [42])),
    ]


def test_a_job_that_fails(peer: Peer, connect: Callable[..., Systemd]) -> None:
    peer.result = "failed"
    with pytest.raises(SystemdError, match="its job ended with 'failed'"):
        connect().start_transient_unit("x.scope", [], [42])
    assert peer.calls[-1] == ("ResetFailedUnit", ("x.scope",))


def test_a_signal_that_is_lost(peer: Peer, connect: Callable[..., Systemd]) -> None:
    """The job is asked for, and is gone: done within moments, not at the deadline."""
    peer.result = None
    peer.answers["Get"] = f"{ERROR}UnknownObject"
    peer.answers["GetUnit"] = f"{SYSTEMD}NoSuchUnit"
    connect(seconds=3600.0).stop_unit("x.scope")
    methods = [method for method, _ in peer.calls]
    assert methods[-3:] == ["Get", "GetUnit", "ResetFailedUnit"]


def test_a_job_that_is_never_done(peer: Peer, connect: Callable[..., Systemd]) -> None:
    peer.result = None
    peer.answers["Get"] = ("v", (("s", "running"),))
    with pytest.raises(SystemdError, match=r"not done its job for x\.scope in 1 seconds") as caught:
        connect(seconds=1.0).stop_unit("x.scope")
    assert "list-jobs" in caught.value.hint


def test_an_answer_that_never_comes(
    peer: Peer, connect: Callable[..., Systemd], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.answers["SetUnitProperties"] = None
    manager = connect()
    monkeypatch.setattr(dbus_module, "_REPLY_SECONDS", 0.5)
    with pytest.raises(SystemdError, match="no answer to SetUnitProperties"):
        manager.set_properties("x.scope", ["MemoryMax=uint64 5"])


def test_a_connection_that_breaks(peer: Peer, connect: Callable[..., Systemd]) -> None:
    peer.answers["StopUnit"] = "hang up"
    with pytest.raises(SystemdError, match="lost the connection"):
        connect().stop_unit("x.scope")


def test_a_unit_that_is_not_there_is_stopped(peer: Peer, connect: Callable[..., Systemd]) -> None:
    peer.answers["StopUnit"] = f"{SYSTEMD}NoSuchUnit"
    connect().stop_unit("x.scope")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (f"{ERROR}PropertyReadOnly", "lists the properties"),
        (f"{ERROR}InteractiveAuthorizationRequired", "XDG_RUNTIME_DIR"),
    ],
)
def test_refusals_say_what_to_do(
    peer: Peer, connect: Callable[..., Systemd], name: str, hint: str
) -> None:
    peer.answers["SetUnitProperties"] = name
    with pytest.raises(SystemdError, match=f"SetUnitProperties: {name} it is") as caught:
        connect().set_properties("x.scope", ["Nonsense=true"])
    assert hint in caught.value.hint
    assert caught.value.name == name


def test_a_bus_that_does_not_know_us(peer: Peer, connect: Callable[..., Systemd]) -> None:
    peer.authentication = b"REJECTED EXTERNAL\r\n"
    with pytest.raises(SystemdError, match=f"does not accept uid {os.geteuid()}"):
        connect()


def test_a_managers_own_socket_has_no_bus(directory: str) -> None:
    """No Hello, which only a bus knows, and no AddMatch: signals come by themselves."""
    os.mkdir(f"{directory}/systemd")
    peer = Peer(f"{directory}/systemd/private")
    for method in ("Hello", "AddMatch", "Subscribe"):
        del peer.answers[method]
    peer.start()
    try:
        with Systemd(f"unix:path={directory}/systemd/private") as manager:
            manager.start_transient_unit("x.scope", [], [42])
            manager.stop_unit("x.scope")
    finally:
        peer.stop()
    assert [method for method, _ in peer.calls] == [
        "StartTransientUnit",
        "StopUnit",
        "ResetFailedUnit",
    ]


def test_a_socket_that_must_be_woken(directory: str) -> None:
    """The first message lies in systemd's buffer until more comes: see dbus.py."""
    os.mkdir(f"{directory}/systemd")
    peer = Peer(f"{directory}/systemd/private")
    peer.sleeps_on_first = True
    peer.answers["StopUnit"] = f"{SYSTEMD}NoSuchUnit"
    peer.start()
    try:
        with Systemd(f"unix:path={directory}/systemd/private") as manager:
            manager.stop_unit("x.scope")
    finally:
        peer.stop()
    assert peer.calls[0][0] == "StopUnit"


def test_the_managers_own_cgroup(peer: Peer, connect: Callable[..., Systemd]) -> None:
    peer.answers["Get"] = ("v", (("s", "/user.slice/"),))
    assert connect().control_group() == "/user.slice"


def test_no_systemd(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={directory}/none")
    with pytest.raises(SystemdError, match=r"none: no such file or directory \(ENOENT\)") as caught:
        open_system_bus()
    assert "apt install dbus" in caught.value.hint
    assert "cgroupfs" in caught.value.hint


def test_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(SystemdError, match="XDG_RUNTIME_DIR") as caught:
        open_user_bus(4294967)
    assert "loginctl enable-linger" in caught.value.hint


@pytest.mark.parametrize("address", ["tcp:host=a", "unix:", "", "nonsense"])
def test_addresses_that_are_no_unix_socket(address: str) -> None:
    with pytest.raises(SystemdError, match="not a unix socket"):
        Systemd(address)


def test_addresses(directory: str) -> None:
    assert system_addresses({}) == [
        "unix:path=/run/dbus/system_bus_socket",
        "unix:path=/run/systemd/private",
    ]
    assert user_addresses(4294967, {}) == []
    os.mkdir(f"{directory}/systemd")
    for name in ("bus", "systemd/private"):
        with open(f"{directory}/{name}", "w", encoding="utf-8"):
            pass
    environment = {"XDG_RUNTIME_DIR": directory, "DBUS_SESSION_BUS_ADDRESS": "unix:abstract=a"}
    assert user_addresses(1000, environment) == [
        "unix:abstract=a",
        f"unix:path={directory}/bus",
        f"unix:path={directory}/systemd/private",
    ]


def test_whose_manager(directory: str) -> None:
    session = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={directory}/bus"}
    root, user = host_facts(), host_facts(euid=4294967)
    mapped_root = host_facts(in_user_namespace=True)
    assert not uses_user_systemd(root, "auto", session)
    assert uses_user_systemd(root, "true", session)
    assert uses_user_systemd(user, "auto", {})
    assert not uses_user_systemd(user, "false", {})
    assert uses_user_systemd(mapped_root, "auto", session)
