"""The trace context of the environment: kept as it is, or not there."""

from __future__ import annotations

import pytest

from ocipy.plan.trace_parent import caller_trace_parent, trace_environment, with_trace

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "\n",
        "ff" + GOOD[2:],
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        GOOD + "-extra",
    ],
)
def test_malformed(value: str) -> None:
    assert caller_trace_parent({"TRACEPARENT": value}) == ""
    assert trace_environment({"TRACEPARENT": value, "TRACESTATE": "a=b"}) == []


def test_good() -> None:
    assert trace_environment({"TRACEPARENT": GOOD}) == [f"TRACEPARENT={GOOD}"]
    both = [f"TRACEPARENT={GOOD}", "TRACESTATE=a=b"]
    assert trace_environment({"TRACEPARENT": GOOD, "TRACESTATE": "a=b"}) == both
    assert with_trace(["A=1"], both) == ["A=1", *both]
    assert with_trace(["TRACEPARENT=own"], both) == ["TRACEPARENT=own", "TRACESTATE=a=b"]
