"""The edges of FeatureState: refusals, overflow, dumps, growth, one event, memory."""

import numpy as np
import pytest

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import CHUNK, LARGE, NULL, NUMBER_MAX, TIME_MAX, UNKNOWN
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.errors import InputError
from quanheng.testing.slow_features import Event, as_arrays

PAY = EventLayout("pay", 1, ("card",), ("amount", "other"))
FOLDS = [
    Fold("n", "pay", ("card",), "count", None, 10),
    Fold("s", "pay", ("card",), "sum", "amount", 10),
    Fold("d", "pay", ("card",), "distinct", "amount", 10),
    Fold("all", "pay", ("card",), "distinct", "amount"),
    Fold("low", "pay", ("card",), "min", "amount"),
]
PLAN = Plan.compile([PAY], FOLDS, ["pay"], 3)


def pay(time, amount, card=1):
    return Event(1, time, ((card, 1),), (amount, 0))


def arrays(*events):
    return as_arrays(events, 1, 2)


def test_a_sum_that_does_not_fit_names_fold_and_event_and_leaves_the_rest_good():
    state = FeatureState(PLAN)
    with pytest.raises(FeatureOverflow) as raised:
        state.run(*arrays(pay(1, 2**62), pay(2, 2**62), pay(3, -(2**62)), pay(50, 7)))
    error = raised.value
    assert "fold s, event 1 of the group: the sum over the window does not fit 64 bits" in str(error)
    assert error.cells == [(1, "s")]
    assert error.raw[:, 1].tolist() == [2**62, UNKNOWN, 2**62, 7]
    assert error.raw[:, 0].tolist() == [1, 2, 3, 1]
    assert state.run(*arrays(pay(51, 1)))[0, 1] == 8


def test_overflow_of_one_event():
    state = FeatureState(PLAN)
    state.one(1, 1, _key(), (2**62, 0))
    with pytest.raises(FeatureOverflow, match="fold s, event 0 of the group") as raised:
        state.one(1, 2, _key(), (2**62, 0))
    assert raised.value.raw[0].tolist() == [2, UNKNOWN, 1, 1, 2**62]
    assert state.one(1, 30, _key(), (8, 0)).tolist() == [1, 8, 1, 2, 8]


def _key(card=1):
    return card.to_bytes(8, "little") + (1).to_bytes(8, "little")


@pytest.mark.parametrize("time", [TIME_MAX + 1, -TIME_MAX - 1])
def test_a_time_out_of_range_is_refused_before_anything_is_applied(time):
    state = FeatureState(PLAN)
    before = state.digest()
    with pytest.raises(InputError, match=f"event 1 of the group: the time is out of range; was {time} ms"):
        state.run(*arrays(pay(1, 1), pay(time, 1)))
    with pytest.raises(InputError, match="the time is out of range"):
        state.one(1, time, _key(), (1, 0))
    with pytest.raises(InputError, match="the time is out of range"):
        state.peek(*arrays(pay(time, 1)))
    assert state.digest() == before


def test_a_reserved_number_is_refused():
    state = FeatureState(PLAN)
    with pytest.raises(InputError, match="event 0 of the group, number column 0: the number is reserved"):
        state.run(*arrays(pay(1, NUMBER_MAX + 1)))
    with pytest.raises(InputError, match="number column 0: the number is reserved; was -9223372036854775807"):
        state.one(1, 1, _key(), (NULL + 1, 0))
    state.run(*arrays(pay(1, NUMBER_MAX), pay(1, NULL)))


