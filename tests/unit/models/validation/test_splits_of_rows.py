"""Splits: every row is tested once, outcomes are shared out evenly, and no test is older than what was fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.errors import InputError
from quanheng.models.validation.splits import out_of_time, stratified_folds, time_ordered_folds


@settings(max_examples=60, deadline=None)
@given(
    target=st.lists(st.booleans(), min_size=8, max_size=120),
    folds=st.integers(2, 6),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_stratified_folds_share_out_every_row_once(target, folds, repeats, seed):
    labels = np.array(target)
    if min(labels.sum(), (~labels).sum()) < folds:
        with pytest.raises(InputError, match="the rows cannot be split into these folds"):
            stratified_folds(labels, folds, seed, repeats)
        return
    splits = stratified_folds(labels, folds, seed, repeats)
    assert len(splits) == folds * repeats
    for repeat in range(repeats):
        tests = [split.test for split in splits[repeat * folds : (repeat + 1) * folds]]
        assert sorted(np.concatenate(tests).tolist()) == list(range(len(labels)))
        for kind in (True, False):
            sizes = [int((labels[test] == kind).sum()) for test in tests]
            assert max(sizes) - min(sizes) <= 1
        sizes = [len(test) for test in tests]
        assert max(sizes) - min(sizes) <= 1
    for split in splits:
        assert sorted([*split.train.tolist(), *split.test.tolist()]) == list(range(len(labels)))


def test_the_seed_decides():
    labels = np.arange(100) % 3 == 0
    one, again, other = (stratified_folds(labels, 5, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(one, other, strict=True))
    repeated = stratified_folds(labels, 2, 1, repeats=2)
    named = [f"fold {fold} of repeat {repeat}" for repeat in (1, 2) for fold in (1, 2)]
    assert [split.name for split in repeated] == named
    assert not np.array_equal(repeated[0].test, repeated[2].test)


@settings(max_examples=60, deadline=None)
@given(times=st.lists(st.integers(0, 40), min_size=40, max_size=120), folds=st.integers(1, 4))
def test_periods_never_test_on_the_past(times, folds):
    moments = np.array(times, np.int64)
    target = np.arange(len(times)) % 2 == 0
    try:
        splits = time_ordered_folds(moments, target, folds)
    except InputError:  # A period of one outcome.
        return
    for split in splits:
        assert moments[split.train].max() < moments[split.test].min()
    tested = np.concatenate([split.test for split in splits])
    assert len(set(tested.tolist())) == len(tested)
    assert moments[tested].max() == moments.max()


def test_periods_of_shuffled_rows():
    times = np.array([50, 10, 40, 20, 30, 60, 70, 80], np.int64)
    target = np.array([1, 1, 0, 0, 1, 0, 1, 0], bool)
    one, other = time_ordered_folds(times, target, 2)
    assert sorted(times[one.train].tolist()) == [10, 20]
    assert sorted(times[one.test].tolist()) == [30, 40, 50]
    assert sorted(times[other.train].tolist()) == [10, 20, 30, 40, 50]
    assert one.name == "period 1"


def test_out_of_time_is_the_latest_share():
    times = np.arange(10, dtype=np.int64)[::-1].copy()
    split = out_of_time(times, np.arange(10) % 2 == 0, 0.3)
    assert times[split.test].tolist() == [9, 8, 7]
    assert times[split.train].max() == 6


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 3.0])
def test_a_share_outside_of_0_and_1_is_refused(share):
    with pytest.raises(InputError, match=r"--out-of-time: the share must lie between 0 and 1; was "):
        out_of_time(np.arange(10), np.arange(10) < 5, share)


@pytest.mark.parametrize(("times", "folds"), [([5] * 20, 3), (list(range(20)), 0)])
def test_times_that_cannot_be_split_are_refused(times, folds):
    with pytest.raises(
        InputError, match=r"the rows cannot be split by time into these folds; was \d folds; too poor: "
    ):
        time_ordered_folds(np.array(times, np.int64), np.arange(20) % 2 == 0, folds)


def test_a_period_of_one_outcome_is_refused():
    with pytest.raises(InputError, match="too poor: period 1"):
        time_ordered_folds(np.arange(20, dtype=np.int64), np.arange(20) < 15, 1)
