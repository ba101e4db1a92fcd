"""Diagrams of a life cycle, from its declaration alone: Mermaid text, and SVG that needs no other program."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from quanheng.loading.declared_processes import ProcessDeclaration
from quanheng.loading.process_graph import START, Arrow, Box, PartGraph, process_graphs
from quanheng.loading.process_words import Language, title_of
from quanheng.report.layers import Edge, Place, Size, Way, lay_out

LINE, TITLE = 16.0, 20.0
"""Height of a line of small text and of a title, in units of the drawing."""
WIDE, WIDE_TITLE = 6.9, 8.6
"""Width that a letter takes at most; one of Chinese takes twice as much."""
WRAP = 44
"""Letters of a line; longer texts go on in the next one."""
MARK = 16.0
"""Width of the mark where a part begins. States in which it ends are drawn in green."""
MARGIN = 24.0

CSS = """
svg{--paper:#fff;--ink:#16202c;--soft:#56637a;--line:#8a97a8;--box:#f4f7fb;--edge:#2456a6;--over:#eef6f0;--done:#2f7d55;--no:#b0334a}
@media (prefers-color-scheme:dark){svg{--paper:#11161d;--ink:#e8edf3;--soft:#9fb0c2;--line:#66758a;--box:#1b2430;
--edge:#8ab4f8;--over:#16281f;--done:#6cc79a;--no:#e0647a}}
text{font:12px system-ui,-apple-system,"Segoe UI","Noto Sans","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",
sans-serif;fill:var(--ink)}
.paper{fill:var(--paper)}.head{font-size:17px;font-weight:650}.part{font-size:14px;font-weight:600;fill:var(--soft)}
.title{font-size:14px;font-weight:600}.soft{fill:var(--soft)}
.box{fill:var(--box);stroke:var(--edge);stroke-width:1.4}.over{fill:var(--over);stroke:var(--done)}
.way{fill:none;stroke:var(--line);stroke-width:1.4}.no{stroke:var(--no);stroke-dasharray:5 4}
.tip{fill:var(--line)}.tip.no{fill:var(--no)}.mark{fill:var(--ink)}
.label{fill:var(--paper);fill-opacity:.92}
"""


def mermaid(process: ProcessDeclaration, language: Language = "en") -> str:
    """The life cycle as a Mermaid state diagram (`stateDiagram-v2`); parts are boxes side by side."""
    graphs = process_graphs(process, language)
    lines = ["stateDiagram-v2", "    direction TB"]
    for graph in graphs:
        inner = list(_mermaid_part(graph))
        if len(graphs) == 1:
            lines += [f"    {one}" for one in inner]
        else:
            lines += [f"    state {graph.name} {{", *(f"        {one}" for one in inner), "    }"]
    return "\n".join(lines) + "\n"


def _mermaid_part(graph: PartGraph) -> Iterator[str]:
    names = {box.name: f"{graph.name}_{box.name}" if graph.name else box.name for box in graph.boxes}
    for box in graph.boxes:
        yield f"{names[box.name]}: {_plain(box.title)}"
        for line in box.lines:
            yield f"{names[box.name]}: {_plain(line)}"
    for arrow in graph.arrows:
        source = names.get(arrow.source, "[*]")
        yield f"{source} --> {names[arrow.target]}: {_plain(' '.join(arrow.lines))}"
    for box in graph.boxes:
        if box.end:
            yield f"{names[box.name]} --> [*]"


def _plain(text: str) -> str:
    """A text as Mermaid takes it: its own signs are written with others of the same look."""
    return text.translate({ord(":"): "\u2236", ord(";"): ",", ord("#"): "No. ", ord("\n"): " "})


def svg(process: ProcessDeclaration, language: Language = "en") -> str:
    """The life cycle as a drawing in one file, in light and dark. Parts stand side by side."""
    head = title_of(process.name, process.en, process.zh, language)
    x, tall, parts = MARGIN, 0.0, []
    for graph in process_graphs(process, language):
        drawn = _draw(graph)
        top = MARGIN + 2 * TITLE + (TITLE if graph.name else 0.0)
        if graph.name:
            parts.append(f'<text x="{x:.1f}" y="{top - 14:.1f}" class="part">{escape(graph.name)}</text>')
        parts.append(f'<g transform="translate({x:.1f} {top:.1f})">{"".join(drawn.parts)}</g>')
        x += drawn.width + 2 * MARGIN
        tall = max(tall, top + drawn.height)
    width, height = max(x - MARGIN, 2 * MARGIN + _width(head, 9.6)), tall + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(head)}"><style>{CSS}</style>'
        f'<rect class="paper" width="100%" height="100%"/>'
        f'<text x="{MARGIN:.1f}" y="{MARGIN + 14:.1f}" class="head">{escape(head)}</text>{"".join(parts)}</svg>\n'
    )


class _Drawn(NamedTuple):
    parts: Sequence[str]
    width: float
    height: float


def _draw(graph: PartGraph) -> _Drawn:
    """One part: marks, boxes and arrows."""
    arrows = _together(graph.arrows)
    lines = {id(one): [part for line in one.lines for part in _wrapped(line)] for one in arrows}
    boxes = {box.name: box for box in graph.boxes}
    sizes = {START: Size(MARK, MARK)} | {name: _box_size(box) for name, box in boxes.items()}
    edges = [Edge(one.source, one.target, _label_size(lines[id(one)])) for one in arrows]
    laid = lay_out(sizes, edges)
    parts = [_way(one, way) for one, way in zip(arrows, laid.ways, strict=True)]
    parts += [_label(lines[id(one)], way.label) for one, way in zip(arrows, laid.ways, strict=True)]
    parts += [_box(box, laid.nodes[name]) for name, box in boxes.items()]
    start = laid.nodes[START]
    parts.append(f'<circle cx="{start.x:.1f}" cy="{start.y:.1f}" r="7" class="mark"/>')
    return _Drawn(parts, laid.width, laid.height)


def _together(arrows: Sequence[Arrow]) -> list[Arrow]:
    """Moves that join the same two states, one arrow with all that makes them."""
    found: dict[tuple[str, str, bool], Arrow] = {}
    for one in arrows:
        key = one.source, one.target, one.refused
        before = found.get(key)
        found[key] = one if before is None else one._replace(lines=(*before.lines, *one.lines))
    return list(found.values())


def _box_size(box: Box) -> Size:
    lines = [part for line in box.lines for part in _wrapped(line)]
    widest = max([_width(box.title, WIDE_TITLE), _width(box.name), *map(_width, lines)])
    return Size(widest + 28, TITLE + LINE * (1 + len(lines)) + 16)


def _label_size(lines: Sequence[str]) -> Size:
    return Size(max(map(_width, lines)) + 10, LINE * len(lines) + 4) if lines else Size(0, 0)


def _box(box: Box, at: Place) -> str:
    left, top = at.x - at.width / 2, at.y - at.height / 2
    kind = "box over" if box.end else "box"
    parts = [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{at.width:.1f}" height="{at.height:.1f}" rx="9" class="{kind}"/>',
        _text(at.x, top + 22, box.title, "title"),
        _text(at.x, top + 22 + LINE, box.name, "soft"),
    ]
    lines = [part for line in box.lines for part in _wrapped(line)]
    parts += [_text(at.x, top + 24 + LINE * (number + 2), line, "") for number, line in enumerate(lines)]
    return "".join(parts)


def _label(lines: Sequence[str], at: Place) -> str:
    top, width = at.y - at.height / 2, max(map(_width, lines)) + 8
    back = (
        f'<rect x="{at.x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{at.height:.1f}" class="label"/>'
    )
    return back + "".join(
        _text(at.x, top + LINE * (number + 0.85), line, "soft" if line[0] in "[/ " else "")
        for number, line in enumerate(lines)
    )


def _way(arrow: Arrow, way: Way) -> str:
    """A smooth line through the points, with its tip."""
    (x, y), *rest = way.points
    path = f"M{x:.1f} {y:.1f}"
    for number, (to_x, to_y) in enumerate(rest):
        bend = (to_y - y) / 2
        if number % 2:  # Through a label or a layer that is passed: straight.
            path += f"L{to_x:.1f} {to_y:.1f}"
        else:
            path += f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    sign = 1 if way.points[-1][1] > way.points[-2][1] else -1
    tip = f"{x:.1f},{y:.1f} {x - 4:.1f},{y - sign * 8:.1f} {x + 4:.1f},{y - sign * 8:.1f}"
    no = " no" if arrow.refused else ""
    return f'<path d="{path}" class="way{no}"/><polygon points="{tip}" class="tip{no}"/>'


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="middle">{escape(words)}</text>'


def _letters(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _width(text: str, letter: float = WIDE) -> float:
    return _letters(text) * letter


def _wrapped(text: str) -> list[str]:
    """A text in lines of at most `WRAP` letters, broken at blanks."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and _letters(line) + 1 + _letters(word) > WRAP:
            lines.append(line)
            line = "   " + word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]
