"""Smallest cases at edges that random worlds seldom meet: what a ring keeps, carries, exact ends of ranges."""

from __future__ import annotations

import random

import numpy as np
import pytest

from quanheng.features.fixed import log2_words
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel import words as w
from quanheng.features.kernel.conditions import added, multiplied
from quanheng.features.kernel.entropy import entropy_of
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.testing.slow_features import Event, SlowFeatures, as_arrays
from quanheng.testing.slow_moments import Point, marked

PAY = EventLayout("pay", 1, ("card",), ("amount",))


def pay(time, amount=1):
    return Event(1, time, ((1, 1),), (amount,))


def run(state, *events):
    return state.run(*as_arrays(events, 1, 1))[:, 0].tolist()


def state_of(*folds, lateness_ms=0):
    return FeatureState(Plan.compile([PAY], folds, ["pay"], lateness_ms))


def rows_of(state):
    """(time, first value) of the rows in the ring of the one key of the first table."""
    words, arena = state.plan.words, state._arena
    table = int(words[words[w.P_TABLES]])
    (slot,) = state._slots(int(words[table + w.T_STATE]))
    stride, mask = int(words[table + w.T_STRIDE]), int(arena[slot + w.K_CAPACITY]) - 1
    places = [
        int(arena[slot + w.K_RING]) + (position & mask) * stride
        for position in range(int(arena[slot + w.K_HEAD]), int(arena[slot + w.K_TAIL]))
    ]
    return [(int(arena[at]), int(arena[at + 1])) for at in places]


def test_a_ring_lets_go_of_what_no_window_can_hold_any_more():
    """A window is open at its low edge, so a row at the edge of the latest moment still allowed for is let go."""
    state = state_of(Fold("sum", "pay", ("card",), "sum", "amount", 10), lateness_ms=5)
    run(state, pay(0), pay(1), pay(15))
    assert [time for time, _ in rows_of(state)] == [1, 15]
    run(state, pay(100))
    assert [time for time, _ in rows_of(state)] == [100]
    run(state, pay(95), pay(105))
    assert [time for time, _ in rows_of(state)] == [95, 100, 105]


def test_a_ring_keeps_as_many_rows_as_are_asked_for():
    state = state_of(Fold("last", "pay", ("card",), "sum", "amount", last=2))
    run(state, *(pay(time) for time in range(0, 50, 10)))
    assert [time for time, _ in rows_of(state)] == [20, 30, 40]  # Two before the newest moment, and the event itself.


@pytest.mark.parametrize("seed", range(6))
def test_rows_lie_in_order_of_time_and_arrival_however_they_come(seed):
    """Through growth, around the end of the ring, and with dry runs that put rows between others and take them back."""
    rng = random.Random(seed)
    window, lateness = rng.choice([20, 60, 10**6]), rng.choice([40, 300])
    state = state_of(
        Fold("sum", "pay", ("card",), "sum", "amount", window),
        Fold("least", "pay", ("card",), "min", "amount", window),
        lateness_ms=lateness,
    )
    clock, kept = 0, []
    for number in range(600):
        clock += rng.choice([0, 1, 1, 3])
        time, amount = clock - (rng.randrange(lateness) if rng.random() < 0.2 else 0), rng.randrange(10**6)
        if rng.random() < 0.1:
            state.peek(*as_arrays([pay(clock - rng.randrange(lateness), 9) for _ in range(rng.choice([1, 5]))], 1, 1))
        answer = state.run(*as_arrays([pay(time, amount)], 1, 1))[0].tolist()
        kept.append((time, amount))
        found = rows_of(state)
        assert found == sorted(kept, key=lambda row: row[0])[-len(found) :], f"seed={seed} event {number}"
        values = [value for at, value in kept if time - window < at <= time]
        assert answer == [sum(values), min(values)], f"seed={seed} event {number}"


@pytest.mark.parametrize(
    ("before", "now", "more"),
    [
        (0, w.NUMBER_MAX, w.NUMBER_MAX),
        (-1, w.NUMBER_MAX, None),
        (0, w.NUMBER_MIN, w.NUMBER_MIN),
        (1, w.NUMBER_MIN, None),
    ],
)
def test_a_change_fits_up_to_the_last_number(before, now, more):
    state = state_of(Fold("change", "pay", ("card",), "change", "amount", 10))
    run(state, pay(0, before))
    if more is None:
        with pytest.raises(FeatureOverflow, match="fold change, event 0 of the group"):
            run(state, pay(15, now))
    else:
        assert run(state, pay(15, now)) == [more]


