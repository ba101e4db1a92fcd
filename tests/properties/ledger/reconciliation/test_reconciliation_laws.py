"""Laws of reconciliation: the plain twin, any order of items, nothing matched twice, every difference accounted for."""

from __future__ import annotations

import random
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.ledger.reconciliation.groups import subset
from quanheng.ledger.reconciliation.matching import reconcile
from quanheng.ledger.reconciliation.rules import Fee, Item, MatchKind, Rules
from quanheng.testing.slow_reconciliation import SlowReconciliation

items = st.builds(
    Item,
    id=st.just(""),
    amount_minor=st.sampled_from([-7, 0, 5, 7, 10, 12, 17, 100, 98, 101, 200, 195]),
    day=st.integers(0, 12),
    reference=st.sampled_from(["", "", "a", "b", "c", "s1"]),
    batch=st.sampled_from(["", "", "s1", "b"]),
    reverses=st.sampled_from(["", "", "0", "1", "2", "3"]),
)
sides = st.lists(items, max_size=12).map(lambda many: [one._replace(id=str(n)) for n, one in enumerate(many)])
fees = st.lists(
    st.sampled_from([Fee("card", 0, Decimal("0.02")), Fee("wire", 5), Fee("mixed", 1, Decimal("0.01"))]),
    unique_by=lambda one: one.name, max_size=2,
)  # fmt: skip
rules = st.builds(
    Rules, window_days=st.integers(0, 3), timing_days=st.integers(3, 9), tolerance_minor=st.integers(0, 2),
    fees=fees.map(tuple), group_max=st.integers(1, 4), candidates_max=st.integers(1, 8),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(sides, sides, rules, st.randoms())
def test_the_twin_finds_the_same_whatever_the_order(ledger, statement, agreed, rng):
    found = reconcile(ledger, statement, agreed)
    slow = SlowReconciliation(ledger, statement, agreed)
    assert sorted(found.matches) == sorted(slow.matches)
    left = [(one.side, one.item) for one in found.breaks]
    assert left == [("ledger", one) for one in slow.ledger] + [("statement", one) for one in slow.statement]
    rng.shuffle(ledger)
    rng.shuffle(statement)
    assert reconcile(ledger, statement, agreed) == found


@settings(max_examples=200, deadline=None)
@given(sides, sides, rules)
def test_every_item_and_every_difference_is_accounted_for(ledger, statement, agreed):
    found = reconcile(ledger, statement, agreed)
    for place, side in ((1, ledger), (2, statement)):
        used = [id for match in found.matches for id in match[place]]
        left = [one.item.id for one in found.breaks if one.side == ("ledger", "statement")[place - 1]]
        assert sorted(used + left) == sorted(one.id for one in side)
    open_ = {side: sum(b.item.amount_minor for b in found.breaks if b.side == side) for side in ("ledger", "statement")}
    total = sum(one.amount_minor for one in ledger) - sum(one.amount_minor for one in statement)
    assert total == sum(one.difference_minor for one in found.matches) + open_["ledger"] - open_["statement"]
    explained = MatchKind.FEE, MatchKind.TOLERANCE, MatchKind.BATCH
    assert all(one.difference_minor == 0 or one.kind in explained for one in found.matches)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-20, 60), max_size=12), st.integers(-30, 150), st.integers(1, 5))
def test_a_group_is_found_where_there_is_one(amounts, total, size_max):
    places = subset(amounts, total, size_max)
    sums = {0: {0}}
    for amount in amounts:
        for size in sorted(sums, reverse=True):
            sums.setdefault(size + 1, set()).update({one + amount for one in sums[size]})
    there = any(total in sums.get(size, ()) for size in range(2, size_max + 1))
    assert bool(places) == there
    assert sum(amounts[place] for place in places) == (total if places else 0)


def test_items_that_were_taken_apart_are_put_together_again():
    """A statement made of the ledger by known means is matched whole, and each match has its reason."""
    rng, ledger, statement = random.Random(3), [], []
    for number in range(400):
        amount, day, how = rng.randrange(10_000, 10**7), rng.randrange(60), number % 5
        name = f"r{number}"
        if how == 3:
            parts = [rng.randrange(1_000, 10**6) for _ in range(3)]
            ledger += [Item(f"{number}.{n}", part, day, f"p{number}.{n}", name) for n, part in enumerate(parts)]
            statement.append(Item(f"s{number}", sum(parts), day + 1, name))
            continue
        ledger.append(Item(f"{number}", amount, day, name))
        changed = {0: (amount, day), 1: (amount, day + 7), 2: (amount - 250, day + 1), 4: (amount + 1, day)}[how]
        statement.append(Item(f"s{number}", *changed, name))
    found = reconcile(ledger, statement, Rules(tolerance_minor=2, fees=(Fee("wire", 250),)))
    assert found.breaks == ()
    kinds = [sum(one.kind == kind for one in found.matches) for kind in MatchKind]
    assert dict(zip(MatchKind, kinds, strict=True)) == {
        MatchKind.REFERENCE: 80, MatchKind.BATCH: 80, MatchKind.REVERSED: 0, MatchKind.AMOUNT: 0,
        MatchKind.TIMING: 80, MatchKind.FEE: 80, MatchKind.TOLERANCE: 80, MatchKind.GROUP: 0,
    }  # fmt: skip
