"""Curves over two axes as inline SVG: lines, points with intervals, a diagonal; the same look as the other charts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

from quanheng.report.charts import text
from quanheng.report.parts import tspans

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 52
POINTS_MAX = 240
"""A line of more points is thinned at even distances: more cannot be seen."""

Point = tuple[float, float]


class Curve(NamedTuple):
    """A line through points in rising x.

    name : in English and Chinese; kind : class of its colour (o0 to o5)
    dashed : drawn broken; steps : constant between points
    """

    name: tuple[str, str]
    points: Sequence[Point]
    kind: str = "o0"
    dashed: bool = False


class Mark(NamedTuple):
    """A point with a vertical interval and a hover text."""

    x: float
    y: float
    low: float
    high: float
    hover: str


class Axes(NamedTuple):
    """Titles of both axes and the square of values that is shown."""

    x: tuple[str, str]
    y: tuple[str, str]
    x_range: Point = (0.0, 1.0)
    y_range: Point = (0.0, 1.0)


def chart(axes: Axes, curves: Sequence[Curve], label: str, marks: Sequence[Mark] = (), diagonal: bool = False) -> str:
    """A drawing with its legend. Values outside of the axes are drawn at their edge."""
    parts = _grid(axes)
    if diagonal:
        (x0, y0), (x1, y1) = _at(axes, axes.x_range[0], axes.y_range[0]), _at(axes, axes.x_range[1], axes.y_range[1])
        parts.append(f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="rule dash"/>')
    parts += [_line(axes, one) for one in curves]
    parts += [_mark(axes, one) for one in marks]
    drawn = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )
    named = [one for one in curves if one.name[0]]
    items = "".join(
        f'<span><i class="{one.kind}"></i><span class="en">{escape(one.name[0])}</span>'
        f'<span class="zh" lang="zh">{escape(one.name[1])}</span></span>'
        for one in named
    )
    return drawn + (f'<div class="legend">{items}</div>' if named else "")


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most POINTS_MAX of the points, the first and the last among them."""
    if len(points) <= POINTS_MAX:
        return list(points)
    step = (len(points) - 1) / (POINTS_MAX - 1)
    return [points[round(at * step)] for at in range(POINTS_MAX)]


def ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range: at most nine of them."""
    span = high - low
    if not span > 0:
        return [low]
    power = 10.0 ** (floor(log10(span)) - 1)
    step = next(power * factor for factor in (1, 2, 5, 10, 20, 50, 100) if span / (power * factor) <= 8)
    return [round(at * step, 12) for at in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _at(axes: Axes, x: float, y: float) -> Point:
    (x0, x1), (y0, y1) = axes.x_range, axes.y_range
    across = min(max((x - x0) / ((x1 - x0) or 1.0), 0.0), 1.0)
    up = min(max((y - y0) / ((y1 - y0) or 1.0), 0.0), 1.0)
    return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def _grid(axes: Axes) -> list[str]:
    parts = []
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for value in ticks(*axes.y_range):
        _, y = _at(axes, axes.x_range[0], value)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="rule"/>')
        parts.append(text(LEFT - 8, y + 4, f"{value:g}", "small", "end"))
    for value in ticks(*axes.x_range):
        x, _ = _at(axes, value, axes.y_range[0])
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}" class="rule"/>')
        parts.append(text(x, bottom + 18, f"{value:g}", "small", "middle"))
    parts.append(text((LEFT + right) / 2, HEIGHT - 10, tspans(*map(escape, axes.x)), "axis", "middle"))
    turned = tspans(*map(escape, axes.y))
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text class="axis" text-anchor="middle" transform="translate(14 {middle:.1f}) rotate(-90)">{turned}</text>'
    )
    return parts


def _line(axes: Axes, one: Curve) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_at(axes, *point) for point in thinned(one.points)))
    dashed = " dash" if one.dashed else ""
    return f'<polyline points="{points}" class="curve {one.kind}{dashed}"/>'


def _mark(axes: Axes, one: Mark) -> str:
    (x, y), (_, low), (_, high) = _at(axes, one.x, one.y), _at(axes, one.x, one.low), _at(axes, one.x, one.high)
    return (
        f'<g><title>{escape(one.hover)}</title><line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"'
        f' class="curve o1"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="o1"/></g>'
    )


CURVES_CSS = """
.curve{fill:none;stroke-width:2.2}.curve.o0{stroke:var(--o0)}.curve.o1{stroke:var(--o1)}.curve.o2{stroke:var(--o2)}
.curve.o3{stroke:var(--o3)}.curve.o4{stroke:var(--o4)}.curve.o5{stroke:var(--o5)}.dash{stroke-dasharray:6 4}
svg .rule.dash{stroke:var(--soft)}
@media print{:root,:root[data-theme=dark]{--bg:#fff;--card:#fff;--ink:#16202c;--soft:#5b6878;--line:#dfe4ea}
main{max-width:none;padding:0}.two{grid-template-columns:1fr 1fr}.scroll{overflow:visible}body{font-size:12px}}
"""
