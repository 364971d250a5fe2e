"""Runs cases against one runtime, side by side in a few processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from conformance.bundle import BUSYBOX
from conformance.case import CASES, Case, Failure, NotHere, Result, load
from conformance.room import Room

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def workplace() -> Iterator[tuple[str, str]]:
    """Yield a new directory for rooms, and a static busybox in it that they can link."""
    # An identity that a user namespace maps must be able to get to a bundle.
    directory = tempfile.mkdtemp(prefix="conformance-", dir="/tmp")
    os.chmod(directory, 0o755)
    try:
        yield directory, shutil.copy2(BUSYBOX, f"{directory}/busybox")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run_case(case: Case, runtime: str, directory: str, busybox: str) -> Result:
    """Run one case in a room of its own."""
    room = Room(runtime, directory, busybox)
    try:
        case.run(room)
        result = Result(case, "pass")
    except NotHere as reason:
        result = Result(case, "skip", str(reason))
    except Failure as failure:
        result = Result(case, "fail", str(failure))
    except Exception as error:  # noqa: BLE001 (what a runtime prints may be anything)
        result = Result(case, "fail", f"{type(error).__name__}: {error}")
    finally:
        room.close()
    result.mistakes = room.mistakes
    return result


_place = ("", "", "")


def _begin(runtime: str, directory: str, busybox: str) -> None:
    global _place
    _place = (runtime, directory, busybox)
    load()


def _run(case_id: str) -> tuple[str, str, list[dict[str, str]]]:
    result = run_case(CASES[case_id], *_place)
    return result.outcome, result.detail, result.mistakes


def run(cases: Iterable[Case], runtime: str, jobs: int) -> Iterator[Result]:
    """Yield the results in the order of `cases`."""
    with workplace() as place:
        context = multiprocessing.get_context("spawn")
        with context.Pool(jobs, _begin, (os.path.abspath(runtime), *place)) as pool:
            chosen = list(cases)
            for case, ended in zip(chosen, pool.imap(_run, [c.id for c in chosen]), strict=True):
                yield Result(case, *ended)
