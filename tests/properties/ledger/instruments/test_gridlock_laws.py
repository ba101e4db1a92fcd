"""Gridlock resolution against all sets that can be tried: the largest in order, in whatever order one looks."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.ledger.instruments.gridlock import Claim, bypass, resolve
from quanheng.testing.slow_gridlock import allowed_in_any_order, allowed_in_order, is_allowed, positions_after

PARTIES = ["A", "B", "C", "D"]
pairs = st.permutations(PARTIES).map(lambda names: tuple(names[:2]))
claims = st.lists(st.tuples(pairs, st.integers(1, 12)), max_size=9).map(
    lambda rows: [Claim(n, *pair, amount) for n, (pair, amount) in enumerate(rows)]
)
positions = st.dictionaries(st.sampled_from(PARTIES), st.integers(-6, 6))
bounds = st.dictionaries(st.sampled_from(PARTIES), st.integers(-1, 15))


@settings(max_examples=250, deadline=None)
@given(claims, positions, bounds, st.integers(0, 2**32))
def test_it_contains_every_set_that_is_allowed_in_order(queue, position, bound, seed):
    released = resolve(queue, position, bound)
    ids = frozenset(released.ids)
    every = list(allowed_in_order(queue, position, bound))
    assert ids in every
    assert all(one <= ids for one in every), "the largest by number and by value at once"
    kept = [claim for claim in queue if claim.id in ids]
    after = positions_after(kept, position)
    assert {name: after.get(name, 0) for name in PARTIES} == {
        name: released.position_minor.get(name, 0) for name in PARTIES
    }
    look_at = PARTIES * 2
    random.Random(seed).shuffle(look_at)
    assert resolve(queue, position, bound, look_at).ids == released.ids


@settings(max_examples=150, deadline=None)
@given(claims, positions, bounds)
def test_bypass_adds_until_nothing_can_be_added_singly(queue, position, bound):
    in_order = resolve(queue, position, bound)
    ids = set(bypass(queue, in_order, bound).ids)
    assert ids >= set(in_order.ids)
    kept = [claim for claim in queue if claim.id in ids]
    assert is_allowed(kept, position, bound)
    assert len(ids) <= max(map(len, allowed_in_any_order(queue, position, bound)))
    for claim in queue:
        if claim.id not in ids:
            after = positions_after([*kept, claim], position)[claim.debtor]
            assert after < -bound[claim.debtor]


def test_a_ring_without_money_settles_whole():
    ring = [Claim(1, "A", "B", 9), Claim(2, "B", "C", 9), Claim(3, "C", "A", 9)]
    assert resolve(ring, {}, dict.fromkeys("ABC", 0)).ids == (1, 2, 3)


def test_bypass_is_not_the_largest_set():
    """Passing over in order of the queue takes the large one first, and then there is no room for the two others."""
    queue = [Claim(1, "A", "B", 9), Claim(2, "A", "C", 5), Claim(3, "A", "C", 5), Claim(4, "A", "C", 1)]
    bound = {"A": 10, "B": 0, "C": 0}
    in_order = resolve(queue, {}, bound)
    assert in_order.ids == (1,)
    assert bypass(queue, in_order, bound).ids == (1, 4)
    assert max(map(len, allowed_in_any_order(queue, {}, bound))) == 2
    queue[0] = Claim(1, "A", "B", 10)
    assert bypass(queue, resolve(queue, {}, bound), bound).ids == (1,)
    assert frozenset({2, 3}) in allowed_in_any_order(queue, {}, bound)
