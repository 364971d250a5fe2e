"""RFC 3339 timestamps, which containerd and podman decode strictly."""

from __future__ import annotations

import time


def utc_timestamp(time_ns: int, *, nanoseconds: bool) -> str:
    """Return nanoseconds since the epoch as `2026-11-24T09:28:39Z`, or `…39.674935164Z`.

    State has all nine digits, as runc writes them; log records have none, as logrus writes them.
    """
    seconds, rest = divmod(time_ns, 1_000_000_000)
    t = time.gmtime(seconds)
    fraction = f".{rest:09d}" if nanoseconds else ""
    return (
        f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}"
        f"T{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}{fraction}Z"
    )
