"""Rules of windows whose low edge is no distance, and of ways to a key, as tables. `-` = null, `?` = not known."""

from __future__ import annotations

from datetime import datetime

import pytest

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import NULL, UNKNOWN
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.testing.slow_features import Event, as_arrays
from quanheng.testing.slow_windows import unit_start_ms

PAY = EventLayout("pay", 1, ("payer", "payee"), ("amount",))
LINK = EventLayout("link", 2, ("payer", "shop"), ("rent",))
SHOP = EventLayout("shop", 3, ("shop",), ("risk",))


def text(value):
    return {NULL: "-", UNKNOWN: "?"}.get(value, str(value))


def answers(fold, events, lateness_ms=1000):
    """What a fold over payments of payer 1 says at each (time, amount)."""
    plan = Plan.compile([PAY], [fold], ["pay"], lateness_ms)
    made = [
        Event(1, time, ((1, 1), (2, 1)), (NULL if amount is None else amount,))
        for time, amount in (one if isinstance(one, tuple) else (one, 1) for one in events)
    ]
    return " ".join(text(row[0]) for row in FeatureState(plan).run(*as_arrays(made, 2, 1)).tolist())


def moment(written):
    return int(datetime.fromisoformat(written).timestamp() * 1000)


# Unit, zone, moment, its first instant.
STARTS = """
day      UTC                  1970-01-01T00:00:00+00:00      1970-01-01T00:00:00+00:00
day      UTC                  1969-12-31T23:59:59.999+00:00  1969-12-31T00:00:00+00:00
week     UTC                  1969-12-31T12:00:00+00:00      1969-12-29T00:00:00+00:00
week     UTC                  2024-09-01T23:00:00+00:00      2024-08-26T00:00:00+00:00
month    Asia/Shanghai        2024-02-29T23:30:00+08:00      2024-02-01T00:00:00+08:00
quarter  Asia/Shanghai        2024-01-01T00:00:00+08:00      2024-01-01T00:00:00+08:00
quarter  Asia/Shanghai        2023-12-31T23:59:59+08:00      2023-10-01T00:00:00+08:00
year     Asia/Kolkata         2024-01-01T05:29:00+05:30      2024-01-01T00:00:00+05:30
year     UTC                  1900-03-01T00:00:00+00:00      1900-01-01T00:00:00+00:00
month    UTC                  2000-02-29T12:00:00+00:00      2000-02-01T00:00:00+00:00
day      Europe/Berlin        2024-03-31T23:59:00+02:00      2024-03-31T00:00:00+01:00
day      Europe/Berlin        2024-10-27T23:59:00+01:00      2024-10-27T00:00:00+02:00
day      America/Sao_Paulo    2018-11-04T12:00:00-02:00      2018-11-04T01:00:00-02:00
day      America/Havana       2023-11-05T12:00:00-05:00      2023-11-05T00:00:00-04:00
day      America/St_Johns     2006-10-29T12:00:00-03:30      2006-10-29T00:00:00-02:30
day      America/St_Johns     2006-10-28T23:01:00-03:30      2006-10-28T00:00:00-02:30
day      Asia/Amman           2021-10-29T12:00:00+02:00      2021-10-29T00:00:00+03:00
day      Pacific/Apia         2011-12-31T12:00:00+14:00      2011-12-31T00:00:00+14:00
week     Pacific/Apia         2012-01-01T12:00:00+14:00      2011-12-26T00:00:00-10:00
"""


@pytest.mark.parametrize("line", STARTS.strip().splitlines())
def test_the_first_instant_of_a_unit_is_in_the_window_and_the_one_before_is_not(line):
    unit, zone, at, begin = line.split()
    first = moment(begin)
    fold = Fold("f", "pay", ("payer",), "count", since=unit, zone=zone)
    assert answers(fold, [first - 1, first, moment(at)]).split()[-1] == ("3" if moment(at) == first - 1 else "2")
    assert unit_start_ms(unit, zone, moment(at)) == first


