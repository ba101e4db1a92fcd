"""Totals of two limbs against whole numbers: carry and borrow at 2**64, the end at 2**127 - 1."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numba import njit

from quanheng.ledger.entries import ALL, AMOUNT_MAX, TOTAL_MAX
from quanheng.ledger.kernel import totals
from quanheng.ledger.wire import limbs_of

LOW = 2**64 - 1
EDGES = [0, 1, 2, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1, 2**64, 2**64 + 1, 2**65 - 1, 2**126, TOTAL_MAX - 1, TOTAL_MAX]
AMOUNTS = [0, 1, 2, 2**32, 2**62, AMOUNT_MAX - 1, AMOUNT_MAX]


@njit
def _add(A, amount):
    totals.add(A, 0, 0, amount)


@njit
def _take(A, amount):
    totals.take(A, 0, 0, amount)


@njit
def _both(A, amount):
    high, low = totals.both(A, 0, 0, 2, amount)
    return high, low, totals.overflows(high)


@njit
def _compared(A, amount):
    one = totals.plus(A, 0, 0, amount)
    other = totals.plus(A, 0, 2, 0)
    return totals.exceeds(one[0], one[1], other[0], other[1])


@njit
def _up_to(A, amount):
    high, low = totals.plus(A, 0, 0, 0)
    less_high, less_low = totals.plus(A, 0, 2, 0)
    return totals.up_to(amount, high, low, less_high, less_low)


def words(*numbers: int) -> np.ndarray:
    limbs = [limb for number in numbers for limb in limbs_of(number)]
    return np.array([limbs], np.uint64).view(np.int64)


def number(A: np.ndarray, at: int = 0) -> int:
    low, high = A.view(np.uint64)[0, at : at + 2].tolist()
    return low | high << 64


@pytest.mark.parametrize(("total", "amount"), list(itertools.product(EDGES, AMOUNTS)))
def test_carry_and_borrow(total, amount):
    A = words(total)
    _add(A, amount)
    assert number(A) == total + amount
    _take(A, amount)
    assert number(A) == total


@pytest.mark.parametrize(("one", "other"), list(itertools.product(EDGES, EDGES)))
def test_sums_and_comparisons(one, other):
    for amount in AMOUNTS:
        A = words(one, other)
        if one + other <= TOTAL_MAX:
            high, low, overflows = _both(A, amount)
            assert int(high) << 64 | int(low) == one + other + amount
            assert overflows == (one + other + amount > TOTAL_MAX)
        assert _compared(A, amount) == (one + amount > other)
    for amount in (1, 5, AMOUNT_MAX, ALL):
        assert _up_to(words(one, other), amount) == max(0, min(amount, one - other))
