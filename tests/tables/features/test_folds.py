"""Each kind of fold over a handful of events, read as a table. Times in ms; `-` = null."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import NULL, UNKNOWN
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.testing.slow_features import Event, as_arrays

PAY = EventLayout("pay", 1, ("card", "shop"), ("amount",))
REPORT = EventLayout("report", 2, ("card",), ("loss",))

# Events: (time, card, shop, amount). The table gives what each fold says at each event's own moment.
EVENTS = [(10, 1, 1, 5), (12, 1, 2, -3), (12, 1, 1, None), (15, 2, 1, 7), (13, 1, 1, 5), (20, 1, None, 9)]
TABLE = """
count        10 in   0 | 1  2  3  1  4  4
count        10 out  0 | 0  1  2  0  3  3
count         - in   0 | 1  2  3  1  4  5
count        10 in   2 | 0  1  1  0  1  4
sum          10 in   0 | 5  2  2  7  7  11
sum          10 out  0 | -  5  2  -  2  2
sum           3 in   0 | 5  2  2  7  2  9
mean         10 in   0 | 5/1  2/2  2/2  7/1  7/3  11/3
mean         10 out  0 | -/0  5/1  2/2  -/0  2/2  2/2
min          10 in   0 | 5 -3 -3  7 -3 -3
min           - out  0 | -  5 -3  - -3 -3
max          10 in   0 | 5  5  5  7  5  9
max           2 in   2 | -  5  5  -  5  -
last         10 in   0 | 5 -3  -  7  5  9
last         10 out  0 | -  5 -3  -  -  5
time_since   10 in   0 | 0  0  0  0  0  0
time_since   10 out  0 | -  2  0  -  1  7
time_since    - in   5 | -  -  -  -  -  7
distinct     10 in   0 | 1  2  2  1  2  3
distinct     10 out  0 | 0  1  2  0  2  2
distinct      - in   0 | 1  2  2  1  2  3
streak       10 in   0 | 1  2  0  1  1  2
streak        - out  0 | 0  1  2  0  0  1
streak        - in   2 | 0  1  1  0  1  1
top          10 in   0 | 5 -3 -3  7  5 -3
top          10 out  0 | -  5 -3  - -3 -3
top_share    10 in   0 | 1/1  1/2  1/2  1/1  2/3  1/3
top_share    10 out  0 | -/0  1/1  1/2  -/0  1/2  1/2
percentile   10 in   0 | 5 -3 -3  7  5  5
percentile    - out  0 | -  5 -3  - -3  5
"""
ROWS = TABLE.strip().splitlines()


def pair(key):
    return (0, 0) if key is None else (key, 1)


def rows_of(plan, events=EVENTS):
    arrays = as_arrays(
        [
            Event(1, time, tuple(pair(key) for key in (card, shop)), (NULL if amount is None else amount,))
            for time, card, shop, amount in events
        ],
        2, 1,
    )  # fmt: skip
    return FeatureState(plan).run(*arrays)


def text(row):
    return "/".join("-" if value == NULL else str(value) for value in row.tolist())


@pytest.mark.parametrize("line", ROWS)
def test_table(line):
    declared, expected = line.split("|")
    kind, window, current, delay = declared.split()
    value = None if kind in {"count", "time_since"} else "amount"
    fold = Fold(
        "f", "pay", ("card",), kind, value, None if window == "-" else int(window), int(delay), current,
        quantile=Decimal("0.5") if kind == "percentile" else None,
    )  # fmt: skip
    found = rows_of(Plan.compile([PAY, REPORT], [fold], ["pay"], lateness_ms=100))
    assert [text(row) for row in found] == expected.split()


def test_distinct_and_last_of_a_key():
    folds = [
        Fold("shops", "pay", ("card",), "distinct", "shop", 10),
        Fold("shop", "pay", ("card",), "last", "shop", 10),
    ]
    events = [(1, 1, 2**60, 1), (2, 1, 2**61, 1), (3, 1, 2**60, 1), (4, 1, None, 1)]
    found = rows_of(Plan.compile([PAY], folds, ["pay"], 0), events)
    assert found.tolist() == [[1, 2**49], [2, 2**50], [2, 2**49], [2, NULL]]


def test_a_pair_is_not_its_mirror_and_the_order_of_by_does_not_matter():
    one = Fold("a", "pay", ("card", "shop"), "count", None, 10)
    two = Fold("b", "pay", ("shop", "card"), "count", None, 10)
    plan = Plan.compile([PAY], [one, two], ["pay"], 0)
    assert len(plan.tables) == 1
    assert rows_of(plan, [(1, 1, 2, 1), (2, 2, 1, 1), (3, 1, 2, 1)]).tolist() == [[1, 1], [1, 1], [2, 2]]


def test_no_key_folds_all_events_of_the_type():
    plan = Plan.compile([PAY], [Fold("all", "pay", (), "sum", "amount", 10)], ["pay"], 0)
    assert rows_of(plan, [(1, 1, 1, 4), (2, 2, 2, 5)]).tolist() == [[4], [9]]


def test_a_label_is_known_only_after_its_own_offset_and_at_the_time_of_its_payment():
    fold = Fold("losses", "report", ("card",), "sum", "loss", 10)
    plan = Plan.compile([PAY, REPORT], [fold], ["pay"], 100)
    events = [
        Event(1, 50, ((1, 1), (0, 0)), (1,)),
        Event(2, 49, ((1, 1),), (30,)),  # Arrives after the payment at 50, placed before it.
        Event(1, 55, ((1, 1), (0, 0)), (1,)),
        Event(1, 60, ((1, 1), (0, 0)), (1,)),  # (50, 60]: the report at 49 has left.
    ]
    found = FeatureState(plan).run(*as_arrays(events, 2, 1))
    assert found[[0, 2, 3], 0].tolist() == [NULL, 30, NULL]


def test_an_event_later_than_the_lateness_is_counted_and_its_vector_is_unknown():
    plan = Plan.compile(
        [PAY],
        [Fold("n", "pay", ("card",), "count", None, 10), Fold("m", "pay", ("shop",), "mean", "amount", 10)],
        ["pay"],
        5,
    )
    state = FeatureState(plan)
    rows = state.run(*as_arrays([
        Event(1, 100, ((1, 1), (1, 1)), (2,)), Event(1, 94, ((1, 1), (2, 1)), (2,)),
        Event(1, 95, ((1, 1), (3, 1)), (2,)),
    ], 2, 1))  # fmt: skip
    assert rows.tolist() == [[1, 2, 1], [UNKNOWN, 2, 1], [1, 2, 1]]
    assert state.late == {"n": 1, "m": 0}
    assert plan.exact(rows[1], 0) is None
    assert str(plan.floats(rows)[1, 0]) == "nan"


def test_floats_and_exact():
    layout = EventLayout("pay", 1, ("card", "shop"), ("amount",), (2,))
    folds = [
        Fold("n", "pay", ("card",), "count", None, 10, current="out", empty=-1),
        Fold("s", "pay", ("card",), "sum", "amount", 10, current="out"),
        Fold("m", "pay", ("card",), "mean", "amount", 10, current="out", empty=Decimal("0.5")),
        Fold("x", "pay", ("card",), "max", "amount", 10, current="out"),
    ]
    plan = Plan.compile([layout], folds, ["pay"], 0)
    rows = rows_of(plan, [(1, 1, 1, 250), (2, 1, 1, 101), (3, 1, 1, 0), (4, 1, 1, 1)])
    assert [[str(cell) for cell in row] for row in plan.floats(rows)] == [
        ["-1.0", "0.0", "0.5", "nan"], ["1.0", "2.5", "2.5", "2.5"], ["2.0", "3.51", "1.755", "2.5"],
        ["3.0", "3.51", str(3.51 / 3), "2.5"],
    ]  # fmt: skip
    assert [plan.exact(rows[0], fold) for fold in range(4)] == [-1, 0, Decimal("0.5"), None]
    assert [plan.exact(rows[2], fold) for fold in range(4)] == [2, Decimal("3.51"), Decimal("1.755"), Decimal("2.50")]
    assert plan.exact(rows[3], 2) == Decimal("1.17")
