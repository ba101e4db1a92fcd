"""Variance to trend, ratio, change and decayed folds over a handful of events, worked out by hand. `-` = null."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from quanheng.features.exact import ExactColumns
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import LARGE, NULL, UNKNOWN
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.testing.slow_features import Event, as_arrays

PAY = EventLayout("pay", 1, ("card",), ("amount", "fee"), (0, 0))
CENTS = EventLayout("pay", 1, ("card",), ("amount", "fee"), (2, 1))
# (time, amount, fee)
EVENTS = [(0, 2, 1), (10, 4, 0), (20, None, 3), (20, 9, None), (30, 4, -2), (41, 7, 0)]
# Values known at each moment: 2 | 2 4 | 2 4 - | 2 4 - 9 | 2 4 - 9 4 | 2 4 - 9 4 7; within 21 ms: the last line is 4 7.
TABLE = [
    # kind, window, settings, what it says at each event's own moment
    ("variance", None, {}, ["-", 2, 2, 13, 26.75 / 3, 30.8 - 23.1]),
    ("variance", 21, {}, ["-", 2, 2, 13, 25 / 3, 4.5]),
    ("variance", 21, {"current": "out"}, ["-", "-", 2, 2, 12.5, "-"]),
    ("stddev", None, {}, ["-", math.sqrt(2), math.sqrt(2), math.sqrt(13), math.sqrt(26.75 / 3), math.sqrt(7.7)]),
    # 2 4 9: deviations -3 -1 4, squares 26, cubes 36: g1 = 12 / (26/3)^1.5, times sqrt(6) / 1.
    ("skew", 21, {}, ["-", "-", "-", 12 / (26 / 3) ** 1.5 * math.sqrt(6), 1.7320508075688772, "-"]),
    ("zscore", None, {"current": "out"},
     ["-", "-", "-", 6 / math.sqrt(2), -1 / math.sqrt(13), 2.25 / math.sqrt(26.75 / 3)]),
    # (0, 2) (10, 4): 2 per 10 ms. (0, 2) (10, 4) (20, 9): 3.5 per 10 ms. (10, 4) (20, 9) (30, 4): none.
    ("trend", 21, {"per_ms": 5}, ["-", 1, 1, 1.75, 0, 15 / 11]),
    ("ratio", 21, {"other": "fee"}, [2, 6, 6 / 4, 15 / 4, 17, -11 / 2]),
    # The windows (t-10, t] and (t-20, t-10]: 4 after 2; nothing but a null, 9 after 4; 4 after 9; 7 after 4.
    ("change", 10, {}, ["-", 1, -1, 1.25, -5 / 9, 0.75]),
    # One after one, one after one, two after one; one after two, one after one.
    ("change of counts", 10, {}, ["-", 0, 0, 1, -0.5, 0]),
    ("decayed_count", None, {"half_life_ms": 10}, [1, 1.5, 1.75, 2.75, 2.375, 1 + 2.375 * 2 ** -1.1]),
    ("decayed_count", 20, {"half_life_ms": 10, "current": "out"}, [0, 0.5, 0.5, 1.5, 1, 0.5 ** 1.1]),
    ("decayed_sum", None, {"half_life_ms": 10}, [2, 5, 2.5, 11.5, 9.75, 7 + 9.75 * 2 ** -1.1]),
    ("decayed_sum", 21, {"half_life_ms": 10, "delay_ms": 10}, [0, 2, 5, 5, 11.5, 8.5 * 2 ** -0.1]),
    ("decayed_mean", None, {"half_life_ms": 10},
     [2, 5 / 1.5, 5 / 1.5, 11.5 / 1.75, 9.75 / 1.875, (7 + 9.75 * 2**-1.1) / (1 + 1.875 * 2**-1.1)]),
]  # fmt: skip


def rows_of(plan, events=EVENTS):
    null = [tuple(NULL if one is None else one for one in event) for event in events]
    return FeatureState(plan).run(*as_arrays([Event(1, time, ((1, 1),), rest) for time, *rest in null], 1, 2))


@pytest.mark.parametrize(("kind", "window", "more", "expected"), TABLE, ids=[f"{row[0]} {row[1]}" for row in TABLE])
def test_table(kind, window, more, expected):
    value = None if kind in {"change of counts", "decayed_count"} else "amount"
    plan = Plan.compile([PAY], [Fold("f", "pay", ("card",), kind.split()[0], value, window, **more)], ["pay"], 0)
    raw = rows_of(plan)
    found = ["-" if np.isnan(one) else one for one in plan.floats(raw)[:, 0]]
    assert [one == "-" for one in found] == [one == "-" for one in expected], found
    wanted = [0 if one == "-" else one for one in expected]
    assert [0 if one == "-" else one for one in found] == pytest.approx(wanted, rel=5e-10)
    exact = ExactColumns(plan).column(raw, 0)
    assert exact == [plan.exact(row, 0) for row in raw]
    assert [one is None for one in exact] == [one == "-" for one in expected]


def test_scales_answers_are_in_real_units():
    """Amounts 2.00, 4.00, 9.00; a decided refund has one decimal less, a decided rate two more."""
    refund = EventLayout("refund", 2, ("card",), ("amount",), (1,))
    rate = EventLayout("rate", 3, ("card",), ("fee", "amount"), (0, 4))
    other = EventLayout("login", 4, ("card",), (), ())
    folds = [
        Fold("variance", "pay", ("card",), "variance", "amount"),
        Fold("stddev", "pay", ("card",), "stddev", "amount"),
        Fold("zscore", "pay", ("card",), "zscore", "amount", current="out"),
        Fold("trend", "pay", ("card",), "trend", "amount", per_ms=10),
        Fold("ratio", "pay", ("card",), "ratio", "amount", other="fee"),
        Fold("inverse", "pay", ("card",), "ratio", "fee", other="amount"),
        Fold("sum", "pay", ("card",), "decayed_sum", "amount", half_life_ms=10),
        Fold("mean", "pay", ("card",), "decayed_mean", "amount", half_life_ms=10),
    ]
    layouts = [CENTS, refund, rate, other]
    plan = Plan.compile(layouts, folds, ["pay", "refund", "rate", "login"], 0)
    key, state = ((1, 1),), FeatureState(plan)
    payments = [Event(1, 0, key, (200, 5)), Event(1, 10, key, (400, 5)), Event(1, 20, key, (900, 10))]
    asked = [Event(2, 20, key, (90,)), Event(3, 20, key, (7, 90_001)), Event(4, 20, key, ())]
    rows = plan.floats(state.run(*as_arrays([*payments, *asked], 1, 2)))
    first = [13, math.sqrt(13), 4 / math.sqrt(13), 3.5, 15 / 2, 2 / 15, 11.5, 11.5 / 1.75]
    assert rows[3].tolist() == pytest.approx(first, rel=1e-15)
    assert rows[4].tolist()[2] == pytest.approx(4.0001 / math.sqrt(13), rel=1e-15)
    assert np.isnan(rows[5][2]), "a login has no amount"
    assert rows[5][[0, 1, 3, 4, 5, 6, 7]].tolist() == rows[3][[0, 1, 3, 4, 5, 6, 7]].tolist()
    raw = state.run(*as_arrays(asked, 1, 2))
    exact = [plan.exact(raw[0], fold) for fold in range(8)]
    assert exact == [Decimal(text) for text in ("13.0000", "3.6056", "1.1094", "3.5000", "7.5", "0." + "1" + "3" * 33,
                                                "11.5000", "6.5714")]  # fmt: skip


def test_what_divides_by_zero_or_nothing_is_null_and_empty_stands_for_it():
    folds = [
        Fold("ratio", "pay", ("card",), "ratio", "amount", 5, other="fee"),
        Fold("stand_in", "pay", ("card",), "ratio", "amount", 5, other="fee", empty=7),
        Fold("change", "pay", ("card",), "change", "fee", 5, empty=Decimal("0.5")),
    ]
    plan = Plan.compile([PAY], folds, ["pay"], 0)
    raw = rows_of(plan, [(0, 4, 0), (10, 4, None), (20, None, 2), (30, 6, 3), (35, 6, 1), (40, 6, -1), (41, 5, 0)])
    assert [[str(one) for one in row] for row in plan.floats(raw)] == [
        ["nan", "7.0", "0.5"], ["nan", "7.0", "0.5"], ["nan", "7.0", "0.5"], ["2.0", "2.0", "0.5"],
        ["6.0", "6.0", str(-2 / 3)], ["-6.0", "-6.0", "-2.0"], ["-11.0", "-11.0", "-2.0"],
    ]  # fmt: skip
    columns = ExactColumns(plan)
    for fold in range(3):
        assert columns.column(raw, fold) == [plan.exact(row, fold) for row in raw]
    assert [plan.exact(raw[0], fold) for fold in range(3)] == [None, 7, Decimal("0.5")]
    late = raw[3].copy()
    late[plan.columns.index(next(one for one in plan.columns if one.name == "ratio.under"))] = UNKNOWN
    assert plan.exact(late, 0) is None
    assert columns.column(late.reshape(1, -1), 0) == [None]
    assert np.isnan(plan.floats(late.reshape(1, -1))[0, 0])


@pytest.mark.parametrize("events_n", [4, LARGE])
def test_a_sum_of_a_quotient_that_does_not_fit_is_named_once(events_n):
    """The numerator, the denominator or both: one cell. Large groups of floats say the same."""
    folds = [
        Fold("ratio", "pay", ("card",), "ratio", "amount", 15, other="fee"),
        Fold("change", "pay", ("card",), "change", "amount", 15),
        Fold("skew", "pay", ("card",), "skew", "amount", 15),
    ]
    plan = Plan.compile([PAY], folds, ["pay"], 0)
    big = 2**62
    events = [Event(1, time, ((1, 1),), (amount, fee)) for time, amount, fee in
              [(0, big, 1), (10, big, big), (20, 1, big), (26, 5, 1)]]  # fmt: skip
    events += [Event(1, 100 * place, ((2, 1),), (1, 1)) for place in range(events_n - 4)]
    state = FeatureState(plan)
    with pytest.raises(FeatureOverflow, match="the sum over the window does not fit 64 bits") as raised:
        state.run_floats(*as_arrays(events, 1, 2))
    # Of `change` at 20 ms: 1 + 2^62 after 2^62 fits; at 26 ms: 6 after 2^63 does not.
    assert raised.value.cells == [(1, "ratio"), (2, "ratio"), (3, "change")]


def test_a_decayed_window_ends_after_64_half_lives():
    fold = Fold("f", "pay", ("card",), "decayed_sum", "amount", half_life_ms=10)
    plan = Plan.compile([PAY], [fold], ["pay"], 0)
    assert plan.tables[0].bounds == [0, 640]
    assert not plan.tables[0].base
    floats = plan.floats(rows_of(plan, [(0, 2**60, 0), (639, 0, 0), (640, 0, 0), (641, 0, 0)]))[:, 0]
    assert floats.tolist() == [2.0**60, pytest.approx(2.0 ** (60 - 63.9), rel=1e-9), 0.0, 0.0]
    assert plan.exact(rows_of(plan, [(0, 7, 0)])[0], 0) == 7


def test_boundaries_without_such_folds_are_as_they_were():
    """No mark, no word more in a slot; and a mark stands only where a fold asks for it."""
    from quanheng.features.kernel import words as w

    plain = [Fold("s", "pay", ("card",), "sum", "amount", 10), Fold("m", "pay", ("card",), "mean", "fee", 20)]
    marked = [*plain, Fold("v", "pay", ("card",), "variance", "amount", 20)]
    records = []
    for folds in (plain, marked):
        words = Plan.compile([PAY], folds, ["pay"], 0).words
        records.append(words[words[words[w.P_TABLES]] :][: w.T_WORDS])
    assert records[0][w.T_MARKS_N] == 0
    assert records[0][w.T_PLAIN] == 1
    assert records[0][w.T_SLOT] == 24  # 8 + 3 boundaries of 1 + 2 * 2 words, in whole lines.
    assert records[1][w.T_BOUND_WORDS] == records[0][w.T_BOUND_WORDS] == 5
    assert records[1][w.T_MARKS_N] == 2
    assert records[1][w.T_PLAIN] == 0
    assert records[1][w.T_SLOT] == 40  # 23 + 2 marks of 1 + 6 words.
