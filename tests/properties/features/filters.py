"""Random filters that only FEEL can say, alone and beside what the machine of the kernel says; and events for them."""

from __future__ import annotations

import random

from test_conditions_equal_twin import DAYS, MOST, boolean, moment, row

from quanheng.features.fold import EventLayout
from quanheng.features.kernel import words as w
from quanheng.kernel.calendars import Calendars
from quanheng.testing.slow_features import Event

PAY = EventLayout(
    "pay", 3, ("customer", "peer", "shop"), ("units", "price", "rate", "vip", "paid_ms", "channel", "before"),
    (0, 2, 6, 0, 0, 0, 0), (("channel", ("web", "stripe", "chip")), ("before", ("web", "stripe", "chip", "POS-1"))),
    ("vip",),
)  # fmt: skip
ASK = EventLayout("ask", 4, ("customer", "peer"), ("units",))
CALENDARS: Calendars = {"days": DAYS}
QUESTIONS = ("vip", "night", "units > 1", "channel = before", "null", "peer = null")
NUMBERS = ("units", "price", "rate", "paid_ms", "hour", "weekday", "month_day", "moment.minute", "-price")


def amount(rng, depth=2):
    """A number."""
    if not depth or rng.random() < 0.4:
        return rng.choice([*NUMBERS, "0", "1", "3", "2.50", "0.001", "null"])
    a, b = amount(rng, depth - 1), amount(rng, depth - 1)
    return rng.choice(
        [
            f"({a} {rng.choice(['+', '-', '*', '/', '/', '**'])} {b})", f"abs({a})", f"floor({a})", f"modulo({a}, {b})",
            f"round half up({a}, 1)", f"(if {rng.choice(QUESTIONS)} then {a} else {b})", f"max({a}, {b})",
            f"sum([{a}, {b}])", f"sqrt({a})", f"string length(string({a}))", f"count([{a}][item > 1])",
            "string length(channel)",
            f"(for i in [{a}, {b}] return i * 2)[1]", "moment.hour", "date(moment).day", "day of year(moment)",
            f"number(string({a}))",
        ]
    )  # fmt: skip


def truth(rng, depth=2):
    """A condition, which may be null."""
    if depth and rng.random() < 0.5:
        parts = [truth(rng, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
        return rng.choice(
            [
                f"({' and '.join(parts)})", f"({' and '.join(parts)})", f"({' or '.join(parts)})", f"not({parts[0]})",
                f"(if {parts[0]} then {parts[1]} else {parts[-1]})", f"(({parts[0]}) = ({parts[1]}))",
            ]
        )  # fmt: skip
    a, b = amount(rng, 1), amount(rng, 1)
    op = rng.choice(["=", "!=", "<", "<=", ">", ">="])
    return rng.choice(
        [
            f"{a} {op} {b}", f"{a} {op} {b}", f"{a} between {b} and 7", f"{a} in ({b}, 3)", f"{a} in [{b}..9]",
            boolean(rng, 1), 'starts with(channel, "st")', 'ends with(before, "-1")', "channel < before",
            'list contains(["web", "POS-1"], before)', 'contains(before, "i") = vip', "upper case(channel) = before",
            f"some x in [units, rate, {a}] satisfies x {op} {b}", f"every x in [1, {a}] satisfies x < units",
            'matches(channel, "^(w|c)")', 'day of week(moment) in ("Monday", "Friday")',
            'time(moment) >= @"12:30:00+01:00"', 'date(moment) > @"2024-02-10"', "month of year(moment) = \"March\"",
            "customer = peer", "customer != peer", "peer = null", "shop in (customer, peer)", "not(peer = shop)",
            "null != shop", "vip instance of boolean", "is(vip, null)", "all([vip, night])", "any([vip, workday])",
            "holiday", 'string(price) = "2.50"', "1 / 0 = null", "list contains([1, null], units)", "null",
        ]
    )  # fmt: skip


def numbers_of(rng):
    """A row of the layout, mostly with small numbers, so that conditions are true of some."""
    if rng.random() < 0.2:
        return row(rng)
    small = [rng.choice([w.NULL, 0, 1, 2, 3, 7, 12, 100, 250, 2_500_000, -1, -3]) for _ in range(3)]
    flag, paid = rng.choice([w.NULL, 0, 1]), rng.choice([w.NULL, 0, 5, 10**12])
    return (*small, flag, paid, rng.choice([w.NULL, 0, 1, 2]), rng.choice([w.NULL, 0, 1, 2, 3]))


def key_of(rng):
    """A key of few entities, or null."""
    return (0, 0) if rng.random() < 0.1 else (rng.randrange(1, 4), 1)


def events_of(rng, count, step_ms=4 * 10**6):
    """Events in the order in which they become known: some are late, some of one time, some of another type."""
    clock, events = moment(rng), []
    for _ in range(count):
        clock += rng.choice([0, rng.randrange(step_ms)])
        time_ms = clock - rng.choice([0, 0, 0, 0, 10**7, 10**9])
        if rng.random() < 0.1:
            events.append(Event(ASK.code, time_ms, (key_of(rng), key_of(rng), (0, 0)), (rng.randrange(9),)))
        else:
            events.append(Event(PAY.code, time_ms, (key_of(rng), key_of(rng), key_of(rng)), numbers_of(rng)))
    return events


def extreme(rng):
    """A row at the ends of 64 bits."""
    ends = [MOST, -MOST, w.NUMBER_MAX, 10**18, w.NULL, 1, -1, 0]
    return (*(rng.choice(ends) for _ in range(3)), rng.choice([0, 1, w.NULL]), rng.choice([0, w.NULL]), 0, 3)


def random_filter(rng: random.Random) -> str:
    """A filter of any shape."""
    return truth(rng, rng.choice([0, 1, 2, 3]))
