"""The plan is the best of all combinations, whatever segments, cells and bounds are drawn."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.errors import InputError
from quanheng.models.credit.segment_cells import DECLINE, Cell, Segment
from quanheng.models.credit.segment_choice import Constraints, choose
from quanheng.testing.slow_credit_choice import slow_profit

pytest.importorskip("scipy", reason="the extra `models` is not installed")
SHARE = st.integers(0, 100).map(lambda one: one / 100)
SUM = st.integers(0, 10_000)
CELL = st.builds(
    Cell, st.integers(1, 100), st.sampled_from([Decimal("0.1"), Decimal("0.2")]), st.just(1.0), SUM, SUM, SUM,
    st.integers(-10_000, 10_000),
)  # fmt: skip
SEGMENT = st.builds(
    Segment, name=st.uuids().map(str), applicants=st.integers(1, 50), pd=st.just(0.1), lgd=st.just(0.1),
    take_up=st.just(0.5), utilisation=st.just(1.0), region=st.sampled_from("en"), group=st.sampled_from("xy"),
)  # fmt: skip
BOUNDS = st.builds(
    Constraints, loss_rate_max=st.none() | SHARE, capital_max_minor=st.none() | SUM,
    approval_rate_min=st.none() | SHARE, price_max=st.none() | st.just(0.15),
    fairness_min=st.none() | st.sampled_from([0.5, 0.8, 1.0]),
)  # fmt: skip


@given(st.lists(st.tuples(SEGMENT, st.lists(CELL, max_size=4)), min_size=1, max_size=4), BOUNDS, SUM)
@settings(deadline=None)
def test_the_plan_is_the_best_of_all(pairs, bounds, most):
    segments, cells = [one for one, _ in pairs], [[DECLINE, *few] for _, few in pairs]
    bounds = Constraints(**{name: getattr(bounds, name) for name in bounds.__struct_fields__} | {
        "exposure_max_minor": {f"region={segments[0].region}": most}
    })  # fmt: skip
    best = slow_profit(segments, cells, bounds)
    try:
        plan = choose(segments, cells, bounds)
    except InputError as error:
        assert (best, "cannot be met" in error.found) == (None, True)  # noqa: PT017
        return
    # HiGHS meets a bound within a millionth: what it finds lies between the exact best and the best a little looser.
    loose = slow_profit(segments, cells, bounds, 2e-6)
    assert loose is not None
    assert (best if best is not None else -(10**9)) - 1e-3 <= plan.profit_minor <= loose