# Kind, settings | times | answers. Amounts are 1, 2, 3, ….
TABLE = """
count             last=2                                | 1 2 3 4          | 1 2 2 2
sum               last=2                                | 1 2 3 4          | 1 3 5 7
sum               last=2 current=out                    | 1 2 3 4          | - 1 3 5
sum               last=2 window_ms=2                    | 1 2 3 9          | 1 3 5 4
sum               last=2 delay_ms=1                     | 1 2 3 9          | - 1 3 5
max               last=3                                | 1 5 5 2 6        | 1 2 3 4 5
distinct          last=3 current=out                    | 1 2 3 4 5        | 0 1 2 3 3
count             gap_ms=3 window_ms=10                 | 1 4 8 9 12       | 1 2 1 2 3
count             gap_ms=3 window_ms=10 current=out     | 1 4 8 9 12       | 0 1 0 1 2
count             gap_ms=3 window_ms=5                  | 1 3 5 7 9        | 1 2 3 3 3
count             gap_ms=3 window_ms=20 delay_ms=1      | 1 4 9 10         | 0 1 0 1
sum               gap_ms=3 window_ms=20                 | 1 4 9 7          | 1 3 3 7
count             gap_ms=3 window_ms=20                 | 1 4 9 10 7 11    | 1 2 1 2 3 6
sum               age_ms_max=3 delay_ms=1               | 1 3 9 12 13      | - 1 ? 6 10
count             age_ms_max=3 current=out              | 1 4 8 9          | 0 1 ? 3
first             window_ms=4                           | 1 3 5 9          | 1 1 2 4
first             current=out                           | 1 3 5 9          | - 1 1 1
first             last=2                                | 1 3 5 9          | 1 1 2 3
nth_last          nth=2                                 | 1 3 5 4          | - 1 2 2
nth_last          nth=2 current=out                     | 1 3 5 4          | - - 1 1
nth_last          nth=2 window_ms=3                     | 1 3 9 9          | - 1 - 3
first_time        window_ms=4                           | 1 3 5 9          | 1 1 3 9
first_time        -                                     | 5 3 9            | 5 3 3
last_time         current=out                           | 1 3 5 9          | - 1 3 5
time_since_first  -                                     | 1 3 5 9          | 0 2 4 8
seen              current=out window_ms=3               | 1 3 9 9          | 0 1 0 1
range             window_ms=4                           | 1 3 5 9          | 0 1 1 0
range             current=out                           | 1 3 5            | - 0 1
"""


@pytest.mark.parametrize("line", TABLE.strip().splitlines())
def test_table(line):
    declared, times, expected = line.split("|")
    kind, *settings = declared.split()
    more = dict(one.split("=") for one in settings if one != "-")
    value = None if kind in {"count", "seen", "first_time", "last_time", "time_since_first"} else "amount"
    given = {name: found if name == "current" else int(found) for name, found in more.items()}
    events = [(int(time), amount + 1) for amount, time in enumerate(times.split())]
    assert answers(Fold("f", "pay", ("payer",), kind, value, **given), events) == " ".join(expected.split())


def test_an_unknown_age_is_never_empty():
    fold = Fold("f", "pay", ("payer",), "count", current="out", age_ms_max=3, empty=7)
    plan = Plan.compile([PAY], [fold], ["pay"], 0)
    rows = FeatureState(plan).run(*as_arrays([Event(1, time, ((1, 1), (2, 1)), (1,)) for time in (1, 2, 9)], 2, 1))
    assert [plan.exact(row, 0) for row in rows] == [7, 1, None]
    assert str(plan.floats(rows)[2, 0]) == "nan"


def test_first_and_nth_last_of_all_history_outlive_the_ring():
    folds = [
        Fold("first", "pay", ("payer",), "first", "amount"),
        Fold("fourth", "pay", ("payer",), "nth_last", "amount", nth=4),
        Fold("three", "pay", ("payer",), "sum", "amount", last=3),
    ]
    plan = Plan.compile([PAY], folds, ["pay"], 0)
    state = FeatureState(plan)
    rows = state.run(*as_arrays([Event(1, 1000 * n, ((1, 1), (2, 1)), (n,)) for n in range(1, 200)], 2, 1))
    assert rows[-1].tolist() == [1, 196, 199 + 198 + 197]