def test_one_event_answers_as_run_through_growth():
    single, grouped = FeatureState(PLAN), FeatureState(PLAN)
    events = [pay(step // 3, step % 50, step % 4000) for step in range(9_000)]
    rows = grouped.run(*arrays(*events))
    for step, event in enumerate(events):
        row = single.one(1, event.time_ms, _key(event.keys[0][0]), event.numbers)
        assert (row == rows[step]).all(), step
    assert single.digest() == grouped.digest()
    assert single.memory_bytes > 8 << 16, "the arena has grown"
    assert single.keys == {"pay by card": 4000}


def test_unread_rows_are_null_and_unknown_types_pass():
    state = FeatureState(PLAN)
    rows = state.run(*arrays(pay(1, 4), Event(9, 1, (), ()), pay(2, 5)), read=np.array([False, True, True]))
    assert rows[:2].tolist() == [[NULL] * 5] * 2
    assert rows[2].tolist() == [2, 9, 2, 2, 4]
    assert (state.run(*arrays(pay(3, 5)), read=False) == NULL).all()


def test_dump_of_other_folds_or_format_or_half_a_dump_is_refused():
    state = FeatureState(PLAN)
    state.run(*arrays(pay(1, 4)))
    dump = state.dump()
    assert FeatureState.load(PLAN, dump).digest() == state.digest()
    other = Plan.compile([PAY], FOLDS[:2], ["pay"], 3)
    with pytest.raises(InputError, match="the dump belongs to other folds"):
        FeatureState.load(other, dump)
    with pytest.raises(InputError, match="the dump has another format; was 99"):
        FeatureState.load(PLAN, dict(dump, format=np.array([99])))
    with pytest.raises(InputError, match=r"the dump is not whole; was 100 words\. Rebuild the state from the log"):
        FeatureState.load(PLAN, dict(dump, arena=dump["arena"][:100]))
    with pytest.raises(InputError, match="the dump is not whole; was no plan"):
        FeatureState.load(PLAN, {"arena": dump["arena"], "format": dump["format"]})


def test_digest_sees_all_history_beyond_the_ring():
    one, two = FeatureState(PLAN), FeatureState(PLAN)
    one.run(*arrays(pay(1, 4), pay(1000, 5)), read=False)
    two.run(*arrays(pay(1, 6), pay(1000, 5)), read=False)
    assert one.digest() != two.digest()
    one.run(*arrays(pay(1000, 5)))
    assert one.digest() != two.digest()


def test_a_dry_run_of_new_keys_leaves_no_key_behind():
    state = FeatureState(PLAN)
    state.run(*arrays(pay(1, 4)))
    before, keys = state.digest(), state.keys
    used = 0
    for _ in range(5):
        state.peek(*arrays(*(pay(2, step, 10 + step) for step in range(3_000))))
        used = used or state.used_bytes
    assert (state.digest(), state.keys) == (before, keys)
    assert state.used_bytes == used, "blocks of the dry run are used again"


def test_all_history_folds_keep_no_rows_beyond_the_lateness():
    plan = Plan.compile(
        [PAY], [Fold("s", "pay", ("card",), "sum", "amount"), Fold("x", "pay", ("card",), "max", "amount")], ["pay"], 3
    )
    state = FeatureState(plan)
    rows = state.run(*arrays(*(pay(step, step % 9) for step in range(LARGE + 5))))
    assert rows[-1].tolist() == [sum(step % 9 for step in range(LARGE + 5)), 8]
    assert state.used_bytes < 30_000


def test_a_hot_key_has_no_cliff_in_min_and_distinct():
    folds = [
        Fold("low", "pay", ("card",), "min", "amount", 100_000),
        Fold("d", "pay", ("card",), "distinct", "amount", 100_000),
    ]
    state = FeatureState(Plan.compile([PAY], folds, ["pay"], 10))
    amounts = np.random.default_rng(1).integers(0, 1000, 60_000)
    rows = state.run(*arrays(*(pay(step, int(amount)) for step, amount in enumerate(amounts))))
    assert (rows[:, 0] == np.minimum.accumulate(amounts)).all()
    assert rows[-1, 1] == len(set(amounts.tolist()))


def test_a_group_larger_than_a_chunk_equals_small_groups():
    """Ordered events over borders of chunks and of runs; a hot key among cold ones; the arena grows within runs."""
    folds = [
        Fold("n", "pay", ("card",), "count", None, 500, 20),
        Fold("s", "pay", ("card",), "sum", "amount", 3_000),
        Fold("all", "pay", ("card",), "mean", "other", None, 7, "out"),
        Fold("before", "pay", ("card",), "mean", "amount", 900, 0, "out"),
    ]
    plan, rng = Plan.compile([PAY], folds, ["pay"], 0), np.random.default_rng(5)
    count = CHUNK + 3_000
    keys = np.ones((count, 1, 2), dtype=np.uint64)
    keys[:, 0, 0] = np.where(rng.random(count) < 0.5, 1, rng.integers(2, 3_000, count))
    numbers = rng.integers(-9, 9, (count, 2))
    numbers[rng.random(count) < 0.1, 0] = NULL
    group = (np.ones(count, dtype=np.int32), np.arange(count) // 3, keys, numbers)
    large, small = FeatureState(plan), FeatureState(plan)
    rows = large.run(*group)
    for first in range(0, count, LARGE - 1):
        part = tuple(column[first : first + LARGE - 1] for column in group)
        assert (small.run(*part) == rows[first : first + LARGE - 1]).all(), first
    assert large.digest() == small.digest()