def test_registers_know_how_many_kept_rows_have_a_value():
    """They are made when one value has two kept rows; a moment between the two takes one out, and the other stays."""
    state = state_of(Fold("few", "pay", ("card",), "distinct", "amount", exact_max=2), lateness_ms=100)
    events = (pay(0, 7), pay(1, 7), pay(2, 8), pay(3, 9), pay(0, 5), pay(0, 6))
    assert run(state, *events) == [1, 1, 2, 3, 2, 3]


@pytest.mark.parametrize("exact_max", [1, 2, 3, 5])
def test_a_bounded_count_leaves_out_the_event_itself(exact_max):
    """Exactly where only it has its value, and from a register where only it shows its rank."""
    rng = random.Random(exact_max)
    fold = Fold("few", "pay", ("card",), "distinct", "amount", exact_max=exact_max, current="out")
    twin, state = SlowFeatures([PAY], [fold], ["pay"], 20), state_of(fold, lateness_ms=20)
    for number in range(300):
        event = pay(number // 2 - rng.choice([0, 0, 15]), rng.randrange(9))
        assert run(state, event) == twin.run(event), number


def test_an_entropy_is_read_from_two_limbs_and_never_negative():
    """Of very many values the roundings of the logarithms may outweigh it."""
    plan = np.array([0] * w.M_WORDS + list(log2_words()), dtype=np.int64)
    plan[w.M_ARGUMENT] = w.M_WORDS
    for total, rest, expected in ((2, 0, 0.0), (2, -(2**20), 0.0), (2, 2**33, 1.0), (2**30, 3 * 2**62, 3.0)):
        total_of_terms = total * (total.bit_length() - 1 << 32) - rest
        structure = np.zeros(w.D_SUM_HIGH + 1, dtype=np.int64)
        structure[w.D_TOTAL], structure[w.D_SUM_HIGH] = total, total_of_terms >> 64
        structure[w.D_SUM] = np.array([total_of_terms & (2**64 - 1)], dtype=np.uint64).view(np.int64)[0]
        assert entropy_of(plan, structure, 0, 0, 0) == expected


def test_sums_and_products_of_conditions_are_null_beyond_the_last_number_with_a_negative():
    most = -w.NUMBER_MIN
    assert [added(most - 1, 1), added(1 - most, -1), multiplied(most, 1), multiplied(-1, most)] == [
        most, -most, most, -most,
    ]  # fmt: skip
    assert {added(most, 1), added(-most, -1), added(w.NUMBER_MAX, w.NUMBER_MAX), multiplied(most, 2)} == {w.NULL}


@pytest.mark.parametrize("seed", range(12))
def test_cubes_of_wide_numbers_carry_between_their_limbs(seed):
    rng = random.Random(seed)
    base = rng.choice([-1, 1]) * rng.getrandbits(62)
    values = [base + rng.randrange(1000) for _ in range(4)]  # So near to each other that the highest limbs cancel out.
    fold = Fold("skew", "pay", ("card",), "skew", "amount", 10**6)
    found = run(state_of(fold), *(pay(time, value) for time, value in enumerate(values)))[-1]
    assert found == marked(fold, 0, [Point(time, value) for time, value in enumerate(values)], 3, None)


@pytest.mark.parametrize("window_ms", [15, 300, 900])
def test_extremes_of_long_windows_forget_what_lay_in_the_ring_before(window_ms):
    """Several levels of nodes, several times around the ring."""
    rng = np.random.default_rng(window_ms)
    amounts = rng.integers(-(10**9), 10**9, 4000)
    state = state_of(
        Fold("least", "pay", ("card",), "min", "amount", window_ms),
        Fold("most", "pay", ("card",), "max", "amount", window_ms),
    )
    found = state.run(*as_arrays([pay(time, int(amount)) for time, amount in enumerate(amounts)], 1, 1))
    windows = [amounts[max(0, last + 1 - window_ms) : last + 1] for last in range(len(amounts))]
    assert found.tolist() == [[window.min(), window.max()] for window in windows]


def test_a_large_group_leaves_the_row_that_it_ends_with():
    """Where nothing need be kept, a row is let go when the next one comes, in a run of events as one by one."""
    folds = Fold("n", "pay", ("card",), "count"), Fold("sum", "pay", ("card",), "sum", "amount", current="out")
    events = [pay(time, time) for time in range(w.LARGE + 100)]
    large, small = state_of(*folds), state_of(*folds)
    found = large.run(*as_arrays(events, 1, 1))
    parts = [small.run(*as_arrays(events[first : first + 900], 1, 1)) for first in range(0, len(events), 900)]
    assert (found == np.concatenate(parts)).all()
    assert [time for time, _ in rows_of(large)] == [events[-1].time_ms]
    assert large.digest() == small.digest()
