"""A seccomp agent: takes container process states on a socket, and answers notifications."""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import threading
from typing import Any

# include/uapi/linux/seccomp.h
_NOTIF_RECV, _NOTIF_SEND = 0xC0502100, 0xC0182101
_NOTIF, _RESPONSE = struct.Struct("=QII iI Q 6Q"), struct.Struct("=QqiI")


class Agent:
    """Answers every notification with `error` (a positive errno) or else `value`.

    Attributes:
        states: the states that were received, in order.
        descriptors: how many descriptors came with each.
        calls: (number, first argument) of each notification.
        open_connections: how many the runtimes have not closed.
    """

    def __init__(self, path: str, *, value: int = 0, error: int = 0) -> None:
        self.path, self.value, self.error = path, value, error
        self.states: list[dict[str, Any]] = []
        self.descriptors: list[int] = []
        self.calls: list[tuple[int, int]] = []
        self.open_connections = 0
        self._listeners: list[int] = []
        self._connections: dict[int, socket.socket] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(path)
        self._socket.listen()
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Agent:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._stopped)
        self._thread.join()
        for fd in (self._stop, *self._listeners):
            os.close(fd)
        for connection in self._connections.values():
            connection.close()
        self._socket.close()

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._stop, 0)
        poll.register(self._socket, select.POLLIN)
        while True:
            for fd, events in poll.poll():
                if fd == self._stop:
                    return
                if fd == self._socket.fileno():
                    for opened in self._accept():
                        poll.register(opened, select.POLLIN)
                elif fd in self._connections:
                    assert self._connections[fd].recv(1) == b"", "a second state"
                    self.open_connections -= 1
                    poll.unregister(fd)
                elif events & select.POLLIN:
                    self._answer(fd)
                else:
                    poll.unregister(fd)  # the last process with the filter has ended

    def _accept(self) -> list[int]:
        connection, _ = self._socket.accept()
        connection.settimeout(5)
        data, fds, _, _ = socket.recv_fds(connection, 65536, 4)
        while not _is_whole(data):
            data += connection.recv(65536)
        self._connections[connection.fileno()] = connection
        self._listeners += fds
        self.open_connections += 1
        self.descriptors.append(len(fds))
        self.states.append(json.loads(data))
        return [*fds, connection.fileno()]

    def _answer(self, listener: int) -> None:
        request = bytearray(_NOTIF.size)
        try:
            fcntl.ioctl(listener, _NOTIF_RECV, request)
            notification = _NOTIF.unpack(request)
            self.calls.append((notification[3], notification[6]))
            response = _RESPONSE.pack(notification[0], self.value, -self.error, 0)
            fcntl.ioctl(listener, _NOTIF_SEND, response)
        except FileNotFoundError:
            pass  # the process was killed while it waited


def _is_whole(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
