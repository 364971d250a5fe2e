"""A conversation with systemd over D-Bus: units are started, changed and stopped.

Theory of operation. systemd's manager answers a call that starts or stops a unit with the path of a
*job*, which is not done by then. When it is, the manager says so with the signal JobRemoved, which
has the job's result. A connection that goes through the bus has to ask for signals first
(AddMatch, then Subscribe); one to systemd's own socket, where there is no bus, gets them without.

    ocipy                                       systemd
    ─────────────────────────────────────       ────────────────────────────────
    AddMatch, Subscribe ──────────────────▶
    StartTransientUnit(unit) ─────────────▶     makes a job
                             ◀─────────────     reply: /org/freedesktop/systemd1/job/7
                             ◀─────────────     JobRemoved(7, path, unit, "done")

A signal may be late, or lost on the way: with the daemon of the bus restarted, say. So while it
waits, ocipy asks from time to time whether the job is still there; when it is not, the unit's own
state says how it ended. No call waits longer than the deadline.

systemd's own socket has a trap (sd-bus of systemd 252, as a server): where the end of the
handshake and the first message arrive in one read, the message lies in a buffer until *more*
arrives, and both sides wait for each other. Whether that happens is a matter of timing. So there a
call that is not answered at once is followed by a Ping, which wakes the other side.

jeepney knows the bytes of D-Bus; docs/decisions has why. It is only imported here.
"""

from __future__ import annotations

import errno
import os
import time

from ocipy.cgroup.systemd.variant import parse_variant
from ocipy.errors import OcipyError, errno_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

# How the address of a manager's own socket ends: it listens there with or without a bus.
PRIVATE_SOCKET = "/systemd/private"
# As long as runc waits for a job; and for a single answer, which systemd gives at once.
JOB_SECONDS = 30.0
_REPLY_SECONDS = 25.0
_LOOK_SECONDS = 0.25
_WAKE_SECONDS = 0.1

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = "org.freedesktop.systemd1.Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_BUS = "org.freedesktop.DBus"
_SIGNAL_RULE = f"type='signal',sender='{_NAME}',path='{_PATH}',member='JobRemoved'"
# How long a line of the D-Bus handshake may be.
_LINE_MAX = 4096


