"""Pending timers: any history of arming, cancelling, firing, dumping and loading equals the plain twin's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.processes.timers import Timers
from quanheng.testing.slow_timers import SlowTimers

owners = st.integers(0, 5) | st.sampled_from([2 << 40 | 7, -1, 2**63 - 1])
small = st.integers(0, 3)
moments = st.integers(0, 20) | st.sampled_from([-(2**63), 2**63 - 1, 1_767_225_600_000])
steps = st.one_of(
    st.tuples(st.just("arm"), owners, small, small, moments),
    st.tuples(st.just("arm_many"), st.lists(st.tuples(owners, small, small, moments), max_size=12)),
    st.tuples(st.just("cancel"), owners, small),
    st.tuples(st.just("fire"), st.integers(-1, 40)),
    st.tuples(st.just("fire_many"), st.lists(st.integers(0, 40), max_size=6)),
    st.tuples(st.just("fire_due"), moments, st.integers(-1, 9)),
    st.tuples(st.just("load")),
)


def do(fast, slow, step):
    """One step of both, whose answers are equal; the fast one may be made anew from what it dumps."""
    what, *given = step
    if what == "arm_many":
        columns = np.array(given[0], np.int64).reshape(-1, 4).T
        assert fast.arm_many(*columns) == slow.next_serial
        for one in given[0]:
            slow.arm(*one)
    elif what == "fire_many":
        assert fast.fire_many(given[0]) == sum([slow.fire(one) for one in given[0]])
    elif what == "fire_due":
        due = fast.due(*given)
        assert due == slow.due(*given) == fast.due(*given)  # Nothing is taken out.
        assert all(one.fire(serial) for one in (fast, slow) for serial, *_ in due)
    elif what == "load":
        again = Timers()
        again.load(fast.dump())
        assert again.digest() == fast.digest()
        return again
    else:
        assert getattr(fast, what)(*given) == getattr(slow, what)(*given)
    return fast


def same(fast, slow):
    assert (fast.count, fast.next_due_ms, fast.next_serial) == (slow.count, slow.next_due_ms, slow.next_serial)
    assert fast.due(2**63 - 1, 10**9) == slow.due(2**63 - 1, 10**9)
    assert fast.due(10, 3) == slow.due(10, 3)
    for owner in (0, 1, 2, 2 << 40 | 7, -1, 2**63 - 1, 77):
        assert fast.of(owner) == slow.of(owner)
    assert [fast.is_armed(serial) for serial in range(-1, 60)] == [slow.is_armed(serial) for serial in range(-1, 60)]


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=40))
def test_any_history_equals_the_twin(history):
    fast, slow = Timers(), SlowTimers()
    for step in history:
        fast = do(fast, slow, step)
        assert fast.next_due_ms == slow.next_due_ms
    same(fast, slow)
    straight = Timers()  # The same content by another way: all at once, and taken out at the end.
    for one in slow.pending.values():
        straight.load({**straight.dump(), "next_serial": [one.serial]})
        straight.arm(*one[1:])
    straight.load({**straight.dump(), "next_serial": [slow.next_serial]})
    assert straight.digest() == fast.digest()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4_000), st.sampled_from([1, 40, 10**9]))
def test_a_long_life_equals_the_twin(seed, life, spread):
    """Thousands of timers, beyond the first room, with many that share a moment."""
    rng, fast, slow = np.random.default_rng(seed), Timers(), SlowTimers()
    for chunk in range(4):
        columns = np.stack([
            rng.integers(0, 700, life), rng.integers(0, 3, life), rng.integers(0, 9, life),
            rng.integers(0, spread, life),
        ])  # fmt: skip
        fast.arm_many(*columns)
        for one in columns.T.tolist():
            slow.arm(*one)
        for serial in rng.integers(0, fast.next_serial, life // 2).tolist():
            assert fast.fire(serial) == slow.fire(serial)
        for owner in rng.integers(0, 700, 50).tolist():
            assert fast.cancel(owner, chunk % 3) == slow.cancel(owner, chunk % 3)
        due = fast.due(spread // 3, 500)
        assert due == slow.due(spread // 3, 500)
        assert fast.fire_many([one.serial for one in due]) == len(due)
        for one in due:
            slow.fire(one.serial)
    same(fast, slow)
    order = fast.due(2**63 - 1, 10**9)
    assert [(one.due_ms, one.serial) for one in order] == sorted((one.due_ms, one.serial) for one in order)
    assert len(order) == fast.count
