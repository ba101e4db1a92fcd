"""One table over columns: places are combined, and each distinct combination is judged once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quanheng.decisions.columnar.coded import Coded, Codes, combine, series_of
from quanheng.decisions.columnar.known import Decided, Known, Mask, Texts, Values, compared, constant_column, read
from quanheng.decisions.columnar.plan import TablePlan
from quanheng.decisions.dmn.hits import each_rule
from quanheng.decisions.dmn.tables import TableNode, aggregate, best_first, same_output, single_hit
from quanheng.feel import inline, tree
from quanheng.feel.types import FeelType
from quanheng.feel.values import Run

KnownSlots = Mapping[int, Known]
Compute = Callable[[int, tree.Node], Values]
OnList = Callable[[str, Known], Mask]
"""Which rows of a column of texts are on the list of that name, each row at its own moment."""


REFUSED = -1
"""Stands for a set of hits where an input is outside its declared values: no rule is asked."""


class Unfit(Exception):
    """Internal: the columns of this frame cannot be compared exactly, so row code judges the table."""


def evaluate(
    plan: TablePlan, known: KnownSlots, rows: int, compute: Compute, lists: OnList | None = None
) -> tuple[Values, Coded]:
    """The result and the matched rules of a table in every row; without `lists` nothing is known of any list.

    Raises
    ------
    Unfit : row code must do it
    """
    known = {**known, **{slot: compute(slot, node) for slot, node in plan.computed}}
    every = (1 << len(plan.rows)) - 1
    parts: list[tuple[Codes, list[int]]] = []
    for column in plan.index.columns:
        places = known[column.slot].places(column)
        if places is None:
            raise Unfit
        parts.append(places)
    tests = Tests(known, rows, lists)
    for test, positions in plan.tests:
        asking = sum(1 << (len(plan.rows) - 1 - position) for position in positions)
        parts.append((tests.decided(test)[0].astype(np.uint8), [every & ~asking, every]))
    limits = limits_of(plan, known, tests)
    combined = combine([(codes, len(rules)) for codes, rules in [*parts, *limits]], rows)
    sets = [every] * len(combined.rows)
    for codes, rules in parts:
        shown = codes[combined.rows].tolist()
        sets = [one & rules[code] for one, code in zip(sets, shown, strict=True)]
    for codes, within in limits:
        shown = codes[combined.rows].tolist()
        sets = [one if within[code] else REFUSED for one, code in zip(sets, shown, strict=True)]
    return concluded(plan, combined.codes, sets)


def limits_of(plan: TablePlan, known: KnownSlots, tests: Tests) -> list[tuple[Codes, list[int]]]:
    """Per limit of an input its codes, and by code whether the value is among those declared (1) or not (0)."""
    found = []
    for column in plan.limits:
        places = known[column.slot].places(column)
        if places is None:
            raise Unfit
        found.append(places)
    return found + [(tests.decided(test)[0].astype(np.uint8), [0, 1]) for test in plan.limiting]


def concluded(plan: TablePlan, codes: Codes, sets: list[int]) -> tuple[Values, Coded]:
    """Sets of hits to results: what many combinations have in common is concluded once."""
    if plan.node.policy == "FIRST":
        sets = [1 << (one.bit_length() - 1) if one > 0 else one for one in sets]
    number: dict[int, int] = {}
    again = np.array([number.setdefault(one, len(number)) for one in sets], dtype=np.int64)
    results, matched = [], []
    for hits in number:
        result, rules = conclusion(plan, hits)
        results.append(result)
        matched.append(list(rules))
    codes = again[codes] if len(again) else codes
    return Values(Coded(codes, results)), Coded(codes, matched)


def conclusion(plan: TablePlan, hits: int) -> tuple[object, tuple[int, ...]]:
    """(result, matched rules) of one set of hits, as the hit policy has it."""
    if hits == REFUSED:
        return None, ()
    node: TableNode = plan.node
    positions = list(each_rule(hits, len(plan.rows)))
    rules = [position + 1 for position in positions]
    outputs = [plan.rows[position] for position in positions]
    matched = tuple(rules)
    if not rules:
        return plan.default, matched
    if node.policy in ("UNIQUE", "ANY") and len(rules) > 1:
        return (single_hit if node.policy == "UNIQUE" else same_output)(Run(), 0, rules, outputs)
    if node.policy in ("PRIORITY", "OUTPUT ORDER"):
        outputs = [outputs[index] for index in best_first(outputs, node.names, node.ranks)]
    if node.policy in ("UNIQUE", "ANY", "PRIORITY", "FIRST"):
        return outputs[0], matched
    if node.aggregation:
        return aggregate(Run(), 0, node.aggregation, rules, outputs), matched
    return outputs, matched


class Tests:
    """Conditions between variables, each part decided once for all rows."""

    def __init__(self, known: KnownSlots, rows: int, lists: OnList | None = None) -> None:
        self.known, self.rows, self.lists = known, rows, lists
        self._typed: dict[int, Known] = {}

    def decided(self, node: tree.Node) -> Decided:
        node = inline.unsourced(node)
        if isinstance(node, tree.Test):
            node = inline.plain_test(node) or node
        if isinstance(node, tree.Compare):
            return self.compared(node)
        if isinstance(node, tree.Listed):
            return self.listed(node)
        if isinstance(node, tree.Not):
            true, false = self.decided(node.value)
            return false, true
        if isinstance(node, tree.And | tree.Or):
            true, false = self.decided(node.parts[0])
            for part in node.parts[1:]:
                also, neither = self.decided(part)
                if isinstance(node, tree.And):
                    true, false = true & also, false | neither
                else:
                    true, false = true | also, false & neither
            return true, false
        if isinstance(node, tree.Const):
            return np.full(self.rows, node.value is True), np.full(self.rows, node.value is False)
        if isinstance(node, tree.Name):
            codes, values = self.known[node.slot].coded
            return (np.array([one is True for one in values])[codes], np.array([one is False for one in values])[codes])
        raise Unfit

    def listed(self, node: tree.Listed) -> Decided:
        """Whether texts are on a list; null is neither on it nor off it."""
        value = inline.unsourced(node.value)
        assert isinstance(value, tree.Name)
        known = self.known[value.slot]
        if self.lists is None:
            return np.zeros(self.rows, dtype=np.bool_), np.zeros(self.rows, dtype=np.bool_)
        if isinstance(known, Texts):
            present = np.ones(self.rows, dtype=np.bool_) if known.missing is None else ~known.missing
        else:
            texts, codes = known.coded.values, known.coded.codes
            present = np.array([one.__class__ is str for one in texts], dtype=np.bool_)[codes]
        true = self.lists(node.name, known) & present
        return true, ~true & present

    def compared(self, node: tree.Compare) -> Decided:
        left, right = inline.unsourced(node.left), inline.unsourced(node.right)
        if isinstance(left, tree.Const) and isinstance(right, tree.Name):
            left, right = right, left
            node = tree.Compare(node.type, node.at, _FLIPPED[node.op], left, right)
        if not isinstance(left, tree.Name):
            raise Unfit
        one = self.column(left)
        if isinstance(right, tree.Const) and right.value is None:
            return self.against_null(node.op, one)
        if isinstance(right, tree.Name):
            other: Known | None = self.column(right)
        else:
            other = constant_column(one, right.value) if isinstance(right, tree.Const) else None
        found = compared(node.op, one, other, self.rows) if other is not None else None
        if found is None:
            raise Unfit
        return found

    def against_null(self, op: str, one: Known) -> Decided:
        missing = one.missing if one.missing is not None else np.zeros(self.rows, dtype=np.bool_)
        if op not in ("=", "!="):
            return np.zeros(self.rows, dtype=np.bool_), np.zeros(self.rows, dtype=np.bool_)
        return (missing, ~missing) if op == "=" else (~missing, missing)

    def column(self, name: tree.Name) -> Known:
        """A variable for comparing; what a decision gave is typed first."""
        known = self.known[name.slot]
        if isinstance(known, Values):
            if name.slot not in self._typed:
                self._typed[name.slot] = typed(known, name.type)
            return self._typed[name.slot]
        return known


def typed(known: Values, kind: FeelType) -> Known:
    """Values of one simple type as such a column."""
    series = series_of("value", known.given)
    if not (series.dtype.is_integer() or series.dtype.is_decimal() or str(series.dtype) in ("String", "Boolean")):
        raise Unfit
    return read(series, kind, False)


_FLIPPED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
