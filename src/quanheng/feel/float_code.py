"""Comparisons of declared floats as Python: bounds become floats once, when the code is made (`floats.py`)."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from quanheng.feel import py, tree
from quanheng.feel.floats import FloatComparison, float_comparison, float_of, least_from


class OnFloats(NamedTuple):
    """`holds` is true exactly where a comparison is true; `missing` tells, per variable, whether it is null."""

    holds: ast.expr
    missing: tuple[ast.expr, ...]


def on_floats(node: tree.Compare, op: str, floats: Mapping[int, str]) -> OnFloats | None:
    """The comparison with `op` in place of its own; None where floats do not answer it."""
    found = float_comparison(node if op == node.op else replace(node, op=op), floats)
    if found is None:
        return None
    slots = (found.left,) if found.other is None else (found.left, found.other)
    return OnFloats(_holds(found), tuple(_missing(slot) for slot in slots))


def _missing(slot: int) -> ast.expr:
    """NaN, which is null here, differs from itself."""
    return py.compare(py.name(f"v{slot}"), ("!=", py.name(f"v{slot}")))


def _holds(asked: FloatComparison) -> ast.expr:
    """An order is never true of NaN, so it needs no guard."""
    left, op = py.name(f"v{asked.left}"), asked.op
    if asked.other is not None:
        if op not in ("=", "!="):
            return py.compare(left, (op, py.name(f"v{asked.other}")))
        nothing = py.both(_missing(asked.left), _missing(asked.other))
        same = py.any_of(py.compare(left, ("=", py.name(f"v{asked.other}"))), nothing)
        return same if op == "=" else py.negated(same)
    if asked.value is None:
        return py.compare(left, ("!=" if op == "=" else "=", left))
    if (exact := float_of(asked.value)) is not None:
        return py.compare(left, (op, py.const(exact)))
    if op in ("=", "!="):
        return py.const(op == "!=")
    # The bound lies between two floats, and neither of them is it.
    return py.compare(left, (">=" if op in (">", ">=") else "<", py.const(least_from(asked.value))))