class SystemdError(OcipyError):
    """systemd cannot be reached, or has answered with an error; `name` is D-Bus's name for it."""

    code = "E430"

    def __init__(self, message: str, *, name: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name

    @property
    def short_name(self) -> str:
        """The last part of `name`: "UnitExists", "NoSuchUnit"."""
        return self.name.rpartition(".")[2]


class Systemd:
    """A connection to a manager; close() it, or use it in a `with` statement."""

    def __init__(self, address: str, seconds: float = JOB_SECONDS) -> None:
        """Connect to "unix:path=..." or "unix:abstract=...".

        Args:
            seconds: how long one job may take.

        Raises:
            SystemdError: nobody answers there, or not to us; or jeepney is not installed.
        """
        try:
            from jeepney import Parser
        except ImportError:
            raise SystemdError(
                "the systemd cgroup driver takes the Python package jeepney, which is missing",
                hint="pip install jeepney, for the interpreter that runs ocipy; Debian: "
                "apt install python3-jeepney",
            ) from None
        self.address = address
        self.seconds = seconds
        self._serial = 0
        self._parser = Parser()
        # (path of the job, result), as signals tell.
        self._ended: dict[str, str] = {}
        self._socket = _connect(address)
        self._through_bus = not address.endswith(PRIVATE_SOCKET)
        try:
            if self._through_bus:
                self._call("Hello", interface=_BUS, path="/org/freedesktop/DBus", name=_BUS)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Systemd:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def start_transient_unit(
        self, unit: str, properties: Sequence[str], pids: Sequence[int]
    ) -> None:
        """Make a unit with these properties and processes, and wait until it is active.

        Raises:
            SystemdError: systemd refuses (short_name "UnitExists": there is one already), or the
                job fails or takes too long.
        """
        values = [_property(text) for text in properties]
        if pids:
            values.append(("PIDs", ("au", list(pids))))
        self._listen()
        job = self._call("StartTransientUnit", "ssa(sv)a(sa(sv))", (unit, "replace", values, []))[0]
        result = self._wait_for_job(job, unit)
        if result != "done":
            self.reset_failed(unit)
            raise SystemdError(
                f"systemd has not started {unit}: its job ended with {result!r}",
                hint=f"journalctl -u {unit}",
            )

    def stop_unit(self, unit: str) -> None:
        """Stop a unit and wait until that is done; one that is not there is stopped.

        What is left of a unit that has failed goes, too, so that its name is free again.
        """
        self._listen()
        try:
            job = self._call("StopUnit", "ss", (unit, "replace"))[0]
        except SystemdError as error:
            if error.short_name != "NoSuchUnit":
                raise
            return
        self._wait_for_job(job, unit)
        self.reset_failed(unit)

    def set_properties(self, unit: str, properties: Sequence[str]) -> None:
        """Change properties of a unit that is there, until it ends.

        Raises:
            SystemdError: systemd does not know the property or does not take the value.
        """
        values = [_property(text) for text in properties]
        self._call("SetUnitProperties", "sba(sv)", (unit, True, values))

    def attach_process(self, unit: str, below: str, pid: int) -> None:
        """Put a process into a cgroup of a unit; `below` is "" or "/a", one below the unit's own.

        Raises:
            SystemdError: systemd refuses.
        """
        self._call("AttachProcessesToUnit", "ssau", (unit, below, [pid]))

    def reset_failed(self, unit: str) -> None:
        """Let systemd forget a unit that has failed."""
        try:
            self._call("ResetFailedUnit", "s", (unit,))
        except SystemdError:
            pass  # it had not failed, and is gone

    def control_group(self) -> str:
        """Return the cgroup that all units of this manager are in: "" for the root, or "/a/b"."""
        group = self._get(_PATH, _MANAGER, "ControlGroup")
        return str(group).rstrip("/")

    def active_state(self, unit: str) -> str:
        """Return "active", "failed", "inactive" (also for a unit that is not there), ..."""
        try:
            path = self._call("GetUnit", "s", (unit,))[0]
            return str(self._get(path, "org.freedesktop.systemd1.Unit", "ActiveState"))
        except SystemdError as error:
            if error.short_name in ("NoSuchUnit", "UnknownObject"):
                return "inactive"
            raise

    def _listen(self) -> None:
        """Ask for the signal that a job has ended, before there is one."""
        if self._through_bus:
            self._call(
                "AddMatch",
                "s",
                (_SIGNAL_RULE,),
                interface=_BUS,
                path="/org/freedesktop/DBus",
                name=_BUS,
            )
            try:
                self._call("Subscribe")
            except SystemdError as error:
                if error.short_name != "AlreadySubscribed":
                    raise

    def _wait_for_job(self, job: str, unit: str) -> str:
        """Return the job's result: "done", "failed", "canceled", "timeout", ..."""
        deadline = time.monotonic() + self.seconds
        while job not in self._ended:
            now = time.monotonic()
            if now >= deadline:
                raise SystemdError(
                    f"systemd has not done its job for {unit} in {self.seconds:.0f} seconds",
                    hint="'systemctl list-jobs' shows what it waits for",
                )
            if self._receive(min(deadline, now + _LOOK_SECONDS)) is None and not self._exists(job):
                state = self.active_state(unit)
                return self._ended.get(job, "failed" if state == "failed" else "done")
        return self._ended[job]

    def _exists(self, job: str) -> bool:
        try:
            self._get(job, "org.freedesktop.systemd1.Job", "State")
        except SystemdError as error:
            if error.short_name in ("UnknownObject", "UnknownMethod", "NoSuchJob"):
                return False
            raise
        return True

    def _get(self, path: str, interface: str, name: str) -> object:
        reply = self._call("Get", "ss", (interface, name), interface=_PROPERTIES, path=path)
        return reply[0][1]

    def _call(
        self,
        method: str,
        signature: str = "",
        body: tuple[object, ...] = (),
        *,
        interface: str = _MANAGER,
        path: str = _PATH,
        name: str = _NAME,
    ) -> Any:
        """Call a method; return the body of the reply.

        Raises:
            SystemdError: the reply is an error, or does not come.
        """
        from jeepney import DBusAddress, HeaderFields, MessageType, new_method_call

        address = DBusAddress(path, bus_name=name, interface=interface)
        message = new_method_call(address, method, signature or None, body)
        self._serial += 1
        deadline = time.monotonic() + _REPLY_SECONDS
        serial = self._serial
        try:
            self._socket.settimeout(_REPLY_SECONDS)
            self._socket.sendall(message.serialise(serial))
        except OSError as error:
            raise self._lost(error) from None
        while True:
            reply = self._receive(self._until(deadline))
            if reply is None and time.monotonic() < deadline:
                self._wake()
                continue
            if reply is None:
                raise SystemdError(
                    f"no answer to {method} from {self.address} in {_REPLY_SECONDS:.0f} seconds",
                    hint="'systemctl is-system-running' tells whether systemd itself answers",
                )
            fields = reply.header.fields
            if fields.get(HeaderFields.reply_serial) != serial:
                continue
            if reply.header.message_type is MessageType.error:
                error_name = str(fields.get(HeaderFields.error_name, ""))
                text = reply.body[0] if reply.body else error_name
                raise SystemdError(
                    f"systemd: {method}: {text}", name=error_name, hint=_hint(error_name)
                )
            return reply.body

    def _until(self, deadline: float) -> float:
        return deadline if self._through_bus else min(deadline, time.monotonic() + _WAKE_SECONDS)

    def _wake(self) -> None:
        """Send something that changes nothing; its answer is passed over."""
        from jeepney import DBusAddress, new_method_call

        address = DBusAddress(_PATH, bus_name=_NAME, interface="org.freedesktop.DBus.Peer")
        self._serial += 1
        try:
            self._socket.settimeout(_REPLY_SECONDS)
            self._socket.sendall(new_method_call(address, "Ping").serialise(self._serial))
        except OSError as error:
            raise self._lost(error) from None

    def _receive(self, deadline: float) -> Any:
        """Return the next message, or None if none has come by `deadline`; note a job's end."""
        from jeepney import HeaderFields, MessageType

        while True:
            message = self._parser.get_next_message()
            if message is not None:
                break
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                self._socket.settimeout(left)
                data = self._socket.recv(65536)
            except TimeoutError:
                return None
            except OSError as error:
                raise self._lost(error) from None
            if not data:
                raise self._lost(ConnectionResetError(errno.ECONNRESET, ""))
            self._parser.add_data(data)
        fields = message.header.fields
        if (
            message.header.message_type is MessageType.signal
            and fields.get(HeaderFields.member) == "JobRemoved"
            and fields.get(HeaderFields.interface) == _MANAGER
        ):
            _, job, _, result = message.body
            self._ended[job] = result
        return message

    def _lost(self, error: OSError) -> SystemdError:
        why = errno_text(error.errno or 0)
        return SystemdError(f"lost the connection to systemd at {self.address}: {why}")


def _property(text: str) -> tuple[str, tuple[str, object]]:
    name, _, value = text.partition("=")
    return name, parse_variant(value)


def _hint(error_name: str) -> str:
    short = error_name.rpartition(".")[2]
    if short in ("PropertyReadOnly", "UnknownProperty"):
        return "org.freedesktop.systemd1(5) lists the properties of a scope, by version of systemd"
    if short in ("InteractiveAuthorizationRequired", "AccessDenied"):
        return (
            "only root may ask the system's manager; others have one of their own, for which "
            "XDG_RUNTIME_DIR must be set"
        )
    if short == "ServiceUnknown":
        return "systemd is not on this bus: is it process 1 here?"
    return ""


def _connect(address: str) -> Any:
    """Return a socket on which messages can be sent.

    Source: D-Bus specification, "Authentication Protocol". The identity that EXTERNAL claims is
    left out, so that the other side takes the one that the kernel names: in a user namespace ours
    has a number that means somebody else outside.
    """
    import socket

    family, _, options = address.partition(":")
    values = dict(option.partition("=")[::2] for option in options.split(","))
    path = values.get("path", "") or ("\0" + values["abstract"] if values.get("abstract") else "")
    if family != "unix" or not path:
        raise SystemdError(
            f"cannot connect to D-Bus at {address!r}: not a unix socket",
            hint="DBUS_SESSION_BUS_ADDRESS is mostly unix:path=$XDG_RUNTIME_DIR/bus",
        )
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(_REPLY_SECONDS)
        connection.connect(path)
        connection.sendall(b"\0AUTH EXTERNAL\r\n")
        answer = _read_line(connection)
        if answer.startswith(b"DATA"):
            connection.sendall(b"DATA\r\n")
            answer = _read_line(connection)
        if not answer.startswith(b"OK "):
            raise SystemdError(
                f"D-Bus at {address} does not accept uid {os.geteuid()}: "
                f"{answer.decode(errors='replace')}",
                hint="the bus of another user? see XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS",
            )
        connection.sendall(b"BEGIN\r\n")
    except OSError as error:
        connection.close()
        why = errno_text(error.errno or errno.ETIMEDOUT)
        raise SystemdError(f"cannot connect to D-Bus at {address}: {why}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _read_line(connection: Any) -> bytes:
    line = b""
    # Byte by byte: what follows the line belongs to whoever reads next.
    while not line.endswith(b"\r\n"):
        byte = connection.recv(1)
        if not byte or len(line) > _LINE_MAX:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        line += byte
    return line[:-2]
