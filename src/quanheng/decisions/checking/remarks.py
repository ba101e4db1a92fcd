"""What a table shows without a search: no rules, columns without a test, cells that cannot be decided, duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from quanheng.decisions.checking.findings import Finding, Kind, Severity, listed
from quanheng.decisions.checking.grid import Grid
from quanheng.feel.constants import constant_of
from quanheng.feel.literals import literal
from quanheng.feel.operators import equal

SHOWN_MAX = 20
"""Findings of one kind in one table; what is beyond is counted."""
DOUBTS_SHOWN_MAX = 3


class Table:
    """A table as the checks see it: its boxes, what its rules give, and where it stands."""

    def __init__(self, grid: Grid, file: str, decision: str) -> None:
        self.grid, self.file, self.decision = grid, file, decision
        self.policy = grid.node.policy
        self.outputs = [self._given(number) for number in range(grid.count)]
        """What each rule gives: the same text for the same values; None where it is not a constant."""
        self._texts = [tuple(rule.outputs) for rule in grid.box.rules]
        self._twins: dict[object, int] = {}
        for rule in range(grid.count):
            key = self._key(rule)
            self._twins[key] = self._twins.get(key, 0) | 1 << rule

    def _given(self, rule: int) -> tuple[object, ...] | None:
        found = [constant_of(one) for one in self.grid.node.rules[rule].outputs]
        return tuple(value for value, _ in found) if all(known for _, known in found) else None

    def _key(self, rule: int) -> object:
        given = self.outputs[rule]
        return self._texts[rule] if given is None else (len(given), *map(literal, given))

    def twins(self, rule: int) -> int:
        """The rules that certainly give the same as one, as bits."""
        return self._twins[self._key(rule)]

    def same(self, one: int, other: int) -> bool | None:
        """Whether two rules give the same; None where that depends on the input."""
        if self._texts[one] == self._texts[other]:
            return True
        left, right = self.outputs[one], self.outputs[other]
        if left is None or right is None:
            return None
        return all(equal(a, b) is True for a, b in zip(left, right, strict=True))

    def given(self, rule: int) -> str:
        """What a rule gives, in words."""
        return ", ".join(self._texts[rule])

    def line(self, rules: Sequence[int]) -> int:
        return self.grid.box.rules[rules[-1]].at if rules else self.grid.box.at

    def finding(
        self,
        kind: Kind,
        severity: Severity,
        message: str,
        cure: str,
        rules: Sequence[int] = (),
        shown: tuple[Mapping[str, object], Mapping[str, object]] = ({}, {}),
    ) -> Finding:
        """A finding about rules (counted from 0 here, from 1 for people)."""
        numbers = tuple(rule + 1 for rule in rules)
        return Finding(kind, severity, self.file, self.decision, self.line(rules), message, cure, numbers, *shown)


def plain(table: Table) -> Iterator[Finding]:
    """What stands in the table as it is."""
    grid = table.grid
    if not grid.count:
        result = "the default output" if grid.node.defaults else "null"
        yield table.finding("empty", "warning", f"the table has no rule: it always gives {result}", "Add its rules.")
        return
    for column, clause in enumerate(grid.box.inputs):
        if not any(column in rule.columns for rule in grid.node.rules):
            message = f"no rule tests the column {clause.label!r}"
            yield table.finding("unused", "note", message, "Remove the column, or write its tests.")
    for label in grid.strange:
        message = f"the values declared for the column {label!r} cannot be read as tests, so they are not enforced"
        yield table.finding("values", "problem", message, "Correct <inputValues>.")
    yield from _undeclared(table)
    if grid.doubts:
        yield _doubts(table)
    for rule in range(grid.count):
        empty = [one for one in grid.dimensions if not one.may.sets[one.may.of[rule]]]
        if empty:
            texts = [
                f"{grid.box.rules[rule].tests[column]!r} of {one.title!r}" for one in empty for column in one.columns
            ]
            message = f"rule {rule + 1} can never hold: no value that is allowed satisfies {' and '.join(texts)}"
            yield table.finding("never", "warning", message, "Correct the cell, or remove the rule.", [rule])


def _undeclared(table: Table) -> Iterator[Finding]:
    """Rules that give a constant that their output does not declare: under PRIORITY it comes after all that are."""
    grid = table.grid
    last = table.policy in ("PRIORITY", "OUTPUT ORDER")
    for output, clause in enumerate(grid.box.outputs):
        name = f"the output {clause.name!r}" if clause.name else "the output"
        test = grid.tests(clause.allowed)
        if clause.allowed and test is None:
            message = f"the values declared for {name} cannot be read as tests, so they are not used by the check"
            yield table.finding("values", "warning", message, "Correct <outputValues>.")
        rules: dict[str, list[int]] = {}
        for rule, given in enumerate(table.outputs):
            value = None if given is None else given[output]
            if test is not None and value is not None and not test(value):
                rules.setdefault(grid.box.rules[rule].outputs[output], []).append(rule)
        for text, those in rules.items():
            gives = f"rule {those[0] + 1} gives" if len(those) == 1 else f"rules {listed([n + 1 for n in those])} give"
            message = f"{gives} {text}, which {name} does not declare"
            message += ": it comes after all that are declared" if last else ""
            cure = "Correct the rule, or add the value to <outputValues>."
            yield table.finding("values", "warning", message, cure, those)


def _doubts(table: Table) -> Finding:
    grid = table.grid
    told = [
        f"rule {rule + 1}, {grid.box.inputs[column].label!r} ({grid.box.rules[rule].tests[column]!r}: {why})"
        for rule, column, why in grid.doubts[:DOUBTS_SHOWN_MAX]
    ]
    more = len(grid.doubts) - len(told)
    further = f" and {more} more" if more > 0 else ""
    count = f"{len(grid.doubts)} cell{'s are' if len(grid.doubts) != 1 else ' is'}"
    message = f"{count} not decided by the check, so what depends on them is not claimed: {'; '.join(told)}{further}"
    return table.finding("undecided", "note", message, "Nothing need be done; cover these rules by cases.")


def duplicates(table: Table) -> Iterator[Finding]:
    """Rules with the same tests, where neither an overlap nor a hidden rule says so already."""
    grid = table.grid
    doubtful = {one.rule for one in grid.doubts}
    first: dict[tuple[object, ...], int] = {}
    for rule, node in enumerate(grid.node.rules):
        key = tuple(zip(node.columns, map(id, node.tests), strict=True))
        earlier = first.setdefault(key, rule)
        if earlier == rule:
            continue
        same = table.same(earlier, rule)
        twice = table.policy in ("COLLECT", "RULE ORDER", "OUTPUT ORDER") and same
        if twice or rule in doubtful:
            message = f"rules {listed((earlier + 1, rule + 1))} have the same tests"
            message += f" and give the same: {table.given(rule)}" if same else ""
            yield table.finding("duplicate", "warning", message, "Remove one of them.", [earlier, rule])
