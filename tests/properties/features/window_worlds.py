"""Random plans over every kind of window and every way to a key, and events around the days when clocks change."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from feature_worlds import LAYOUTS, random_folds

from quanheng.features.fold import BUILT, Fold
from quanheng.features.kernel.words import NULL, NUMBER_MAX, NUMBER_MIN
from quanheng.features.kinds import CALENDAR_KINDS, KINDS, STARTS
from quanheng.testing.slow_features import Event

HOUR = 3_600_000

# Zone and a moment close to a change of its clocks.
MOMENTS = [
    ("UTC", "1970-01-01T00:00"),
    ("Asia/Shanghai", "2024-12-31T16:00"),
    ("Europe/Berlin", "2024-03-31T01:00"),
    ("Europe/Berlin", "2024-10-27T01:00"),
    ("Asia/Kolkata", "1941-10-01T00:00"),  # Half an hour, and back and forth in the war.
    ("Australia/Lord_Howe", "2023-10-01T00:00"),  # Clocks change by half an hour.
    ("America/Sao_Paulo", "2018-11-04T03:00"),  # Midnight does not exist.
    ("America/Havana", "2023-11-05T05:00"),  # 01:00 becomes 00:00: midnight exists twice.
    ("America/St_Johns", "2006-10-29T02:31"),  # 00:01 becomes 23:01 of the day before.
    ("Pacific/Apia", "2011-12-30T10:00"),  # A day is left out.
    ("America/Juneau", "1867-10-19T00:00"),  # A day is lived twice.
    ("Asia/Gaza", "2024-04-20T00:00"),
]  # fmt: skip
CONDITIONS = {
    "payment": ("amount > 0", "flag != 0 and amount < 0.05", "hour >= 6 or flag = null", "not(weekend)"),
    "report": ("weight in (1, 2, 3)", "amount between -0.004 and weight"),
}
KEY_FIELDS = {"payment": ("customer", "terminal", "device"), "report": ("terminal", "customer"), "login": ("customer",)}


def random_windows(rng: random.Random, folds: Sequence[Fold], zone: str, unit_ms: int) -> list[Fold]:
    """The folds with other windows and other ways to their keys. Times become multiples of `unit_ms`."""
    made = [_varied(rng, fold, zone, unit_ms) for fold in folds]
    return made + _through(rng, made)


def _varied(rng: random.Random, fold: Fold, zone: str, unit_ms: int) -> Fold:
    """A fold with another window, where its kind takes one, and another way to its key."""
    window_ms = None if fold.window_ms is None else fold.window_ms * unit_ms
    one = replace(fold, window_ms=window_ms, delay_ms=fold.delay_ms * unit_ms)
    if fold.fold != "change" and fold.exact_max is None:  # Those are of a window of time alone, and of all history.
        if rng.random() < 0.5:
            one = replace(one, since=rng.choice(STARTS[:2] if rng.random() < 0.7 else STARTS), zone=zone)
        if rng.random() < 0.35:
            one = replace(one, last=rng.choice([1, 2, 3, 7]))
        if rng.random() < 0.5 and one.window_ms is not None:
            one = replace(one, gap_ms=rng.randint(1, min(one.window_ms, 6 * unit_ms)))
    if rng.random() < 0.25 and fold.of in CONDITIONS:
        one = replace(one, where=rng.choice(CONDITIONS[fold.of]), zone=zone)
    if rng.random() < 0.25:
        one = replace(one, age_ms_max=rng.choice([0, 1, 3, 12]) * unit_ms)
    if rng.random() < 0.3 and one.by:
        one = replace(one, match=tuple(rng.choice(KEY_FIELDS[rng.choice([*KEY_FIELDS])]) for _ in one.by))
    return one


def _through(rng: random.Random, folds: Sequence[Fold]) -> list[Fold]:
    """Some folds again, read through the answer of a `last` over a key; and folds through folds."""
    lasts = [
        Fold(f"way{number}", "payment", (by,), "last", value, rng.choice([None, 9 * HOUR]),
             current=rng.choice(["in", "out"]), age_ms_max=rng.choice([None, None, 5 * HOUR]))
        for number, (by, value) in enumerate([("customer", "terminal"), ("terminal", "device"), ("device", "customer")])
    ]  # fmt: skip
    lasts.append(replace(lasts[0], name="way3", by=("terminal",), value="customer", through="way0"))
    own = [one for one in folds if len(one.by) == 1]
    made = [
        replace(one, name=f"{one.name} through", match=(), through=f"way{rng.randrange(4)}")
        for one in rng.sample(own, min(3, len(own)))
    ]
    both = made + lasts
    rng.shuffle(both)
    return both if rng.random() < 0.5 else []


def window_world(seed: int, events_n: int, folds_n: int = 10) -> tuple[random.Random, list[Fold], list[Event]]:
    """A generator, folds, and events in hours, minutes or ms around a change of clocks."""
    rng = random.Random(seed)
    zone, around = rng.choice(MOMENTS)
    unit_ms = rng.choice([1, 60_000, HOUR, HOUR, 3 * HOUR])
    folds = random_windows(rng, random_folds(rng, folds_n, [kind for kind in BUILT if kind != "change"]), zone, unit_ms)
    return rng, folds, _events(rng, around, unit_ms, events_n, rng.choice([1, 2, 5]))


def everything(seed: int, events_n: int, keys: int = 0) -> tuple[random.Random, list[Fold], list[Event]]:
    """As `window_world`; but one plan holds every kind of fold, each with any window and any way to its key."""
    rng = random.Random(seed)
    zone, around = rng.choice(MOMENTS)
    unit_ms = rng.choice([1, 60_000, HOUR, HOUR, 3 * HOUR])
    folds, kinds = list[Fold](), [*BUILT, *rng.choices([kind for kind in BUILT if kind not in CALENDAR_KINDS], k=8)]
    for number, kind in enumerate(kinds):
        if kind in CALENDAR_KINDS:
            calendar = "days" if "calendar" in KINDS[kind].needs else None
            folds.append(Fold(f"f{number}", "payment", (), kind, zone=zone, calendar=calendar))
            continue
        one = random_folds(rng, 1, [kind, "seen"])[0]  # A login has no number.
        while one.fold != kind:
            one = random_folds(rng, 1, [kind, "seen"])[0]
        folds.append(_varied(rng, replace(one, name=f"f{number}"), zone, unit_ms))
    folds += _through(rng, [fold for fold in folds if fold.fold not in CALENDAR_KINDS])
    rng.shuffle(folds)
    return rng, folds, _events(rng, around, unit_ms, events_n, keys or rng.choice([1, 2, 5]))


def _events(rng: random.Random, around: str, unit_ms: int, events_n: int, keys: int) -> list[Event]:
    """Late, tied and null events."""
    start = int(datetime.fromisoformat(around).replace(tzinfo=UTC).timestamp()) * 1000
    clock, late_ms = start - rng.randrange(30) * unit_ms, rng.choice([0, 3, 30]) * unit_ms
    jump, big, events = rng.choice([1, 4, 30]), rng.random() < 0.15, list[Event]()
    wide = rng.choice([(2**61, -(2**61)), (NUMBER_MAX, NUMBER_MIN, -(2**62), 2**50, 0, 5, -1)])
    for _ in range(events_n):
        clock += rng.choice([0, 0, 1, rng.randrange(jump + 1)]) * unit_ms + rng.choice([0, 0, 0, 1, -1])
        time = clock - (rng.randrange(late_ms + 1) if rng.random() < 0.3 else 0)
        layout = rng.choices(LAYOUTS, [6, 3, 2])[0]
        pairs = tuple((0, 0) if rng.random() < 0.05 else (rng.randrange(1, keys + 1), 1) for _ in layout.keys)
        numbers = tuple(
            NULL if rng.random() < 0.1 else rng.choice(wide) if big else rng.randrange(-9, 10) for _ in layout.numbers
        )
        events.append(Event(layout.code, time, pairs, numbers))
    return events
