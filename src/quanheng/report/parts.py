"""Small parts of the report page: texts in both languages, sections, tables, chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Cell = str | tuple[str, str]
"""Markup of a cell, or (class, markup)."""


def both(en: str, zh: str) -> str:
    """A text in both languages; the page shows one of them."""
    return f'<span class="en">{en}</span><span class="zh" lang="zh">{zh}</span>'


def tspans(en: str, zh: str) -> str:
    """The same inside a drawing."""
    return f'<tspan class="en">{en}</tspan><tspan class="zh">{zh}</tspan>'


def section(title: str, about: str, body: str) -> str:
    """A titled box."""
    told = f'<div class="soft small">{about}</div>' if about else ""
    return f"<section><h2>{title}</h2>{told}{body}</section>"


def table(heads: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> str:
    """A table that scrolls sideways by itself on a narrow screen."""
    head = "".join(_cell("th", cell) for cell in heads)
    body = "".join(f"<tr>{''.join(_cell('td', cell) for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(tag: str, cell: Cell) -> str:
    kind, text = cell if isinstance(cell, tuple) else ("", cell)
    return f'<{tag} class="{kind}">{text}</{tag}>' if kind else f"<{tag}>{text}</{tag}>"


def chip(outcome: str, place: int) -> str:
    """An outcome on its colour."""
    return f'<span class="chip c{min(place, 5)}">{escape(outcome)}</span>'


def legend(outcomes: Sequence[str], first: int = 0) -> str:
    """Which colour is which outcome; `first` is the place of the first of them."""
    places = enumerate(outcomes, first)
    items = (f'<span><i class="o{min(place, 5)}"></i>{escape(one)}</span>' for place, one in places)
    return f'<div class="legend">{"".join(items)}</div>'


def rule(told: Mapping[str, Any]) -> str:
    """One rule: its place, its words in the language of the page, its text on hover."""
    words = told["words"]
    place = f'<span class="mono soft">{escape(told["table"])} {told["rule"]}</span>'
    said = both(escape(words["en"]), escape(words["zh"]))
    return f'<span title="{escape(told["text"])}">{place} {said}</span>'


def percent(part: int, whole: int) -> str:
    """Share of a whole, "" where there is none."""
    return f"{part / whole:.2%}" if whole else ""


def count(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}"
