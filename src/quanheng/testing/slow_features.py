"""The plain-Python twin of the feature kernel: keeps every event, scans for every vector. It judges the fast one.

It states the law in the fewest lines:

* Events are taken in log order. The one being decided is applied first.
* An event goes into a fold unless its condition (`where`) is not true of it, a key of it is null, or it is later than
  `lateness_ms` behind the newest event of its key that was folded, which is counted.
* A vector at time t holds the events with the same key and t-delay-window < time <= t-delay that were applied until
  then; with current = "out" not the event being decided, but others of the same time.
* Windows of other kinds: slow_windows.py. A fold whose newest event is older than `age_ms_max` is UNKNOWN.
* The key is that of `by`; what is read may lie under other fields of the decided event (`match`), or under the key that
  another fold answers at that moment (`through`).
* A moment more than `lateness_ms` behind the newest event of its key is UNKNOWN.
* Null values are passed over by all folds over values but few: `last`, `first` and `nth_last` take an event by (time,
  arrival) whatever its value, null ends a streak, and a place with a null has no distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from quanheng.features.decay import HALF_LIVES
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import NULL, NUMBER_MAX, NUMBER_MIN, UNKNOWN
from quanheng.features.kinds import CALENDAR_KINDS, KINDS
from quanheng.features.windows import edge_of
from quanheng.kernel.calendars import Calendars
from quanheng.testing.slow_conditions import asked, true_of
from quanheng.testing.slow_moments import MARKED, Own, Point, marked
from quanheng.testing.slow_structures import places_answer, streak, values_answer
from quanheng.testing.slow_windows import stale, window_of

Key = tuple[int, int]


class SlowOverflow(Exception):
    """A sum does not fit 64 bits (the twin of FeatureOverflow)."""


class Event(NamedTuple):
    """One event as the twin sees it."""

    code: int
    time_ms: int
    keys: tuple[Key, ...]
    numbers: tuple[int, ...]


class Kept(NamedTuple):
    """An event in a fold; `arrival` orders events of the same time."""

    time_ms: int
    arrival: int
    value: int | Key | None
    other: int | None = None


class SlowFeatures:
    """Folds over plain lists. Same answers as FeatureState, thousands of times slower."""

    def __init__(
        self,
        layouts: Sequence[EventLayout],
        folds: Sequence[Fold],
        decide: Sequence[str],
        lateness_ms: int,
        calendars: Calendars | None = None,
    ) -> None:
        self.calendars = calendars or {}
        self.layouts = {layout.code: layout for layout in layouts}
        self.folds, self.decide, self.lateness_ms = tuple(folds), frozenset(decide), lateness_ms
        self.kept: list[dict[tuple[Key, ...], list[Kept]]] = [{} for _ in folds]
        self.newest: list[dict[tuple[Key, ...], int]] = [{} for _ in folds]
        self.late = dict.fromkeys((fold.name for fold in folds), 0)
        self.arrived = 0

    def apply(self, event: Event) -> None:
        """Apply one event without reading."""
        layout = self.layouts.get(event.code)
        self.arrived += 1
        for number, fold in enumerate(self.folds):
            if layout is None or fold.of != layout.name or fold.fold in CALENDAR_KINDS:
                continue
            if true_of(layout, fold, event.time_ms, event.numbers, self.calendars, event.keys):
                self._apply(layout, fold, number, event)

    def run(self, event: Event) -> list[int] | None:
        """Apply one event; its raw columns if it is decided."""
        self.apply(event)
        layout = self.layouts.get(event.code)
        if layout is None or layout.name not in self.decide:
            return None
        columns: list[int] = []
        for number, fold in enumerate(self.folds):
            columns += self._read(layout, fold, number, event)
        return columns

    def _key(self, layout: EventLayout, fields: Sequence[str], event: Event) -> tuple[Key, ...] | None:
        if not set(fields) <= set(layout.keys):
            return None
        key = tuple(event.keys[layout.keys.index(name)] for name in fields)
        return None if (0, 0) in key else key

    def _read_key(self, layout: EventLayout, fold: Fold, event: Event) -> tuple[Key, ...] | int | None:
        """Key that is read; None if there is none, UNKNOWN if it is not known."""
        if fold.through is None:
            return self._key(layout, fold.match or fold.by, event)
        number = next(place for place, one in enumerate(self.folds) if one.name == fold.through)
        window = self._window(layout, number, event)
        if isinstance(window, int):
            return window
        value = window[-1].value if window else None
        return (value,) if isinstance(value, tuple) else None

    def _apply(self, layout: EventLayout, fold: Fold, number: int, event: Event) -> None:
        key = self._key(layout, fold.by, event)
        if key is None:
            return
        newest = self.newest[number].get(key)
        if newest is not None and event.time_ms < newest - self.lateness_ms:
            self.late[fold.name] += 1
            return
        self.newest[number][key] = event.time_ms if newest is None else max(newest, event.time_ms)
        value: int | Key | None = None
        if fold.value in layout.numbers:
            field = event.numbers[layout.numbers.index(fold.value)]
            value = None if field == NULL else field
        elif fold.value is not None:
            pair = event.keys[layout.keys.index(fold.value)]
            value = None if pair == (0, 0) else pair
        other = event.numbers[layout.numbers.index(fold.other)] if fold.other is not None else NULL
        kept = Kept(event.time_ms, self.arrived, value, None if other == NULL else other)
        self.kept[number].setdefault(key, []).append(kept)

    def _window(self, layout: EventLayout, number: int, event: Event) -> list[Kept] | int:
        """The rows that a fold reads; UNKNOWN if they are not known."""
        fold = self.folds[number]
        key = self._read_key(layout, fold, event)
        if isinstance(key, int):
            return key
        newest = None if key is None else self.newest[number].get(key)
        if newest is not None and event.time_ms < newest - self.lateness_ms:
            return UNKNOWN
        rows = [] if key is None else self.kept[number].get(key, [])
        window = window_of(fold, rows, event.time_ms, self.arrived)
        if fold.half_life_ms is not None and edge_of(fold) is None:  # Its window is no longer than 64 half-lives.
            first = event.time_ms - fold.delay_ms - HALF_LIVES * fold.half_life_ms
            window = [row for row in window if row.time_ms > first]
        return UNKNOWN if stale(fold, window, event.time_ms) else window

    def _read(self, layout: EventLayout, fold: Fold, number: int, event: Event) -> list[int]:
        if fold.fold in CALENDAR_KINDS:
            calendar = self.calendars[fold.calendar] if fold.calendar else None
            answer = asked(fold.fold, event.time_ms, fold.zone, calendar) if fold.of == layout.name else None
            return [NULL if answer is None else answer]
        window = self._window(layout, number, event)
        if isinstance(window, int):
            return [window] * len(KINDS[fold.fold].parts)
        if fold.fold == "change":
            key = self._read_key(layout, fold, event)
            rows = [] if key is None or isinstance(key, int) else self.kept[number].get(key, [])
            before = replace(fold, delay_ms=fold.delay_ms + (fold.window_ms or 0))
            return _change(fold, window, window_of(before, rows, event.time_ms, self.arrived))
        of = next(one for one in self.layouts.values() if one.name == fold.of)
        if fold.fold in MARKED:
            scale = of.scale(fold.value) if fold.value is not None else 0
            points = [Point(one.time_ms, one.value if isinstance(one.value, int) else None) for one in window]
            last = event.time_ms - fold.delay_ms
            return [marked(fold, scale, points, last, _own(layout, fold.value, scale, event))]
        if fold.fold in {"distance", "speed"}:
            places = [(one.time_ms, one.value if isinstance(one.value, int) else None, one.other) for one in window]
            return places_answer(fold, places, (of.scale(fold.value or ""), of.scale(fold.other or "")))
        return _aggregate(fold, window, event.time_ms)


def _own(layout: EventLayout, value: str | None, scale: int, event: Event) -> Own | None:
    """The decided event's own value of that name."""
    if value is None or value not in layout.numbers:
        return None
    number = event.numbers[layout.numbers.index(value)]
    more = scale - layout.scale(value)
    return None if number == NULL else Own(number, 10 ** max(more, 0), 10 ** max(-more, 0))