def test_a_range_that_does_not_fit():
    big = 2**62
    plan = Plan.compile([PAY], [Fold("f", "pay", ("payer",), "range", "amount", 10)], ["pay"], 0)
    state = FeatureState(plan)
    rows = state.run(*as_arrays([Event(1, 1, ((1, 1), (2, 1)), (n,)) for n in (big, 2 - big)], 2, 1))
    assert rows[-1].tolist() == [2 * big - 2]
    with pytest.raises(Exception, match="fold f, event 0 of the group"):
        state.run(*as_arrays([Event(1, 1, ((1, 1), (2, 1)), (1 - big,))], 2, 1))


# Payments (payer, payee): what the payer has received before, and what the payee has.
def test_match_reads_what_was_put_in_under_another_key():
    received = Fold("received", "pay", ("payee",), "sum", "amount", match=("payer",))
    own = Fold("own", "pay", ("payee",), "sum", "amount", match=("payer",), current="out")
    plan = Plan.compile([PAY], [received, own], ["pay"], 0)
    events = [(1, 2, 5), (2, 3, 7), (3, 2, 1), (2, 2, 4), (2, 1, 1)]
    made = [Event(1, time, ((payer, 1), (payee, 1)), (n,)) for time, (payer, payee, n) in enumerate(events)]
    rows = FeatureState(plan).run(*as_arrays(made, 2, 1)).tolist()
    assert rows == [[NULL, NULL], [5, 5], [7, 7], [10, 6], [10, 10]]  # Only what pays itself is its own.


def test_match_of_a_pair_is_sorted_with_its_key():
    back = Fold("back", "pay", ("payer", "payee"), "count", match=("payee", "payer"))
    same = Fold("same", "pay", ("payee", "payer"), "count", match=("payer", "payee"))
    plan = Plan.compile([PAY], [back, same], ["pay"], 0)
    assert len(plan.tables) == 1
    made = [Event(1, 1, ((payer, 1), (payee, 1)), (1,)) for payer, payee in [(1, 2), (2, 1), (2, 1), (1, 2)]]
    assert FeatureState(plan).run(*as_arrays(made, 2, 1)).tolist() == [[0, 0], [1, 1], [1, 1], [2, 2]]


def test_through_reads_under_the_key_that_another_fold_answers():
    folds = [
        Fold("risk", "shop", ("shop",), "last", "risk", through="its_shop"),
        Fold("its_shop", "link", ("payer",), "last", "shop", age_ms_max=50),
        Fold("risks", "shop", ("shop",), "count", through="its_shop"),
    ]
    plan = Plan.compile([PAY, LINK, SHOP], folds, ["pay"], 0)
    events = [
        Event(3, 1, ((2**63 + 5, 9),), (70,)),
        Event(1, 2, ((1, 1), (0, 0)), (1,)),  # No shop yet.
        Event(2, 3, ((1, 1), (2**63 + 5, 9)), (1,)),
        Event(1, 4, ((1, 1), (0, 0)), (1,)),
        Event(2, 5, ((1, 1), (2**63 + 5, 8)), (1,)),  # Another shop, with the same 53 bits.
        Event(1, 6, ((1, 1), (0, 0)), (1,)),
        Event(2, 7, ((1, 1), (0, 0)), (1,)),
        Event(1, 8, ((1, 1), (0, 0)), (1,)),
        Event(1, 99, ((1, 1), (0, 0)), (1,)),  # Too old to be known.
    ]
    rows = FeatureState(plan).run(*as_arrays(events, 2, 1))
    shop = (2**63 + 5) >> 11
    assert [[text(value) for value in row] for row in rows[[1, 3, 5, 7, 8]].tolist()] == [
        ["-", "-", "0"], ["70", str(shop), "1"], ["-", str(shop), "0"], ["-", "-", "0"], ["?", "?", "?"]
    ]  # fmt: skip
    single = FeatureState(plan)
    for event, row in zip(events, rows, strict=True):
        key = b"".join(half.to_bytes(8, "little") for pair in event.keys for half in pair)
        assert single.one(event.code, event.time_ms, key, event.numbers).tolist() == row.tolist()
    assert single.keys["shop by shop read through its_shop"] == 1
