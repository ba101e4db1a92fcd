"""`where`: the machine of the kernel == its slow twin == the FEEL judge, with nulls and extremes."""

from __future__ import annotations

import random
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from quanheng.features.conditions import scope_of
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel import words as w
from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.features.machine import ASKED
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.feel.judge import evaluate
from quanheng.kernel.calendars import Calendar, CalendarYear
from quanheng.testing.slow_conditions import asked, true_of
from quanheng.testing.slow_features import Event, SlowFeatures, as_arrays

sys.path.insert(0, str(Path(__file__).parent))

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
PAY = EventLayout(
    "pay", 3, ("customer",), ("units", "price", "rate", "vip", "paid_ms", "channel", "before"), (0, 2, 6, 0, 0, 0, 0),
    (("channel", ("web", "stripe", "chip")), ("before", ("web", "stripe", "chip"))), ("vip",),
)  # fmt: skip
DAYS = Calendar(
    "days", (5, 6),
    (
        CalendarYear(2024, (date(2024, 1, 1), date(2024, 2, 10)), (date(2024, 2, 9),), "invented"),
        CalendarYear(2026, (date(2026, 1, 1),), (date(2026, 1, 2),), "invented"),
    ),
)  # fmt: skip
ZONES = ("UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns")
NUMBERS = ("units", "price", "rate", "paid_ms", "hour", "weekday", "month", "month_day")
MOST = -w.NUMBER_MIN


def number(rng, depth=2):
    if depth and rng.random() < 0.3:
        return f"({number(rng, depth - 1)} {rng.choice('+-*')} {number(rng, depth - 1)})"
    if rng.random() < 0.15:
        return f"-{rng.choice(NUMBERS)}"
    literals = ("0", "1", "-3", "2.5", "0.01", "7.000", "12", "0.123456", "9223372036854775805", "-9000000000000000000")
    return rng.choice(NUMBERS) if rng.random() < 0.6 else rng.choice(literals)


def boolean(rng, depth=3):
    if depth and rng.random() < 0.55:
        parts = [boolean(rng, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
        return rng.choice(
            [f"({' and '.join(parts)})", f"({' or '.join(parts)})", f"not({parts[0]})", f"({parts[0]}) = ({parts[1]})"]
        )
    a, b, c = (number(rng, 1) for _ in range(3))
    op = rng.choice(["=", "!=", "<", "<=", ">", ">="])
    return rng.choice(
        [
            f"{a} {op} {b}", f"{a} between {b} and {c}", f"{a} in ({b}, {c})", f"{a} in [{b}..{c}]",
            f"{a} in (> {b}, {c})",
            f"{a} in ]0..{c}[", f"{a} = null", f"null != {a}", "vip", "vip = true", "vip = null", "vip != false",
            'channel = "web"', 'channel != "chip"', 'channel in ("web", "stripe")', "channel = before",
            "channel = null",
            '"web" = channel', "night", "weekend", "holiday", "workday", "holiday = null", "true", "false", "null",
            'not(channel in ("chip"))', "channel in (before, \"chip\")",
        ]
    )  # fmt: skip


def row(rng):
    wide = [0, 1, -1, 2, 3, 12, MOST, -MOST, w.NUMBER_MAX, 10**18, 7 * 10**17, 250, 1, 100, 2_500_000]
    some = [w.NULL if rng.random() < 0.15 else rng.choice(wide) for _ in range(3)]
    rest = [rng.choice([w.NULL, 0, 1]), rng.choice([w.NULL, 0, 10**12]), *(rng.choice([w.NULL, 0, 1, 2]) for _ in "cb")]
    return (*some, *rest)


def moment(rng):
    first, last = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000) for year in (2023, 2028))
    return rng.randrange(first, last)


def judged(text, zone, time_ms, numbers):
    """What the FEEL judge says, which knows no 64 bits."""
    given, scope = {}, scope_of(PAY)
    for name, value in zip(PAY.numbers, numbers, strict=True):
        known = dict(PAY.choices)
        if value == w.NULL:
            given[name] = None
        elif name in known:
            given[name] = known[name][value]
        else:
            given[name] = bool(value) if name in PAY.flags else Decimal(value).scaleb(-PAY.scale(name))
    for name in set(ASKED):
        found = asked(name, time_ms, zone, DAYS)
        given[name] = None if found is None else bool(found) if str(scope[name]) == "boolean" else found
    return evaluate(text, scope, given).value is True


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(1_733_895_147)  # The square of a time.
def test_kernel_equals_twin_equals_judge(seed):
    rng = random.Random(seed)
    zone = rng.choice(ZONES)
    texts = [boolean(rng) for _ in range(20)]
    folds = [Fold(f"f{i}", "pay", (), "count", where=one, zone=zone, calendar="days") for i, one in enumerate(texts)]
    state = FeatureState(Plan.compile([PAY], folds, ["pay"], 2**50, calendars={"days": DAYS}))
    events = sorted((Event(3, moment(rng), ((1, 1),), row(rng)) for _ in range(20)), key=lambda one: one.time_ms)
    raw = state.run(*as_arrays(events, 1, len(PAY.numbers)))
    held = np.diff(raw, axis=0, prepend=0)
    for event, held_now in zip(events, held.tolist(), strict=True):
        for fold, counted in zip(folds, held_now, strict=True):
            expected = true_of(PAY, fold, event.time_ms, event.numbers, {"days": DAYS})
            assert counted == expected, f"seed={seed} {fold.where} {event} {zone}"
            small = all(value == w.NULL or abs(value) < 10**7 for value in event.numbers[:3])
            small &= "*" not in fold.where or "paid_ms" not in fold.where  # A product of times fits no 64 bits: null.
            if small and not any(long in fold.where for long in ("9223372036854775805", "9000000000000000000")):
                assert expected == judged(fold.where, zone, event.time_ms, event.numbers), f"seed={seed} {fold.where}"


