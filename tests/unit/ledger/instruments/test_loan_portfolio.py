"""Classes, stages, roll rates and vintages, against counting by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.loan_book.portfolio import buckets, five_class, roll_rates, stages, vintages


@pytest.mark.parametrize(
    ("days", "five", "stage", "bucket"),
    [(0, 0, 1, 0), (1, 1, 1, 1), (30, 1, 1, 1), (31, 1, 2, 2), (90, 1, 2, 3), (91, 2, 3, 4), (270, 2, 3, 7),
     (271, 3, 3, 7), (360, 3, 3, 7), (361, 4, 3, 7)],
)  # fmt: skip
def test_days_past_due_say_class_stage_and_bucket(days, five, stage, bucket):
    one, no = np.array([days]), np.array([False])
    assert (five_class(one, no)[0], stages(one, no)[0], buckets(one)[0]) == (five, stage, bucket)


def test_what_was_written_off_is_a_loss_and_risk_that_rose_is_stage_2():
    days, gone = np.array([0, 0, 400]), np.array([True, False, False])
    assert five_class(days, gone).tolist() == [4, 0, 4]
    assert stages(days, gone, np.array([False, True, True])).tolist() == [3, 2, 3]


def test_roll_rates_are_counted():
    rng = np.random.default_rng(3)
    before, after, owed = rng.integers(0, 4, 50), rng.integers(0, 4, 60), rng.integers(1, 99, 60)
    counted = Counter()
    for was, now, amount in zip(before.tolist(), after.tolist(), owed.tolist(), strict=False):
        counted[was, now] += amount
    made = roll_rates(before, after, owed, 4)
    assert {place: int(made[place]) for place in counted} == dict(counted)
    assert made.sum() == owed[:50].sum()


def test_a_vintage_is_shown_at_an_age_that_all_its_loans_have_come_to():
    table = vintages(np.array([5, 5, 6]), np.array([100, 200, 50]), [np.array([0, 40, 9]), np.array([30, -1, -1])])
    assert table.months.tolist() == [5, 6]
    assert table.lent_minor.tolist() == [300, 50]
    assert table.bad_minor.tolist() == [[40, -1], [9, -1]]


@pytest.mark.parametrize("days", [[], [0, 5], [5, 5], [9, 3]])
def test_thresholds_must_grow(days):
    with pytest.raises(InputError, match="thresholds of days past due do not grow"):
        buckets(np.array([1]), days)