def _sum(fold: Fold, numbers: Sequence[int | Key | None]) -> int | None:
    """Sum of what is not null; None if all is."""
    values = [value for value in numbers if isinstance(value, int)]
    return _fits(fold, sum(values)) if values else None


def _fits(fold: Fold, number: int) -> int:
    if not NUMBER_MIN <= number <= NUMBER_MAX:
        raise SlowOverflow(fold.name)
    return number


def _change(fold: Fold, now: Sequence[Kept], earlier: Sequence[Kept]) -> list[int]:
    if fold.value is None:
        return [len(now) - len(earlier), len(earlier)] if earlier else [NULL, 0]
    values = [one.value for one in earlier if isinstance(one.value, int)]
    if not values:
        return [NULL, 0]
    more = sum(one.value for one in now if isinstance(one.value, int)) - sum(values)
    return [_fits(fold, more), _fits(fold, sum(values))]


def _aggregate(fold: Fold, window: list[Kept], time_ms: int) -> list[int]:
    if fold.fold == "count":
        return [len(window)]
    if fold.fold in ROW_KINDS:
        return [_of_rows(fold, window, time_ms)]
    if fold.fold == "streak":
        return [streak([one.value for one in window])]
    values = [one.value for one in window if one.value is not None]
    if fold.fold in {"distinct", "top", "top_share", "entropy", "percentile"}:
        return values_answer(fold, values)
    numbers = [value for value in values if isinstance(value, int)]
    if fold.fold in {"sum", "mean", "ratio"}:
        total = _sum(fold, values)
        raw = NULL if total is None else total
        if fold.fold == "ratio":
            other = _sum(fold, [one.other for one in window])
            return [raw, NULL if other is None else other]
        return [raw] if fold.fold == "sum" else [raw, len(numbers)]
    if fold.fold == "range" and numbers:
        return [_fits(fold, max(numbers) - min(numbers))]
    return [(min(numbers) if fold.fold == "min" else max(numbers)) if numbers else NULL]


