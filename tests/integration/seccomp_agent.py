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
    """

    def __init__(self, path: str, *, value: int = 0, error: int = 0) -> None:
        self.path, self.value, self.error = path, value, error
        self.states: list[dict[str, Any]] = []
        self.descriptors: list[int] = []
        self.calls: list[tuple[int, int]] = []
        self._listeners: list[int] = []
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
                    for listener in self._accept():
                        poll.register(listener, select.POLLIN)
                elif events & select.POLLIN:
                    self._answer(fd)
                else:
                    poll.unregister(fd)  # the last process with the filter has ended

    def _accept(self) -> list[int]:
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(5)
            data, fds, _, _ = socket.recv_fds(connection, 65536, 4)
            while more := connection.recv(65536):
                data += more
        self.states.append(json.loads(data))
        self.descriptors.append(len(fds))
        self._listeners += fds
        return fds

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
