"""The plain-Python twin of the feature kernel: keeps every event, scans for every vector. It judges the fast one.

It states the law in the fewest lines:

* Events are taken in log order. The one being decided is applied first.
* An event goes into a fold unless its condition (`where`) is not true of it, a key of it is null, or it is later than
  `lateness_ms` behind the newest event of its key that was folded, which is counted.
* A vector at time t holds the events with the same key and t-delay-window < time <= t-delay that were applied until
  then; with current = "out" not the event being decided, but others of the same time.
* A moment more than `lateness_ms` behind the newest event of its key is UNKNOWN.
* Null values are passed over by sum, mean, min, max and distinct. `last` takes the last event by (time, arrival).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from quanheng.features.calendars import Calendars
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import NULL, NUMBER_MAX, NUMBER_MIN, UNKNOWN
from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.testing.slow_conditions import asked, true_of

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
            if true_of(layout, fold, event.time_ms, event.numbers, self.calendars):
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

    def _key(self, layout: EventLayout, fold: Fold, event: Event) -> tuple[Key, ...] | None:
        if not set(fold.by) <= set(layout.keys):
            return None
        key = tuple(event.keys[layout.keys.index(name)] for name in fold.by)
        return None if (0, 0) in key else key

    def _apply(self, layout: EventLayout, fold: Fold, number: int, event: Event) -> None:
        key = self._key(layout, fold, event)
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
        self.kept[number].setdefault(key, []).append(Kept(event.time_ms, self.arrived, value))

    def _read(self, layout: EventLayout, fold: Fold, number: int, event: Event) -> list[int]:
        if fold.fold in CALENDAR_KINDS:
            calendar = self.calendars[fold.calendar] if fold.calendar else None
            answer = asked(fold.fold, event.time_ms, fold.zone, calendar) if fold.of == layout.name else None
            return [NULL if answer is None else answer]
        key = self._key(layout, fold, event)
        events = [] if key is None else self.kept[number].get(key, [])
        newest = None if key is None else self.newest[number].get(key)
        parts = 2 if fold.fold == "mean" else 1
        if newest is not None and event.time_ms < newest - self.lateness_ms:
            return [UNKNOWN] * parts
        last = event.time_ms - fold.delay_ms
        first = -(2**100) if fold.window_ms is None else last - fold.window_ms
        window = sorted(
            one
            for one in (one._replace(value=None) if fold.fold == "count" else one for one in events)
            if first < one.time_ms <= last and not (fold.current == "out" and one.arrival == self.arrived)
        )
        return _aggregate(fold, window, event.time_ms)


def _aggregate(fold: Fold, window: list[Kept], time_ms: int) -> list[int]:
    if fold.fold == "count":
        return [len(window)]
    if fold.fold == "time_since":
        return [time_ms - window[-1].time_ms if window else NULL]
    if fold.fold == "last":
        return [_number(window[-1].value) if window else NULL]
    values = [one.value for one in window if one.value is not None]
    if fold.fold == "distinct":
        return [len(set(values))]
    numbers = [value for value in values if isinstance(value, int)]
    if fold.fold in {"sum", "mean"}:
        total = sum(numbers) if numbers else NULL
        if numbers and not NUMBER_MIN <= total <= NUMBER_MAX:
            raise SlowOverflow(fold.name)
        return [total] if fold.fold == "sum" else [total, len(numbers)]
    return [(min(numbers) if fold.fold == "min" else max(numbers)) if numbers else NULL]


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