ROW_KINDS = ("time_since", "last", "first", "nth_last", "first_time", "last_time", "time_since_first", "seen")


def _of_rows(fold: Fold, window: list[Kept], time_ms: int) -> int:
    """Folds that read one row."""
    if fold.fold == "seen":
        return int(len(window) > 0)
    nth = fold.nth or 1
    if len(window) < nth:
        return NULL
    row = window[0] if "first" in fold.fold else window[-nth]
    if fold.fold in {"time_since", "time_since_first"}:
        return time_ms - row.time_ms
    return row.time_ms if fold.fold.endswith("_time") else _number(row.value)


def _number(value: int | Key | None) -> int:
    if value is None:
        return NULL
    return value if isinstance(value, int) else value[0] >> 11


def as_arrays(
    events: Sequence[Event], keys_n: int, numbers_n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Events as the arrays that FeatureState.run takes."""
    types = np.array([event.code for event in events], dtype=np.int32)
    times = np.array([event.time_ms for event in events], dtype=np.int64)
    keys = np.zeros((len(events), keys_n, 2), dtype=np.uint64)
    numbers = np.full((len(events), numbers_n), NULL, dtype=np.int64)
    for row, event in enumerate(events):
        for place, key in enumerate(event.keys):
            keys[row, place] = key
        for place, number in enumerate(event.numbers):
            numbers[row, place] = number
    return types, times, keys, numbers