@settings(max_examples=20, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
def test_dates_of_the_kernel_are_those_of_the_calendar(seed):
    """Days around changes of the clock, leap days, the ends of years and of what a calendar covers."""
    rng = random.Random(seed)
    zone = rng.choice(ZONES)
    folds = [
        Fold(kind, "pay", (), kind, zone=zone, calendar="days" if kind in {"holiday", "workday", "weekend"} else None)
        for kind in CALENDAR_KINDS
    ]
    plan = Plan.compile([PAY], folds, ["pay"], 0, calendars={"days": DAYS})
    first = int(datetime(1845, 1, 1, tzinfo=UTC).timestamp() * 1000)
    last = int(datetime(2199, 12, 1, tzinfo=UTC).timestamp() * 1000)
    times = [rng.randrange(first, last) for _ in range(200)] + [moment(rng) for _ in range(200)]
    events = [Event(3, time, ((1, 1),), row(rng)) for time in times]
    raw = FeatureState(plan).run(*as_arrays(events, 1, len(PAY.numbers)))
    twin = SlowFeatures([PAY], folds, ["pay"], 0, {"days": DAYS})
    assert raw.tolist() == [twin.run(event) for event in events], f"seed={seed} {zone}"


@settings(max_examples=15, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
def test_large_groups_equal_single_events(seed):
    """Events that are read and not folded, in runs and one by one; floats and raw; late ones are of those folded."""
    rng = random.Random(seed)
    zone, kinds = rng.choice(ZONES), rng.choice([("count", "sum"), ("count", "sum", "max", "distinct", "last")])
    folds = [
        Fold(
            f"f{place}", "pay", rng.choice([("customer",), ()]), kind, {"count": None}.get(kind, "units"),
            rng.choice([None, 10**9]), current=rng.choice(["in", "out"]), zone=zone, calendar="days",
            where=rng.choice([None, "vip", "night or units > 3", 'channel in ("web", "chip")', "not(workday)"]),
        )
        for place, kind in enumerate(kinds * 2)
    ]  # fmt: skip
    folds.append(Fold("hour", "pay", (), "hour", zone=zone))
    folds.append(Fold("free", "pay", (), "holiday", zone=zone, calendar="days"))
    plan = Plan.compile([PAY], folds, ["pay"], 10**8, calendars={"days": DAYS})
    clock, events = moment(rng), []
    for _ in range(w.LARGE + 300):
        clock += rng.randrange(10**8)
        numbers = (rng.randrange(-9, 9), *row(rng)[1:])
        events.append(Event(3, clock - rng.choice([0, 0, 0, 10**8, 10**10]), ((rng.randrange(5), 1),), numbers))
    arrays = as_arrays(events, 1, len(PAY.numbers))
    mask = np.array([rng.random() < 0.7 for _ in events])
    large, single, floats = FeatureState(plan), FeatureState(plan), FeatureState(plan)
    rows = large.run(*arrays, read=mask)
    for place, event in enumerate(events):
        key = b"".join(half.to_bytes(8, "little") for pair in event.keys for half in pair)
        found = single.one(event.code, event.time_ms, key, event.numbers)
        if mask[place]:
            assert found.tolist() == rows[place].tolist(), f"seed={seed} {place}"
        else:
            assert (rows[place] == w.NULL).all()
    assert large.digest() == single.digest()
    assert large.late == single.late
    as_floats = floats.run_floats(*arrays, read=mask)
    np.testing.assert_array_equal(as_floats[mask], plan.floats(np.ascontiguousarray(rows[mask])))
    head = slice(0, 400)
    twin = SlowFeatures([PAY], folds, ["pay"], 10**8, {"days": DAYS})
    expected = [twin.run(event) for event in events[head]]
    again = FeatureState(plan).run(*(part[head] for part in arrays))
    assert again.tolist() == expected, f"seed={seed}"
