"""Charts as inline SVG, drawn from counts alone: no script, font or network. Colours are classes of the page's style.

Every chart scales to its column (`viewBox`), carries a title for screen readers, and shows its figures on hover.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import log10
from typing import NamedTuple

WIDTH = 560
"""Units of a drawing; the page scales it."""


class Bar(NamedTuple):
    """One stacked bar: `parts` are (class, amount, hover text)."""

    label: str
    parts: Sequence[tuple[str, float, str]]
    note: str = ""


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """One line of text; `words` is markup."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{words}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str, hover: str = "", more: str = "") -> str:
    """A rectangle with a hover text."""
    title = f"<title>{escape(hover)}</title>" if hover else ""
    size = f'x="{x:.2f}" y="{y:.2f}" width="{max(width, 0):.2f}" height="{max(height, 0):.2f}"'
    return f'<rect {size} class="{kind}"{more}>{title}</rect>'


def svg(height: float, parts: Sequence[str], label: str, width: float = WIDTH) -> str:
    """A drawing as it stands in the page."""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def heat_map(outcomes: Sequence[str], cells: Sequence[Sequence[int]], shown: Callable[[int], str], label: str) -> str:
    """Outcomes before (rows) and after (columns): the darker, the more of the row; the diagonal is what stays."""
    left, top, high = 84, 32, 60
    width = (WIDTH - left) / max(len(outcomes), 1)
    parts = [
        text(left + width * (at + 0.5), top - 12, escape(one), "axis", "middle") for at, one in enumerate(outcomes)
    ]
    for row, one in enumerate(outcomes):
        y = top + row * high
        parts.append(text(left - 12, y + high / 2 + 5, escape(one), "axis", "end"))
        total = sum(cells[row])
        for column, other in enumerate(outcomes):
            count = cells[row][column]
            share = count / total if total else 0.0
            kind = "stay" if row == column else "milder" if column < row else "severer"
            strength = f' style="fill-opacity:{0.12 + 0.78 * share if count else 0.04:.3f}"'
            hover = f"{one} → {other}: {count} ({share:.2%})"
            x = left + column * width
            parts.append(rect(x + 2, y + 2, width - 4, high - 4, f"cell {kind}", hover, f' rx="6"{strength}'))
            strong = " strong" if count and share > 0.55 else ""
            parts.append(text(x + width / 2, y + high / 2, shown(count), f"figure{strong}", "middle"))
            if count:
                percent = f"{share:.1%}" if share >= 0.001 else "< 0.1%"
                parts.append(text(x + width / 2, y + high / 2 + 17, percent, f"small{strong}", "middle"))
    return svg(top + high * len(outcomes) + 4, parts, label)


def shares(bars: Sequence[Bar], label: str) -> str:
    """Bars of shares of a whole, on one scale: `parts` amounts are shares from 0 to 1."""
    left, high, gap, right = 150, 18, 4, 130
    most = max((sum(share for _, share, _ in bar.parts) for bar in bars), default=0.0) or 1.0
    parts, y = [], 2.0
    for at, bar in enumerate(bars):
        parts.append(text(left - 10, y + 14, bar.label, "axis" if at % 2 == 0 else "small", "end"))
        x = float(left)
        for kind, share, hover in bar.parts:
            width = max((WIDTH - left - right) * share / most, 1.0 if share else 0.0)
            parts.append(rect(x, y, width, high, kind, hover))
            x += width
        parts.append(text(x + 8, y + 14, bar.note, "small"))
        y += high + (gap if at % 2 == 0 else 3 * gap)
    return svg(y, parts, label)


def lengths(bars: Sequence[Bar], label: str) -> str:
    """Bars whose length is the amount, from one line; the text of each stands before and behind it."""
    left, high, gap, right = 165, 24, 12, 175
    most = max((sum(amount for _, amount, _ in bar.parts) for bar in bars), default=0) or 1
    parts = []
    for at, bar in enumerate(bars):
        y = at * (high + gap) + 2
        parts.append(text(left - 10, y + 16, bar.label, "axis", "end"))
        x = float(left)
        for kind, amount, hover in bar.parts:
            width = max((WIDTH - left - right) * amount / most, 1.5 if amount else 0)
            parts.append(rect(x, y, width, high, kind, hover, ' rx="3"'))
            x += width
        parts.append(text(x + 8, y + 16, bar.note, "small"))
    return svg(len(bars) * (high + gap) + 4, parts, label)


