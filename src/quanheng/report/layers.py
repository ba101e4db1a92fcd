"""A directed graph laid out in layers from top to bottom, with labels of arrows, so that nothing lies on anything else.

The classical way [1]: cycles are broken, each node gets a layer, arrows over several layers get places in between,
layers are ordered by the mean place of their neighbours, and then moved towards them. A label is a node of its own
between the two it joins. The same graph always gives the same drawing.

[1] K. Sugiyama, S. Tagawa, M. Toda, Methods for visual understanding of hierarchical system structures, IEEE
    Transactions on Systems, Man, and Cybernetics 11 (1981).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

SWEEPS = 24
"""Rounds of ordering and of moving; drawings of some dozens of nodes have settled before."""


class Size(NamedTuple):
    """Of a node or a label, in units of the drawing."""

    width: float
    height: float


class Edge(NamedTuple):
    """From node to node, with the size of its label (0 × 0 = none)."""

    source: str
    target: str
    label: Size


class Place(NamedTuple):
    """The middle of something and its size."""

    x: float
    y: float
    width: float
    height: float


class Way(NamedTuple):
    """An arrow: points from source to target, where it leaves a node and enters the next; the place of its label."""

    points: tuple[tuple[float, float], ...]
    label: Place


class Layout(NamedTuple):
    """Where everything is, within `width` × `height`."""

    nodes: Mapping[str, Place]
    ways: tuple[Way, ...]
    width: float
    height: float


class _Item:
    """A node, a label or a place that an arrow passes."""

    __slots__ = ("above", "below", "height", "layer", "tall", "width", "x", "y")

    def __init__(self, layer: int, width: float, height: float) -> None:
        self.layer, self.width, self.height = layer, width, height
        self.x = self.y = self.tall = 0.0
        self.above: list[_Item] = []
        self.below: list[_Item] = []


def layers_of(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Layer of each node: behind all that lead to it; arrows that close a circle do not count.

    names : in the order in which they are looked at; the first ones stay on top where the graph has no better reason
    """
    out: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        if source != target and target not in out[source]:
            out[source].append(target)
    state: dict[str, int] = {}
    order: list[str] = []
    kept: dict[str, list[str]] = {name: [] for name in names}
    for root in names:
        stack = [(root, iter(out[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            name, rest = stack[-1]
            target = next(rest, "")
            if not target:
                state[name] = 2
                order.append(name)
                stack.pop()
            elif target not in state:
                kept[name].append(target)
                state[target] = 1
                stack.append((target, iter(out[target])))
            elif state[target] == 2:
                kept[name].append(target)
    layer = dict.fromkeys(names, 0)
    for name in reversed(order):
        for below in kept[name]:
            layer[below] = max(layer[below], layer[name] + 1)
    return layer


def lay_out(
    nodes: Mapping[str, Size], edges: Sequence[Edge], *, across: float = 28, down: float = 26, pass_width: float = 14
) -> Layout:
    """Lay out a graph.

    Parameters
    ----------
    nodes : size by name, the first ones on top
    edges : none from a node to itself
    across, down : least space between neighbours and between layers
    pass_width : of an arrow that passes a layer
    """
    layer = layers_of(list(nodes), [(one.source, one.target) for one in edges])
    items = {name: _Item(2 * layer[name], *size) for name, size in nodes.items()}
    rows: list[list[_Item]] = [[] for _ in range(2 * max(layer.values(), default=0) + 2)]
    for item in items.values():
        rows[item.layer].append(item)
    chains = [_chain(one, items, rows, pass_width) for one in edges]
    _order(rows)
    _move(rows, across)
    height = _stack(rows, down)
    left = min((one.x - one.width / 2 for row in rows for one in row), default=0.0)
    right = max((one.x + one.width / 2 for row in rows for one in row), default=0.0)
    for row in rows:
        for one in row:
            one.x -= left
    ways = tuple(_way(chain, label) for chain, label in chains)
    places = {name: Place(one.x, one.y, one.width, one.height) for name, one in items.items()}
    return Layout(places, ways, right - left, height)


def _chain(
    edge: Edge, items: Mapping[str, _Item], rows: list[list[_Item]], pass_width: float
) -> tuple[list[_Item], _Item]:
    """The items of an arrow from source to target, and the one that is its label."""
    source, target = items[edge.source], items[edge.target]
    down = source.layer < target.layer
    if source.layer == target.layer:  # Both stand side by side (a circle of two): the label hangs below.
        label = _Item(source.layer + 1, *edge.label)
        rows[label.layer].append(label)
        for one in (source, target):
            one.below.append(label)
            label.above.append(one)
        return [source, label, target], label
    top, bottom = (source, target) if down else (target, source)
    between = [_Item(at, pass_width, 0.0) for at in range(top.layer + 1, bottom.layer)]
    label = between[0 if down else -1]
    label.width, label.height = max(edge.label.width, pass_width), edge.label.height
    chain = [top, *between, bottom]
    for one in between:
        rows[one.layer].append(one)
    for upper, lower in pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
    return chain if down else chain[::-1], label


def _order(rows: list[list[_Item]]) -> None:
    """Order each layer by the mean place of its neighbours, downwards and upwards in turn; keep the best order."""
    places = {id(one): float(at) for row in rows for at, one in enumerate(row)}
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(SWEEPS):
        upwards = sweep % 2 == 1
        for row in reversed(rows) if upwards else rows:

            def mean(one: _Item, up: bool = upwards) -> float:
                near = one.below if up else one.above
                return sum(places[id(other)] for other in near) / len(near) if near else places[id(one)]

            row.sort(key=mean)
            places.update({id(one): float(at) for at, one in enumerate(row)})
        if (found := _crossings(rows)) < fewest:
            best, fewest = [list(row) for row in rows], found
    for row, kept in zip(rows, best, strict=True):
        row[:] = kept


def _crossings(rows: Sequence[Sequence[_Item]]) -> int:
    places = {id(one): at for row in rows for at, one in enumerate(row)}
    count = 0
    for row in rows:
        ends = [places[id(other)] for one in row for other in sorted(one.below, key=lambda below: places[id(below)])]
        count += sum(ends[at] > later for at in range(len(ends)) for later in ends[at + 1 :])
    return count


def _move(rows: Sequence[Sequence[_Item]], across: float) -> None:
    """Move what is ordered towards its neighbours, without overlap."""
    for row in rows:
        x = 0.0
        for one in row:
            one.x = x + one.width / 2
            x += one.width + across
        for one in row:
            one.x -= (x - across) / 2
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = []
            for one in row:
                near = (one.above if sweep % 2 == 0 else one.below) or one.above + one.below
                wanted.append(sum(other.x for other in near) / len(near) if near else one.x)
            for one, x in zip(row, _apart(row, wanted, across), strict=True):
                one.x = x


def _apart(row: Sequence[_Item], wanted: Sequence[float], across: float) -> list[float]:
    """Places as near as can be to those wanted, in their order: what would overlap is placed around its mean."""
    runs: list[tuple[float, int, float]] = []  # (sum of wanted less offsets, count, offset of the next within it)
    spans = [(a.width + b.width) / 2 + across for a, b in pairwise(row)]
    for at, x in enumerate(wanted):
        runs.append((x, 1, 0.0))
        while len(runs) > 1:
            (first, count, reach), (second, more, length) = runs[-2:]
            step = reach + spans[at - more]
            if first / count + step <= second / more:
                break
            runs[-2:] = [(first + second - more * step, count + more, step + length)]
    places, at = [], 0
    for total, count, _ in runs:
        x = total / count
        for number in range(count):
            x += spans[at - 1] if number else 0.0
            places.append(x)
            at += 1
    return places


def _stack(rows: Sequence[Sequence[_Item]], down: float) -> float:
    y = 0.0
    for row in rows:
        if row:
            tall = max(one.height for one in row)
            for one in row:
                one.y, one.tall = y + tall / 2, tall
            y += tall + down
    return max(y - down, 0.0)


def _way(chain: Sequence[_Item], label: _Item) -> Way:
    """Straight through every layer between its ends, where arrows spread over the side of the box."""
    points = [_port(chain[0], chain[1])]
    for before, one in pairwise(chain[:-1]):
        sign = 1 if one.y >= before.y else -1
        points += [(one.x, one.y - sign * one.tall / 2), (one.x, one.y + sign * one.tall / 2)]
    if len(chain) == 3 and chain[0].layer == chain[2].layer:
        points[-1] = (label.x, label.y - label.tall / 2)
    points.append(_port(chain[-1], chain[-2]))
    return Way(tuple(points), Place(label.x, label.y, label.width, label.height))


def _port(item: _Item, other: _Item) -> tuple[float, float]:
    below = other.layer > item.layer
    near = sorted(item.below if below else item.above, key=lambda one: one.x)
    place = next(at for at, one in enumerate(near) if one is other)
    spread = min(item.width * 0.7, 26.0 * (len(near) - 1))
    x = item.x + (spread * (place / (len(near) - 1) - 0.5) if len(near) > 1 else 0.0)
    return x, item.y + (item.height / 2 if below else -item.height / 2)
