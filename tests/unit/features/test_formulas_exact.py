"""Columns of floats as policies see them: equal to rounding each exact binary value."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quanheng.features.formulas import WHOLE_MAX, exact_column, float_column, rounded
from quanheng.feel.floats import decimal_of

WIDE = Context(prec=800, rounding=ROUND_HALF_EVEN)


def plain(value: float, decimals: int) -> Decimal | None:
    """The law: the exact binary value, rounded half to even; zero has no sign."""
    if value != value:
        return None
    exact = Decimal(value).quantize(Decimal(1).scaleb(-decimals), context=WIDE)
    return exact if exact else exact.copy_abs()


HALVES = st.builds(
    lambda units, decimals: (units + 0.5) / 10**decimals, st.integers(-(10**9), 10**9), st.integers(0, 9)
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.floats(allow_infinity=False) | HALVES | st.floats(-1e4, 1e4), max_size=8), st.integers(0, 12))
@example([-0.0, 0.0, -0.00001, float("nan"), 0.5, 1.5, 2.5, 0.125, 1e300, -1e300], 0)
@example([WHOLE_MAX / 10_000, WHOLE_MAX / 10_000 - 0.00005, 0.00005, 0.00015], 4)
def test_a_column_equals_each_value_rounded_exactly(values, decimals):
    expected = [plain(value, decimals) for value in values]
    assert [str(one) for one in exact_column(np.array(values, np.float64), decimals)] == list(map(str, expected))
    assert [None if value != value else str(rounded(value, decimals)) for value in values] == [
        None if one is None else str(one) for one in expected
    ]


@pytest.mark.parametrize("value", [-0.0, -0.00001])
def test_zero_has_no_sign(value):
    assert [str(one) for one in exact_column(np.array([value]), 4)] == ["0.0000"]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.floats() | HALVES | st.floats(-1e4, 1e4), max_size=8), st.integers(0, 12))
@example([123456789012345.678, float("inf"), float("nan"), -0.0, 1e300], 4)
def test_a_column_of_floats_stands_for_the_same_numbers(values, decimals):
    """A number that no float stands for stays a decimal."""
    column = np.array(values, np.float64)
    for found, exact in zip(float_column(column, decimals), exact_column(column, decimals), strict=True):
        if isinstance(found, float):
            assert decimal_of(found) == exact
        else:
            assert str(found) == str(exact)
