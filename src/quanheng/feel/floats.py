"""Numbers that are declared as float. A binary float stands for the shortest decimal that reads back as the same float;
NaN and infinity stand for null.

That decimal rises with the float, so floats can be compared as they are, and with any exact bound once the bound is
brought to the floats around it: `x > 0.1` is true for the same floats as `decimal_of(x) > 0.1` is, and so is
`x >= least_from(b)` for a bound `b` that no float stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import inf, isfinite, nextafter
from typing import NamedTuple

from quanheng.feel import inline, tree
from quanheng.feel.types import NUMBER

_FLIPPED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
Exact = int | Decimal


def decimal_of(value: float) -> Decimal | None:
    """The number that a declared float stands for; None for NaN and infinity."""
    return Decimal(repr(value)) if isfinite(value) else None


def _nearest(value: Exact) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond all floats
        return inf if value > 0 else -inf


def float_of(value: Exact) -> float | None:
    """The float that stands for an exact number; None where there is none."""
    nearest = _nearest(value)
    return nearest if decimal_of(nearest) == value else None


def least_from(bound: Exact) -> float:
    """The least float that stands for `bound` or more; infinity where there is none."""
    nearest = _nearest(bound)
    return nearest if not isfinite(nearest) or Decimal(repr(nearest)) >= bound else nextafter(nearest, inf)


def least_above(bound: Exact) -> float:
    """The least float that stands for more than `bound`; infinity where there is none."""
    nearest = _nearest(bound)
    return nearest if not isfinite(nearest) or Decimal(repr(nearest)) > bound else nextafter(nearest, inf)


# -- comparisons in a tree


class FloatComparison(NamedTuple):
    """`left op right` of a declared float: `left` is its slot, `other` the slot of another one or None, and then
    `value` the constant."""

    op: str
    left: int
    other: int | None
    value: Exact | None


def float_comparison(node: tree.Compare, floats: Mapping[int, str]) -> FloatComparison | None:
    """A comparison that floats answer: of a variable in `floats` with another, with a number or with null."""
    if not floats or not inline.comparable(node):
        return None
    for one, other, op in ((node.left, node.right, node.op), (node.right, node.left, _FLIPPED[node.op])):
        name, against = inline.unsourced(one), inline.unsourced(other)
        if not isinstance(name, tree.Name) or name.slot not in floats:
            continue
        if isinstance(against, tree.Name) and against.slot in floats:
            return FloatComparison(op, name.slot, against.slot, None)
        found = inline.constant(against)
        if found is not None and (found[0] is None or against.type is NUMBER):
            return FloatComparison(op, name.slot, None, found[0])  # type: ignore[arg-type]
    return None


class FloatUses(NamedTuple):
    """How trees use declared floats: `compared`, pairs of slots (None = a constant), and `exact`, slots that are read
    for anything else."""

    compared: frozenset[tuple[int, int | None]]
    exact: frozenset[int]


def float_uses(nodes: Iterable[tree.Node], floats: Mapping[int, str]) -> FloatUses:
    """Look through trees; the same predicate decides what generated code does."""
    compared: set[tuple[int, int | None]] = set()
    exact: set[int] = set()
    seen: set[int] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, tree.Const) or id(node) in seen:  # rules share the trees of equal cells
            continue
        seen.add(id(node))
        asked = inline.plain_test(node) if isinstance(node, tree.Test) else node
        if isinstance(asked, tree.Compare) and (found := float_comparison(asked, floats)) is not None:
            compared.add((found.left, found.other))
            continue
        if isinstance(node, tree.Name) and node.slot in floats:
            exact.add(node.slot)
        waiting += tree.children(node)
    return FloatUses(frozenset(compared), frozenset(exact))
