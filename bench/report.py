"""Results as text (Markdown) and as a picture (SVG)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.results import targets

if TYPE_CHECKING:
    from bench.results import Results, Target

COLOURS = ("#2b6cb0", "#c05621", "#718096", "#b7791f")


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in header[1:])]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]


def _verdict(target: Target) -> str:
    if target.is_met:
        return "met"
    return "falls short" if target.wall > target.most else "met but for CPU"


def to_markdown(results: Results) -> str:
    """Return every table."""
    lines = [f"{results.machine}; {results.rounds} rounds; times in milliseconds.", ""]
    rows = []
    for command, by_name in results.commands.items():
        for name in results.names:
            each = by_name[name]
            ratio = ["", ""]
            if "runc" in by_name:
                runc = by_name["runc"]
                ratio = [f"{each.median / runc.median:.2f}", f"{each.cpu / runc.cpu:.2f}"]
            walls = [f"{each.minimum:.1f}", f"{each.median:.1f}", f"{each.p95:.1f}"]
            costs = [ratio[0], f"{each.cpu:.1f}", ratio[1], f"{each.peak / 1024:.1f}"]
            rows.append([command, name, *walls, *costs])
    bare = results.interpreter
    bare_times = [f"{bare.minimum:.1f}", f"{bare.median:.1f}", f"{bare.p95:.1f}"]
    bare_cpu = ["", f"{bare.cpu:.1f}", "", f"{bare.peak / 1024:.1f}"]
    rows.append(["`-I -S -c pass`", "python3", *bare_times, *bare_cpu])
    header = ["", "", "min", "median", "p95", "to runc", "CPU", "to runc", "peak MiB"]
    lines += _table(header, rows)

    lines += [
        "",
        "What is asked for, as ratios of medians; *limit*: what as many starts of the interpreter"
        " and all that crun does come to:",
        "",
    ]
    rows = []
    for target in targets(results):
        cpu = "" if target.cpu is None else f"{target.cpu:.2f}"
        limit = [f"{ratio:.2f}" for ratio in target.limit] if target.limit else ["", ""]
        wall = f"{target.wall:.2f}"
        rows.append(
            [target.what, f"{target.most:.2f}", wall, limit[0], cpu, limit[1], _verdict(target)]
        )
    lines += _table(["", "at most", "is", "limit", "CPU", "limit", ""], rows)

    lines += ["", ""]
    rows = [
        ["100 runs in a row, s", *(f"{results.row[n][0]:.1f}" for n in results.names)],
        ["and their CPU time, s", *(f"{results.row[n][1]:.1f}" for n in results.names)],
        ["8 workers, runs per s", *(f"{results.rates[n]:.0f}" for n in results.names)],
        ["created: PSS of init, KiB", *(str(results.created[n]) for n in results.names)],
        ["running: PSS, KiB", *(str(results.running[n]) for n in results.names)],
    ]
    if results.limits:
        rows.append(
            ["smallest limit for /bin/true, KiB", *(str(results.limits[n]) for n in results.names)]
        )
    lines += _table(["", *results.names], rows)

    if results.growth:
        lines += ["", "`run` (or `list`, `state`) with more and more to do, median wall clock:", ""]
        rows = []
        for kind, by_size in results.growth.items():
            for name in results.names:
                cells = (f"{by_size[s][name]:.0f}" if name in by_size[s] else "-" for s in by_size)
                rows.append([f"{kind}: {', '.join(map(str, by_size))}", name, *cells])
        lines += _table(["", "", "none or 1", "a fourth", "half", "all"], rows)
    return "\n".join(lines) + "\n"


def to_svg(results: Results) -> str:
    """Return bars of the median wall clock of each command by each runtime."""
    bar, gap, left, width = 14, 12, 110, 640
    most = max(each.median for by_name in results.commands.values() for each in by_name.values())
    scale = (width - left - 70) / most
    parts, y = [], 34
    for i, name in enumerate(results.names):
        parts.append(
            f'<rect x="{left + i * 110}" y="10" width="12" height="12" fill="{COLOURS[i]}"/>'
        )
        parts.append(f'<text x="{left + 18 + i * 110}" y="20">{name}</text>')
    for command, by_name in results.commands.items():
        height = bar * len(results.names)
        parts.append(
            f'<text x="{left - 8}" y="{y + height // 2 + 4}" text-anchor="end">{command}</text>'
        )
        for i, name in enumerate(results.names):
            value = by_name[name].median
            parts.append(
                f'<rect x="{left}" y="{y}" width="{value * scale:.1f}" height="{bar - 2}" '
                f'fill="{COLOURS[i]}"/>'
                f'<text x="{left + value * scale + 5:.1f}" y="{y + bar - 4}">{value:.1f}</text>'
            )
            y += bar
        y += gap
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" '
        f'font-family="sans-serif" font-size="11">\n<title>median wall clock, ms</title>\n'
        f'<rect width="{width}" height="{y}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
