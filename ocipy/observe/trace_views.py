"""A trace as people look at it: a time line of text, and a picture (SVG)."""

from __future__ import annotations

import os
import stat

from ocipy.errors import UsageError, errno_text
from ocipy.json_text import DuplicateName, JsonError, loads
from ocipy.observe.printable import printable
from ocipy.spawn.tracing import FORMAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

    from ocipy.json_text import Json

_HINT = "'ocipy run --trace FILE ID' writes one"
_MAX_BYTES = 64 << 20
_BAR_WIDTH = 40
_COLOURS = {"python": "#7a869a", "host": "#2f6fdb", "init": "#2a9d5c", "start": "#c9822b"}
_ROW_HEIGHT, _LABEL_WIDTH, _CHART_WIDTH, _TOP = 18, 460, 900, 46


class Span:
    """One row of a trace; times in microseconds since the interpreter was started."""

    __slots__ = ("begin", "duration", "name", "place", "source")

    def __init__(self, name: str, place: str, source: str, begin: float, duration: float) -> None:
        self.name = name
        self.place = place
        self.source = source
        self.begin = begin
        self.duration = duration


class Trace:
    """A trace that was read: its spans in the order of their beginning, and what it is of."""

    def __init__(self, spans: list[Span], about: dict[str, str]) -> None:
        self.spans = spans
        self.about = about

    @property
    def length(self) -> float:
        """From the beginning to the end of the last span, in microseconds."""
        return max((span.begin + span.duration for span in self.spans), default=0.0)

    @property
    def title(self) -> str:
        """What was traced, in one line."""
        about = self.about
        text = (
            f"ocipy {about.get('command', '')} {about.get('container', '')}: "
            f"{self.length / 1000:.1f} ms"
        )
        parent = about.get("traceparent")
        text += f", trace {parent.split('-')[1]}" if parent else ""
        failure = about.get("failure")
        return printable(text + (f", failed: {failure}" if failure else ""))


def read_trace(path: str) -> Trace:
    """Read what --trace has written.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    value = _load(path)
    about = value.get("otherData") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(about, dict) or about.get("format") != FORMAT:
        raise UsageError(f"{path} is JSON, but no trace of ocipy", hint=_HINT)
    events = value.get("traceEvents")
    spans = []
    for event in events if isinstance(events, list) else []:
        if not isinstance(event, dict) or event.get("ph") != "X":
            continue
        begin, duration, args = event.get("ts"), event.get("dur"), event.get("args")
        if _is_time(begin) and _is_time(duration):
            source = args.get("source", "") if isinstance(args, dict) else ""
            spans.append(
                Span(str(event.get("name")), str(event.get("cat")), str(source), begin, duration)
            )
    if not spans:
        raise UsageError(f"{path} is a trace without any step in it", hint=_HINT)
    spans.sort(key=lambda span: span.begin)
    return Trace(spans, {name: str(text) for name, text in about.items()})


def _is_time(value: Json) -> TypeGuard[float]:
    """Whether it is a number of microseconds that a run could have taken: up to a year."""
    return isinstance(value, int | float) and 0 <= value < 3.2e13


def _load(path: str) -> Json:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise UsageError(f"open {path}: {errno_text(error.errno or 0)}", hint=_HINT) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UsageError(f"{path} is no file, hence no trace", hint=_HINT)
    with open(fd, "rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise UsageError(f"{path} is larger than any trace of ocipy", hint=_HINT)
    try:
        return loads(data.decode())
    except (UnicodeDecodeError, JsonError, DuplicateName, RecursionError):
        raise UsageError(f"{path} is no trace: it is not JSON", hint=_HINT) from None


def to_text(trace: Trace, bar: str = "#") -> str:
    """Return a line for each span: when, how long, a bar where it is on the time line, what."""
    scale = _BAR_WIDTH / (trace.length or 1)
    lines = [trace.title, f"{'at ms':>9} {'took ms':>9}  {'':{_BAR_WIDTH}}  place   step"]
    for span in trace.spans:
        left = min(int(span.begin * scale), _BAR_WIDTH - 1)
        width = max(1, min(round(span.duration * scale), _BAR_WIDTH - left))
        drawn = " " * left + bar * width
        source = f"  [{printable(span.source)}]" if span.source else ""
        lines.append(
            f"{span.begin / 1000:9.3f} {span.duration / 1000:9.3f}  {drawn:<{_BAR_WIDTH}}  "
            f"{printable(span.place):<6}  {printable(span.name)}{source}"
        )
    lines.append(_sums(trace))
    return "\n".join(lines) + "\n"


def _sums(trace: Trace) -> str:
    sums: dict[str, float] = {}
    for span in trace.spans:
        sums[span.place] = sums.get(span.place, 0.0) + span.duration
    parts = [f"{printable(place)} {total / 1000:.3f} ms" for place, total in sums.items()]
    return "in all: " + ", ".join(parts)


def to_svg(trace: Trace) -> str:
    """Return a picture: one row for each span."""
    from xml.sax.saxutils import escape, quoteattr

    scale = _CHART_WIDTH / (trace.length or 1)
    width, height = _LABEL_WIDTH + _CHART_WIDTH + 90, _TOP + _ROW_HEIGHT * len(trace.spans) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="18" font-size="14" font-weight="bold">{escape(trace.title)}</text>',
    ]
    for i, (place, colour) in enumerate(_COLOURS.items()):
        lines.append(
            f'<rect x="{_LABEL_WIDTH + 420 + i * 110}" y="9" width="10" height="10" '
            f"fill={quoteattr(colour)}/>"
            f'<text x="{_LABEL_WIDTH + 436 + i * 110}" y="18">{place}</text>'
        )
    step = _tick(trace.length)
    at = 0.0
    while at <= trace.length:
        x = _LABEL_WIDTH + at * scale
        lines.append(
            f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{height - 8}" stroke="#e3e6ea"/>'
            f'<text x="{x:.1f}" y="{_TOP - 12}" fill="#667" text-anchor="middle">'
            f"{at / 1000:g} ms</text>"
        )
        at += step
    for row, span in enumerate(trace.spans):
        y = _TOP + row * _ROW_HEIGHT
        x, w = _LABEL_WIDTH + span.begin * scale, max(1.0, span.duration * scale)
        name = printable(span.name)
        shown = name if len(name) <= 64 else name[:63] + "…"
        title = f"{name} {printable(span.source)}: {span.duration / 1000:.3f} ms"
        colour = _COLOURS.get(span.place, "#999999")
        lines.append(
            f"<g><title>{escape(title)}</title>"
            f'<text x="{_LABEL_WIDTH - 8}" y="{y + 12}" text-anchor="end">{escape(shown)}</text>'
            f'<rect x="{x:.2f}" y="{y + 2}" width="{w:.2f}" height="{_ROW_HEIGHT - 5}" rx="2" '
            f"fill={quoteattr(colour)}/>"
            f'<text x="{x + w + 4:.2f}" y="{y + 12}" fill="#667">{span.duration / 1000:.2f}</text>'
            "</g>"
        )
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _tick(length: float) -> float:
    """Return a round distance that divides `length` microseconds into about ten."""
    step = 1.0
    while length / step > 12:
        step *= 5 if str(step)[0] == "2" else 2
    return step
