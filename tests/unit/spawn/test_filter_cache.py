"""What the cache may answer with, and what it must not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ocipy.plan.seccomp import SeccompRequest
from ocipy.spawn import seccomp
from ocipy.spawn.filter_cache import DIRECTORY, FilterCache

KEY, PROGRAM = b"profile", b"\6\0\0\0\0\0\xff\x7f" * 3


@pytest.fixture
def cache(tmp_path: Path) -> FilterCache:
    cache = FilterCache(str(tmp_path))
    cache.store(KEY, PROGRAM)
    assert cache.load(KEY) == PROGRAM
    return cache


def entry(cache: FilterCache) -> Path:
    (path,) = Path(cache.path).iterdir()
    return path


def test_the_directory_and_its_files_are_ours_alone(cache: FilterCache) -> None:
    assert os.stat(cache.path).st_mode & 0o7777 == 0o700
    assert entry(cache).stat().st_mode & 0o7777 == 0o600


def test_no_container_can_have_its_name() -> None:
    from ocipy.errors import StateError
    from ocipy.state.store import check_id

    with pytest.raises(StateError):
        check_id(DIRECTORY)


def test_another_profile_is_another_entry(cache: FilterCache) -> None:
    assert cache.load(b"profile2") is None
    cache.store(b"profile2", PROGRAM * 2)
    assert (cache.load(KEY), cache.load(b"profile2")) == (PROGRAM, PROGRAM * 2)


@pytest.mark.parametrize("offset", [0, 31, 32, 40])
def test_a_changed_bit_does_not_count(cache: FilterCache, offset: int) -> None:
    content = bytearray(entry(cache).read_bytes())
    content[offset] ^= 1
    entry(cache).write_bytes(content)
    assert cache.load(KEY) is None


@pytest.mark.parametrize("length", [0, 16, 32, 33, 40])
def test_a_truncated_file_does_not_count(cache: FilterCache, length: int) -> None:
    os.truncate(entry(cache), length)
    assert cache.load(KEY) is None


def test_what_did_not_count_is_replaced(cache: FilterCache) -> None:
    os.truncate(entry(cache), 5)
    cache.store(KEY, PROGRAM)
    assert cache.load(KEY) == PROGRAM


def test_a_link_is_not_followed(cache: FilterCache, tmp_path: Path) -> None:
    path = entry(cache)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.load(KEY) is None


@pytest.mark.parametrize("mode", [0o750, 0o707, 0o777])
def test_a_directory_open_to_others_is_not_used(cache: FilterCache, mode: int) -> None:
    os.chmod(cache.path, mode)
    assert cache.load(KEY) is None
    cache.store(b"new", PROGRAM)
    assert len(os.listdir(cache.path)) == 1


def test_a_file_open_to_others_is_not_used(cache: FilterCache) -> None:
    entry(cache).chmod(0o620)
    assert cache.load(KEY) is None


@pytest.mark.requires("root")
def test_a_directory_of_somebody_else_is_not_used(cache: FilterCache) -> None:
    os.chown(cache.path, 12345, 12345)
    assert cache.load(KEY) is None


def test_a_fifo_does_not_hang(cache: FilterCache) -> None:
    path = entry(cache)
    path.unlink()
    os.mkfifo(path, 0o600)
    assert cache.load(KEY) is None


def test_that_nothing_can_be_stored_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).write_text("in the way")
    cache = FilterCache(str(tmp_path))
    cache.store(KEY, PROGRAM)
    assert cache.load(KEY) is None


def test_old_entries_make_room(tmp_path: Path) -> None:
    cache = FilterCache(str(tmp_path))
    for i in range(200):
        cache.store(b"%d" % i, PROGRAM)
    assert len(os.listdir(cache.path)) <= 64
    assert cache.load(b"199") == PROGRAM


def request(action: int = 0x7FFF0000, seccomp_flags: int = 0) -> SeccompRequest:
    return SeccompRequest(
        default_action=0x00050001,
        architectures=(),
        rules=((action, ("read",), ()),),
        seccomp_flags=seccomp_flags,
    )


def test_compiling_happens_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = seccomp.compile_filter(request(), str(tmp_path))

    def must_not_be_called(*_: object) -> bytes:
        raise AssertionError("compiled again")

    monkeypatch.setattr(seccomp, "compile_program", must_not_be_called)
    assert seccomp.compile_filter(request(), str(tmp_path)) == first
    # What seccomp(2) is given beside the program makes no other program.
    assert seccomp.compile_filter(request(seccomp_flags=4), str(tmp_path)) == first
    with pytest.raises(AssertionError, match="compiled again"):
        seccomp.compile_filter(request(action=0x7FFC0000), str(tmp_path))


def test_a_corrupt_entry_is_compiled_again(tmp_path: Path) -> None:
    first = seccomp.compile_filter(request(), str(tmp_path))
    (path,) = (tmp_path / DIRECTORY).iterdir()
    path.write_bytes(b"\0" * path.stat().st_size)
    assert seccomp.compile_filter(request(), str(tmp_path)) == first
