"""What a set of hits amounts to, kept once it was seen, for tables whose outputs are constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quanheng.decisions.dmn.index import Places, Usable, column_cuts, silent
from quanheng.decisions.dmn.tables import Matched, TableNode, aggregate, best_first, same_output, single_hit
from quanheng.feel.values import Run

SETS_KEPT = 4096
COMPARED_MAX = 64
"""Tables of more rules are not compared two by two."""
ONE_OF_THEM = frozenset({"UNIQUE", "ANY", "PRIORITY"})
"""Hit policies that give an output of one rule though all are asked."""


def each_rule(bits: int, count: int) -> Iterator[int]:
    """Positions of the rules in a set, ascending."""
    while bits:
        length = bits.bit_length()
        yield count - length
        bits ^= 1 << (length - 1)


class Hits(dict[int, tuple[tuple[int, ...], tuple[object, ...]]]):
    """A set of hits → (rule numbers, their outputs)."""

    def __init__(self, rows: Sequence[object]) -> None:
        self.rows = rows

    def of(self, bits: int) -> tuple[tuple[int, ...], tuple[object, ...]]:
        positions = list(each_rule(bits, len(self.rows)))
        return tuple(position + 1 for position in positions), tuple(self.rows[position] for position in positions)

    def __missing__(self, bits: int) -> tuple[tuple[int, ...], tuple[object, ...]]:
        found = self.of(bits)
        if len(self) < SETS_KEPT:
            self[bits] = found
        return found


class Conclusions(dict[int, Matched | None]):
    """A set of hits, not empty → (result, rule numbers), where that is the same value each time and leaves no
    diagnostic; None where it must be concluded anew."""

    def __init__(self, node: TableNode, rows: Sequence[object]) -> None:
        self.node, self.hits = node, Hits(rows)

    def conclude(self, run: Run, at: int, bits: int) -> Matched:
        """By the hit policy: of one output, without names."""
        node, (rules, outputs) = self.node, self.hits.of(bits)
        if node.aggregation:
            return aggregate(run, at, node.aggregation, list(rules), list(outputs)), rules
        if len(rules) == 1:
            return outputs[0], rules
        if node.policy == "PRIORITY":
            return outputs[best_first(outputs, node.names, node.ranks)[0]], rules
        clash = single_hit if node.policy == "UNIQUE" else same_output
        return clash(run, at, list(rules), list(outputs))

    def __missing__(self, bits: int) -> Matched | None:
        run = Run()
        concluded = self.conclude(run, 0, bits)
        found = None if run or run.spent else concluded
        if len(self) < SETS_KEPT:
            self[bits] = found
        return found


def settles(node: TableNode) -> bool:
    """Does the hit policy give one plain value for a set of constant outputs?"""
    aggregated = node.policy == "COLLECT" and bool(node.aggregation)
    return not node.names and (aggregated or node.policy in ONE_OF_THEM)


def disjoint(node: TableNode) -> bool:
    """True where at most one rule can hold, and asking the others says nothing: then the first hit is the only one.

    Two rules exclude each other where some input cannot be in both of their cells.
    """
    if node.policy not in ONE_OF_THEM or len(node.rules) > COMPARED_MAX:
        return False
    if not all(silent(test) for rule in node.rules for test in rule.tests):
        return False
    usable = [Usable(clause.slot, clause.type) for clause in node.inputs]
    asked: dict[int, dict[int, int]] = {}
    for number, one in enumerate(usable):
        cells = [
            (position, cell)
            for position, rule in enumerate(node.rules)
            for test, column in zip(rule.tests, rule.columns, strict=True)
            if column == number and (cell := one.cell(test)) is not None
        ]
        places = Places(column_cuts([cell for _, cell in cells]))
        regions = asked.setdefault(number, {})
        for position, cell in cells:
            regions[position] = regions.get(position, -1) & places.region(cell).true
    count = len(node.rules)
    return all(
        any(not regions.get(first, -1) & regions.get(second, -1) for regions in asked.values())
        for first in range(count)
        for second in range(first + 1, count)
    )
