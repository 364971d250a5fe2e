"""The conversation with init: fixed-size messages over a SOCK_SEQPACKET pair, then over a fifo.

    init                                  host
    MESSAGE_FORKED (pid)                  from now on that one is init; reaps the first
    MESSAGE_AWAIT (step)                  runs the host steps that follow it in the plan
                                          MESSAGE_GO
    MESSAGE_TERMINAL (+ pty master)       keeps it for the console socket, or for itself
    MESSAGE_LISTENER (+ seccomp fd)       keeps it for the listener
    MESSAGE_TRACE (step, nsec)            notes when the step ended
    MESSAGE_FAILED (step, call, errno)    words the error; init exits
    end of file                           execve: the program runs; or init died

    init, after await_start               start
    reads a byte of the fifo `start`      writes it
    MESSAGE_FAILED / MESSAGE_TRACE        as above
    end of file                           as above

The same table stands in ocipy_native/init/init.h.
"""

from __future__ import annotations

from _struct import Struct  # type: ignore[import-not-found, unused-ignore]

from ocipy.sys import native

MESSAGE_FAILED = 1
MESSAGE_AWAIT = 2
MESSAGE_FORKED = 3
MESSAGE_TERMINAL = 4
MESSAGE_LISTENER = 5
MESSAGE_TRACE = 6
MESSAGE_GO = 7

_LAYOUT = Struct("<IIIiqq256s")
MESSAGE_SIZE: int = _LAYOUT.size


class Message:
    """One message of init; see `struct message` in init.h. `fd` came along, or is -1."""

    __slots__ = ("call", "detail", "error", "fd", "kind", "nsec", "step", "value")

    def __init__(self, data: bytes, fd: int = -1) -> None:
        self.kind, self.step, self.call, self.error, self.value, self.nsec, detail = _LAYOUT.unpack(
            data
        )
        # Part of it may be what a hook of the container's image printed.
        self.detail: str = detail.partition(b"\0")[0].decode("utf-8", "replace").strip()
        self.fd = fd


def receive_message(sync_fd: int, timeout_ms: int = -1) -> Message | None:
    """Wait for init's next message; None at end of file.

    Raises:
        TimeoutError: nothing came in time.
    """
    while True:
        try:
            data, fd = native.receive(sync_fd, MESSAGE_SIZE, timeout_ms)
        except InterruptedError:
            continue  # by a signal whose handler has raised nothing
        except ConnectionResetError:
            return None  # it died before it read what we have sent
        return Message(data, fd) if data else None


def send_go(sync_fd: int) -> None:
    """Let init go on."""
    native.send(sync_fd, _LAYOUT.pack(MESSAGE_GO, 0, 0, 0, 0, 0, b""))