def over_time(
    days: Sequence[str], series: Sequence[tuple[str, Sequence[int], Sequence[int]]], label: str, height: int = 150
) -> str:
    """One small chart per outcome: baseline as a line, candidate as a filled area, a point a day.

    series : (outcome, baseline counts, candidate counts), each as long as `days`
    """
    left, right, gap, top = 78, 12, 34, 18
    parts = []
    span = max(len(days) - 1, 1)
    for number, (outcome, before, after) in enumerate(series):
        y0 = top + number * (height + gap)
        most = max([*before, *after, 1])
        scale = (height - 10) / most

        def at(index: int, count: int, base: float = y0 + height, by: float = scale) -> str:
            return f"{left + (WIDTH - left - right) * index / span:.1f},{base - count * by:.1f}"

        parts += _frame(left, right, y0, height, most)
        parts.append(text(left, y0 - 5, escape(outcome), "axis bold"))
        area = " ".join(at(index, count) for index, count in enumerate(after))
        ends = f"{left},{y0 + height} {area} {at(len(days) - 1, 0)}"
        parts.append(f'<polygon points="{ends}" class="area o{number}"/>')
        line = " ".join(at(index, count) for index, count in enumerate(before))
        parts.append(f'<polyline points="{line}" class="line"/>')
        for index, day in enumerate(days):
            x = left + (WIDTH - left - right) * index / span
            hover = f"{day} {outcome}: {before[index]} → {after[index]}"
            step = (WIDTH - left - right) / max(len(days), 1)
            parts.append(rect(x - step / 2, y0, step, height, "ghost", hover))
    bottom = top + len(series) * (height + gap) - gap
    for index, anchor in ((0, "start"), (len(days) - 1, "end")):
        if days:
            x = left if anchor == "start" else WIDTH - right
            parts.append(text(x, bottom + 18, escape(days[index]), "small", anchor))
    return svg(bottom + 26, parts, label)


def _frame(left: float, right: float, y0: float, height: float, most: int) -> list[str]:
    return [
        f'<line x1="{left}" x2="{WIDTH - right}" y1="{y0 + height}" y2="{y0 + height}" class="rule"/>',
        text(left - 8, y0 + 12, f"{most:,}", "small", "end"),
        text(left - 8, y0 + height, "0", "small", "end"),
    ]


def histogram(
    before: Mapping[str, Sequence[int]], after: Mapping[str, Sequence[int]], names: tuple[str, str], label: str
) -> str:
    """Two stacked histograms over [0, 1], one above the other, on a logarithmic scale of counts.

    A bin of one decision must be seen beside a bin of a million, so the height of a bin is the logarithm of its total;
    within the bin the outcomes divide it by their share.
    """
    left, right, height, gap, top = 78, 12, 130, 40, 20
    bins = max((len(counts) for counts in after.values()), default=0)
    width = (WIDTH - left - right) / max(bins, 1)
    totals = [[sum(counts[at] for counts in side.values()) for at in range(bins)] for side in (before, after)]
    most = max([max(side, default=0) for side in totals] + [1])
    parts = []
    for number, (side, total) in enumerate(zip((before, after), totals, strict=True)):
        y0 = top + number * (height + gap)
        parts += _frame(left, right, y0, height, most)
        parts.append(text(left, y0 - 6, names[number], "axis bold"))
        for at in range(bins):
            y = float(y0 + height)
            tall = (height - 8) * _log(total[at]) / _log(most)
            for place, (outcome, counts) in enumerate(side.items()):
                part = tall * counts[at] / total[at] if total[at] else 0.0
                y -= part
                hover = f"{at / bins:.2f}–{(at + 1) / bins:.2f} {outcome}: {counts[at]:,}"
                if part:
                    parts.append(rect(left + at * width + 1, y, width - 2, part, f"o{place}", hover))
    bottom = top + 2 * height + gap
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(text(left + (WIDTH - left - right) * share, bottom + 18, f"{share:g}", "small", "middle"))
    return svg(bottom + 26, parts, label)


def _log(count: float) -> float:
    return log10(count + 1) if count > 0 else 0.0
