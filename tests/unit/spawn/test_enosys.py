"""The stub is run by a BPF machine, in front of a filter that answers FILTER to everything."""

from __future__ import annotations

import struct

import pytest

from ocipy.plan.seccomp import ARCHITECTURES
from ocipy.spawn.enosys import enosys_stub
from tests.unit.spawn.bpf_machine import AARCH64, X32, X32_BIT, X86, X86_64, answer

FILTER, ENOSYS = 0x7FFF1234, 0x00050026
RETURN_FILTER = struct.pack("=HBBI", 0x06, 0, 0, FILTER)
S390X = ARCHITECTURES["SCMP_ARCH_S390X"]


def ask(last: dict[int, int], number: int, arch: int) -> int:
    return answer(enosys_stub(last) + RETURN_FILTER, number, arch=arch)


def test_no_architecture_needs_no_stub() -> None:
    assert enosys_stub({}) == b""


@pytest.mark.parametrize("arch", [X86_64, X86, AARCH64])
def test_only_what_is_above_the_last_number_is_unknown(arch: int) -> None:
    last = {X86_64: 450, X86: 440, AARCH64: 430}
    assert ask(last, 0, arch) == FILTER
    assert ask(last, last[arch], arch) == FILTER
    assert ask(last, last[arch] + 1, arch) == ENOSYS
    assert ask(last, 0x3FFFFFFF, arch) == ENOSYS


def test_an_architecture_that_is_not_named_is_left_to_the_filter() -> None:
    assert ask({X86_64: 450}, 5000, AARCH64) == FILTER
    assert ask({X86_64: 450, X86: 440}, 5000, 0x1234) == FILTER


@pytest.mark.parametrize("order", [(X86_64, X32, X86), (X32, X86, X86_64), (X86, X86_64, X32)])
def test_x32_is_told_from_x86_64_by_a_bit(order: tuple[int, ...]) -> None:
    numbers = {X86_64: 450, X32: X32_BIT | 547, X86: 440}
    last = {arch: numbers[arch] for arch in order}
    assert ask(last, 450, X86_64) == FILTER
    assert ask(last, 451, X86_64) == ENOSYS
    assert ask(last, X32_BIT | 547, X86_64) == FILTER
    assert ask(last, X32_BIT | 548, X86_64) == ENOSYS
    assert ask(last, 440, X86) == FILTER
    assert ask(last, 441, X86) == ENOSYS


def test_x32_that_is_not_named_is_left_to_the_filter() -> None:
    assert ask({X86_64: 450}, X32_BIT | 5000, X86_64) == FILTER
    assert ask({X86_64: 450}, 5000, X86_64) == ENOSYS


def test_x32_alone() -> None:
    last = {X32: X32_BIT | 547}
    assert ask(last, 5000, X86_64) == FILTER
    assert ask(last, X32_BIT | 547, X86_64) == FILTER
    assert ask(last, X32_BIT | 548, X86_64) == ENOSYS


def test_s390_has_unknown_calls_as_number_0() -> None:
    assert ask({S390X: 450}, 0, S390X) == ENOSYS
    assert ask({S390X: 450}, 1, S390X) == FILTER
    assert ask({S390X: 450}, 451, S390X) == ENOSYS


def test_every_architecture_at_once() -> None:
    last = {token: 100 + i for i, token in enumerate(ARCHITECTURES.values())}
    last[X32] |= X32_BIT
    for token, number in last.items():
        arch = X86_64 if token == X32 else token
        assert ask(last, number, arch) == FILTER
        assert ask(last, number + 1, arch) == ENOSYS
