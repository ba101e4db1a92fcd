"""Matches items of the ledger with items of a statement, one kind of reason after another.

The same items in any order give the same matches: ties are broken by day, then id. Each item is in one match at most.
Within a reference, or an amount, items are paired in order of time; that pairs as many as can be.

Complexity, n items in all: O(n log n) for references, batches, reversals, amounts, timing; for fees times their number;
O(g^2 + g c^(k-1)) for groups, g items left, c = candidates_max, k = group_max.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from quanheng.kernel.errors import InputError
from quanheng.ledger.reconciliation.groups import subset
from quanheng.ledger.reconciliation.rules import BreakKind, Fee, Item, MatchKind, Rules, check_rules


class Match(NamedTuple):
    """Items that belong together.

    difference_minor : ledger less statement
    days : greatest distance in time between the sides
    detail : what explains the difference, such as the fee's name
    """

    kind: MatchKind
    ledger: tuple[str, ...]
    statement: tuple[str, ...]
    difference_minor: int = 0
    days: int = 0
    detail: str = ""


class Break(NamedTuple):
    """An item that is left on a side, "ledger" or "statement".

    other : the item of the other side, or of its own, that says why
    difference_minor : ledger less statement, where the amount differs
    """

    side: str
    kind: BreakKind
    item: Item
    other: str = ""
    difference_minor: int = 0


class Reconciliation(NamedTuple):
    """All matches in the order they were found, and all breaks, those of the ledger first, by day and id."""

    matches: tuple[Match, ...]
    breaks: tuple[Break, ...]


def reconcile(ledger: Sequence[Item], statement: Sequence[Item], rules: Rules) -> Reconciliation:
    """Match the two sides.

    Raises
    ------
    InputError : rules that cannot be, or an id that stands twice on one side
    """
    check_rules(rules)
    matcher = _Matcher(_ordered(ledger, "ledger"), _ordered(statement, "statement"), rules)
    matcher.by_reference()
    matcher.by_batch()
    matcher.by_reversal()
    matcher.by_amount()
    matcher.by_timing()
    matcher.by_fee()
    matcher.by_tolerance()
    matcher.by_group()
    return Reconciliation(tuple(matcher.matches), tuple(matcher.breaks()))


class _Matcher:
    def __init__(self, ledger: dict[str, Item], statement: dict[str, Item], rules: Rules) -> None:
        self.all = ledger, statement
        self.left = dict(ledger), dict(statement)
        self.rules = rules
        self.matches: list[Match] = []

    # --- stages

    def by_reference(self) -> None:
        """Same reference, same amount, within the window."""
        self._pairs(MatchKind.REFERENCE, _same, _same, self.rules.window_days)

    def by_batch(self) -> None:
        """Items with a batch sum to the one item that has it as its reference, with a known fee or none."""
        for one, other in ((0, 1), (1, 0)):
            batches = _grouped(self.left[one].values(), lambda item: item.batch)
            for item in list(self.left[other].values()):
                parts = batches.get(item.reference, [])
                if not parts or _distance(parts, [item]) > self.rules.timing_days:
                    continue
                sides = ((parts, [item]), ([item], parts))[one]
                detail = self._explained(*sides)
                if detail is not None:
                    self._match(MatchKind.BATCH, *sides, detail)
                    batches.pop(item.reference)

    def by_reversal(self) -> None:
        """An item and what takes it back, if neither was matched."""
        for side in (0, 1):
            for item in list(self.left[side].values()):
                back = self.left[side].get(item.reverses)
                if back is None or back is item or item.id not in self.left[side]:
                    continue
                if item.amount_minor == -back.amount_minor:
                    sides = ([back, item], []) if side == 0 else ([], [back, item])
                    self._match(MatchKind.REVERSED, *sides)

    def by_amount(self) -> None:
        """Same amount within the window, where not both sides have a reference."""
        self._pairs(MatchKind.AMOUNT, _amount_named, _amount_unnamed, self.rules.window_days)
        self._pairs(MatchKind.AMOUNT, _amount_unnamed, _amount, self.rules.window_days)

    def by_timing(self) -> None:
        """Same reference, same amount, outside of the window."""
        self._pairs(MatchKind.TIMING, _same, _same, self.rules.timing_days)

    def by_fee(self) -> None:
        """The statement is the ledger less a fee: with one reference first, then near in time without."""
        for fee in self.rules.fees:
            self._pairs(MatchKind.FEE, _name_less(fee), _same, self.rules.timing_days, fee.name)
        for fee in self.rules.fees:
            self._pairs(MatchKind.FEE, _amount_less(fee), _amount_unnamed, self.rules.window_days, fee.name)

    def by_tolerance(self) -> None:
        """One reference, and amounts that differ by the tolerance at most."""
        if not self.rules.tolerance_minor:
            return
        named = _grouped(self.left[1].values(), lambda item: item.reference)
        for one in list(self.left[0].values()):
            near = [
                other for other in named.get(one.reference, [])
                if other.id in self.left[1]
                and abs(one.amount_minor - other.amount_minor) <= self.rules.tolerance_minor
                and abs(one.day - other.day) <= self.rules.timing_days
            ]  # fmt: skip
            if near:
                best = min(near, key=lambda other: (abs(one.amount_minor - other.amount_minor), other.day, other.id))
                self._match(MatchKind.TOLERANCE, [one], [best])

    def by_group(self) -> None:
        """Two or more items of one side, near in time, sum to one of the other: the fewest, then the earliest."""
        for side, other in ((1, 0), (0, 1)):
            for item in list(self.left[side].values()):
                near = [
                    one for one in self.left[other].values() if abs(one.day - item.day) <= self.rules.window_days
                ]  # fmt: skip
                if parts := self._parts(item, near):
                    self._match(MatchKind.GROUP, *((parts, [item]) if other == 0 else ([item], parts)))

    def _parts(self, item: Item, near: list[Item]) -> list[Item]:
        """Two of all that are near, or more of those that are nearest."""
        if self.rules.group_max < 2:
            return []
        total = item.amount_minor
        if places := subset([one.amount_minor for one in near], total, 2):
            return [near[place] for place in places]
        nearest = sorted(near, key=lambda one: (abs(one.day - item.day), one.day, one.id))
        chosen = sorted(nearest[: self.rules.candidates_max], key=_place)
        places = subset([one.amount_minor for one in chosen], total, self.rules.group_max, 3)
        return [chosen[place] for place in places]

    # --- what is left

    def breaks(self) -> Iterator[Break]:
        """Why each item that is left is left."""
        for side in (0, 1):
            matched = _grouped((one for id, one in self.all[side].items() if id not in self.left[side]), _same)
            named = _grouped(self.left[1 - side].values(), lambda one: one.reference)
            sized = _grouped(self.left[1 - side].values(), _amount)
            for item in self.left[side].values():
                yield _break(side, item, matched, named, sized)

    # --- inside

    def _pairs(
        self, kind: MatchKind, key: Callable[[Item], Hashable], other_key: Callable[[Item], Hashable],
        days: int, detail: str = "",
    ) -> None:  # fmt: skip
        """Pair items with one key in order of time. Keys of None pair with nothing."""
        ours, theirs = _grouped(self.left[0].values(), key), _grouped(self.left[1].values(), other_key)
        for name, ones in ours.items():
            others, at = theirs.get(name, []), 0
            for one in ones:
                while at < len(others) and others[at].day < one.day - days:
                    at += 1
                if at < len(others) and others[at].day <= one.day + days:
                    self._match(kind, [one], [others[at]], detail)
                    at += 1

    def _explained(self, ledger: Sequence[Item], statement: Sequence[Item]) -> str | None:
        """Nothing to explain, the name of the fee that explains it, or None."""
        total, paid = _sum(ledger), _sum(statement)
        if total == paid:
            return ""
        return next((fee.name for fee in self.rules.fees if total - fee.of(total) == paid), None)

    def _match(self, kind: MatchKind, ledger: Sequence[Item], statement: Sequence[Item], detail: str = "") -> None:
        for side, items in zip(self.left, (ledger, statement), strict=True):
            for one in items:
                del side[one.id]
        days = _distance(ledger, statement)
        ids = [tuple(one.id for one in items) for items in (ledger, statement)]
        difference = _sum(ledger) - _sum(statement)
        self.matches.append(Match(kind, ids[0], ids[1], difference, days, detail))


def _break(
    side: int, item: Item, matched: dict[Hashable, list[Item]], named: dict[Hashable, list[Item]],
    sized: dict[Hashable, list[Item]],
) -> Break:  # fmt: skip
    name = ("ledger", "statement")[side]
    if twins := matched.get(_same(item) or "", []):
        return Break(name, BreakKind.DUPLICATE, item, twins[0].id)
    same_name, same_size = named.get(item.reference, []), sized.get(item.amount_minor, [])
    if other := next((one for one in same_name if one.amount_minor != item.amount_minor), None):
        difference = (item.amount_minor - other.amount_minor) * (1 if side == 0 else -1)
        return Break(name, BreakKind.AMOUNT_DIFFERS, item, other.id, difference)
    if near := [one for one in same_size if not item.reference or one.reference in ("", item.reference)]:
        return Break(
            name, BreakKind.DATE_DIFFERS, item, min(near, key=lambda one: (abs(one.day - item.day), one.id)).id
        )
    return Break(name, (BreakKind.NOT_IN_STATEMENT, BreakKind.NOT_IN_LEDGER)[side], item)


def _ordered(items: Sequence[Item], side: str) -> dict[str, Item]:
    found = {one.id: one for one in sorted(items, key=_place)}
    if len(found) < len(items):
        twice = sorted(one.id for one in items)
        again = next(one for one, other in pairwise(twice) if one == other)
        raise InputError(
            "an id stands twice on one side",
            where=side,
            found=repr(again),
            allowed="ids that are distinct on their side",
            cure="Number the lines.",
        )
    return found


def _place(item: Item) -> tuple[int, str]:
    return item.day, item.id


def _same(item: Item) -> tuple[str, int] | None:
    return (item.reference, item.amount_minor) if item.reference else None


def _name_less(fee: Fee) -> Callable[[Item], Hashable]:
    return lambda one: (one.reference, one.amount_minor - fee.of(one.amount_minor)) if one.reference else None


def _amount_less(fee: Fee) -> Callable[[Item], Hashable]:
    return lambda one: one.amount_minor - fee.of(one.amount_minor)


def _amount(item: Item) -> int:
    return item.amount_minor


def _amount_named(item: Item) -> int | None:
    return item.amount_minor if item.reference else None


def _amount_unnamed(item: Item) -> int | None:
    return None if item.reference else item.amount_minor


def _grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> dict[Hashable, list[Item]]:
    """Items by key, in their order; a key of None or "" is none."""
    found: dict[Hashable, list[Item]] = defaultdict(list)
    for one in items:
        name = key(one)
        if name is not None and name != "":
            found[name].append(one)
    return found


def _sum(items: Iterable[Item]) -> int:
    return sum(one.amount_minor for one in items)


def _distance(ledger: Sequence[Item], statement: Sequence[Item]) -> int:
    return max((abs(one.day - other.day) for one in ledger for other in statement), default=0)
