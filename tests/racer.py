"""Somebody who shares files with a container, and exchanges two of them all the time."""

from __future__ import annotations

import ctypes
import os
import threading
import time

RENAME_EXCHANGE = 2
AT_FDCWD = -100


class Racer:
    """Exchanges two names as fast as it can (renameat2(2), RENAME_EXCHANGE) until the end.

    How often is in `exchanges`: a race that did not take place proves nothing. With `rest` the
    names are as they were for about half as many times as long as they are exchanged. With `idle`
    it sleeps for so many seconds between two exchanges, and leaves the processor to others.
    """

    def __init__(self, first: str, second: str, rest: int = 0, idle: float = 0) -> None:
        self.rest = rest
        self.idle = idle
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.names = first.encode(), second.encode()
        self.exchanges = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        first, second = self.names
        while not self.stop.is_set():
            for _ in range(100):
                if self.libc.renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE) == 0:
                    self.exchanges += 1
                if self.idle:
                    time.sleep(self.idle)
                if self.rest and self.exchanges % 2 == 0:
                    self._pause()

    def _pause(self) -> None:
        for _ in range(self.rest):
            # As long as an exchange takes, and without one.
            self.libc.renameat2(AT_FDCWD, b"", AT_FDCWD, b"", RENAME_EXCHANGE)

    def __enter__(self) -> Racer:
        self.thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop.set()
        self.thread.join()
        assert self.exchanges > 0 or exc_info[0], os.strerror(ctypes.get_errno())
