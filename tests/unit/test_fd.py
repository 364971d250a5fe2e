"""Writing to descriptors that others have set up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from ocipy.sys.fd import print_text, write_all

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def test_a_full_pipe_that_does_not_block_is_waited_for() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    data = bytes(range(256)) * 4096  # 16 times what a pipe holds
    got: list[bytes] = []

    def read() -> None:
        with open(read_end, "rb") as file:
            got.append(file.read())

    reader = threading.Thread(target=read)
    reader.start()
    write_all(write_end, data)
    os.close(write_end)
    reader.join(10)
    assert got == [data]


def test_errors_are_raised() -> None:
    with pytest.raises(OSError, match="No space left"):
        write_all(os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC), b"x")


def test_text_is_utf_8(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_text("ü" + os.fsdecode(b"\xff"))
    assert capfdbinary.readouterr().out == b"\xc3\xbc\xff"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_are_opened(closed: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {REPOSITORY!r}); import os\n"
        "from ocipy.sys.fd import open_standard_fds\n"
        "open_standard_fds()\n"
        "fd = os.open('/', os.O_RDONLY)\n"
        "os._exit(0 if fd > 2 and all(map(os.get_inheritable, (0, 1, 2))) else 1)\n"
    )
    command = ["/bin/sh", "-c", f'"$0" -I -S -c "$1" {closed}', sys.executable, code]
    assert subprocess.run(command, check=False).returncode == 0
