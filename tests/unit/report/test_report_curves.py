"""Curves: round ticks, everything inside the drawing, well-formed markup."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from quanheng.report.curves import HEIGHT, POINTS_MAX, WIDTH, Axes, Curve, Mark, chart, thinned, ticks

AXES = Axes(("across & more", "横轴"), ("up", "纵轴"))


def drawing(html: str) -> etree._Element:
    return etree.fromstring(html[: html.index("</svg>") + 6].encode())


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 0.37, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
        (0, 7.5, [0, 1, 2, 3, 4, 5, 6, 7]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round_numbers_within_the_range(low, high, wanted):
    assert ticks(low, high) == pytest.approx(wanted)


@given(st.floats(-100, 100), st.floats(0.001, 1000))
@settings(max_examples=80, deadline=None)
def test_ticks_are_few_rising_and_inside(low, span):
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 9
    assert found == sorted(set(found))
    assert all(low - 1e-6 * span <= one <= low + span * (1 + 1e-6) for one in found)


@given(st.lists(st.tuples(st.floats(-2, 3), st.floats(-2, 3)), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_every_point_lies_inside_the_drawing(points):
    root = drawing(chart(AXES, [Curve(("a", "甲"), points)], "x", [Mark(0.5, 0.5, -1, 2, "h")], diagonal=True))
    for line in root.iter("polyline"):
        for x, y in (map(float, pair.split(",")) for pair in line.get("points").split()):
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def test_names_are_escaped_and_stand_in_both_languages():
    html = chart(AXES, [Curve(("a < b", "甲"), [(0, 0), (1, 1)], "o2", dashed=True)], "one & two")
    assert drawing(html).get("aria-label") == "one & two"
    assert "a &lt; b" in html
    assert "甲" in html
    assert unescape(re.findall(r"<tspan class=\"en\">(.*?)</tspan>", html)[0]) == "across & more"


def test_long_lines_are_thinned_and_keep_their_ends():
    points = [(at / 10_000, at / 10_000) for at in range(10_001)]
    kept = thinned(points)
    assert len(kept) == POINTS_MAX
    assert (kept[0], kept[-1]) == (points[0], points[-1])
