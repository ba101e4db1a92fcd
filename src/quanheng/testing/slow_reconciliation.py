"""Reconciliation the plain way: every item is held against every other, stage after stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from quanheng.ledger.reconciliation.matching import Match
from quanheng.ledger.reconciliation.rules import Fee, Item, MatchKind, Rules

K = MatchKind


class SlowReconciliation:
    """Matches found, and the items left on each side."""

    def __init__(self, ledger: Sequence[Item], statement: Sequence[Item], rules: Rules) -> None:
        self.rules = rules
        self.ledger = sorted(ledger, key=lambda one: (one.day, one.id))
        self.statement = sorted(statement, key=lambda one: (one.day, one.id))
        self.matches: list[Match] = []
        window, timing = rules.window_days, rules.timing_days
        self.pairs(K.REFERENCE, window, lambda a, b: named(a, b) and a.amount_minor == b.amount_minor)
        self.batches()
        self.reversals()
        self.pairs(K.AMOUNT, window, lambda a, b: bool(a.reference) and not b.reference and equal(a, b))
        self.pairs(K.AMOUNT, window, lambda a, b: not a.reference and equal(a, b))
        self.pairs(K.TIMING, timing, lambda a, b: named(a, b) and equal(a, b))
        for fee in rules.fees:
            self.pairs(K.FEE, timing, paid_less(fee, unnamed=False), fee.name)
        for fee in rules.fees:
            self.pairs(K.FEE, window, paid_less(fee, unnamed=True), fee.name)
        self.tolerances()
        self.groups(self.statement, self.ledger)
        self.groups(self.ledger, self.statement)

    def take(self, kind: MatchKind, ledger: Sequence[Item], statement: Sequence[Item], detail: str = "") -> None:
        """Note a match and take its items away."""
        for one in ledger:
            self.ledger.remove(one)
        for one in statement:
            self.statement.remove(one)
        days = max([abs(a.day - b.day) for a in ledger for b in statement] or [0])
        difference = sum(one.amount_minor for one in ledger) - sum(one.amount_minor for one in statement)
        ids = tuple(one.id for one in ledger), tuple(one.id for one in statement)
        self.matches.append(Match(kind, *ids, difference, days, detail))

    def pairs(self, kind: MatchKind, days: int, fits: Callable[[Item, Item], bool], detail: str = "") -> None:
        for one in list(self.ledger):
            for other in self.statement:
                if abs(one.day - other.day) <= days and fits(one, other):
                    self.take(kind, [one], [other], detail)
                    break

    def batches(self) -> None:
        for parts_of_ledger in (True, False):
            many, few = (self.ledger, self.statement) if parts_of_ledger else (self.statement, self.ledger)
            for item in list(few):
                parts = [one for one in many if one.batch and one.batch == item.reference]
                if not parts or max(abs(one.day - item.day) for one in parts) > self.rules.timing_days:
                    continue
                ledger, statement = (parts, [item]) if parts_of_ledger else ([item], parts)
                total = sum(one.amount_minor for one in ledger)
                there = sum(one.amount_minor for one in statement)
                details = [""] if total == there else [f.name for f in self.rules.fees if total - f.of(total) == there]
                if details:
                    self.take(K.BATCH, ledger, statement, details[0])

    def reversals(self) -> None:
        for side in (self.ledger, self.statement):
            for item in list(side):
                found = [one for one in side if one.id == item.reverses and one.amount_minor == -item.amount_minor]
                if found and item in side and found[0] is not item:
                    both = [found[0], item]
                    self.take(K.REVERSED, *((both, []) if side is self.ledger else ([], both)))

    def tolerances(self) -> None:
        for one in list(self.ledger):
            near = [
                (abs(one.amount_minor - other.amount_minor), other.day, other.id, other)
                for other in self.statement
                if named(one, other) and abs(one.day - other.day) <= self.rules.timing_days
            ]
            near = [found for found in near if found[0] <= self.rules.tolerance_minor]
            if near and self.rules.tolerance_minor:
                self.take(K.TOLERANCE, [one], [min(near)[-1]])

    def groups(self, few: list[Item], many: list[Item]) -> None:
        for item in list(few):
            near = [one for one in many if abs(one.day - item.day) <= self.rules.window_days]
            few_near = sorted(near, key=lambda one: (abs(one.day - item.day), one.day, one.id))
            few_near = sorted(few_near[: self.rules.candidates_max], key=lambda one: (one.day, one.id))
            sizes = range(2, self.rules.group_max + 1)
            sets = (chosen for size in sizes for chosen in combinations(near if size == 2 else few_near, size))
            for chosen in sets:
                if sum(one.amount_minor for one in chosen) == item.amount_minor:
                    self.take(K.GROUP, *((chosen, [item]) if many is self.ledger else ([item], chosen)))
                    break


def named(one: Item, other: Item) -> bool:
    return bool(one.reference) and one.reference == other.reference


def equal(one: Item, other: Item) -> bool:
    return one.amount_minor == other.amount_minor


def paid_less(fee: Fee, unnamed: bool) -> Callable[[Item, Item], bool]:
    """Whether the other side has the amount less its fee, under the same reference or under none."""

    def fits(one: Item, other: Item) -> bool:
        who = not other.reference if unnamed else named(one, other)
        return who and one.amount_minor - fee.of(one.amount_minor) == other.amount_minor

    return fits
