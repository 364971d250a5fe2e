"""What every test may use: @requires(), --must-run, and the runtime under test.

    RUNTIME=/usr/sbin/runc pytest tests/integration    the same tests, against another runtime

A test of ours says what the specification asks for. Where runc is known to do something else, the
test carries @runc_deviates("how"): it must fail with runc, and is an ordinary test for ocipy.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests import probes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LACKS = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--must-run", action="store_true", help="a skipped test is a failed test")
    parser.addoption(
        "--host-lacks",
        default="",
        metavar="FEATURE,...",
        help="with --must-run: features of tests/probes.py whose absence is known",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Who starts the suite in the background, or with nohup(1), has them ignored, and so would have
    # every command that a test sends one of them to.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            interrupts = number is signal.SIGINT
            signal.signal(number, signal.default_int_handler if interrupts else signal.SIG_DFL)
    config.addinivalue_line(
        "markers", "requires(*features): skip unless tests/probes.py finds each feature here"
    )
    config.addinivalue_line(
        "markers", "runc_deviates(how): expected to fail with runc, which departs from the spec"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        for feature in marker.args:
            if reason := probes.missing(feature):
                item.stash[LACKS] = feature
                pytest.skip(f"{feature}: {reason}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.path.basename(runtime_path()) != "runc":
        return
    for item in items:
        for marker in item.iter_markers("runc_deviates"):
            item.add_marker(pytest.mark.xfail(reason=marker.args[0], strict=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    known = item.config.getoption("--host-lacks").split(",")
    if (
        item.config.getoption("--must-run")
        and report.skipped
        and not hasattr(report, "wasxfail")
        and item.stash.get(LACKS, "") not in known
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, but --must-run: {report.longrepr}"
    return report


def runtime_path() -> str:
    """Return the runtime under test: $RUNTIME, $OCIPY, or what `make build` built."""
    path = os.environ.get("RUNTIME") or os.environ.get("OCIPY") or f"{REPOSITORY}/build/ocipy"
    return os.path.abspath(path)


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """Commands that a test calls in this process change them; no other test shall notice."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in handlers.items():
        if handler is not None:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def runtime_program() -> str:
    program = runtime_path()
    if not os.access(program, os.X_OK):
        pytest.fail(f"{program} is missing: run `make build` first, or set RUNTIME")
    return program
