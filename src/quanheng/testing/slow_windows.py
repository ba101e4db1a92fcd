"""What lies in a window, by scanning: the twin of kernel/edges.py, with the time zones of the standard library."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from quanheng.features.fold import Fold

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_MS = 60_000


class Row(Protocol):
    """An event in a fold."""

    @property
    def time_ms(self) -> int:
        """Where it is placed."""

    @property
    def arrival(self) -> int:
        """Its number in the order of arrival."""


Kept = TypeVar("Kept", bound=Row)


def window_of(fold: Fold, rows: Sequence[Kept], time_ms: int, own: int) -> list[Kept]:
    """Rows of a window in the order of (time, arrival).

    Parameters
    ----------
    rows : every event of the key
    time_ms : the moment
    own : arrival of the event being decided
    """
    high = time_ms - fold.delay_ms
    low = -(2**100) if fold.window_ms is None else high - fold.window_ms + 1
    if fold.since is not None:
        low = max(low, unit_start_ms(fold.since, fold.zone, high))
    window = sorted(
        (
            row
            for row in rows
            if low <= row.time_ms <= high and not (fold.current == "out" and row.arrival == own)
        ),
        key=lambda row: (row.time_ms, row.arrival),
    )  # fmt: skip
    if fold.gap_ms is not None:
        window = _session(window, fold.gap_ms, high)
    return window if fold.last is None else window[-fold.last :]


def stale(fold: Fold, window: Sequence[Row], time_ms: int) -> bool:
    """Whether the newest row is older than the fold allows."""
    return fold.age_ms_max is not None and len(window) > 0 and time_ms - window[-1].time_ms > fold.age_ms_max


def _session(window: list[Kept], gap_ms: int, high: int) -> list[Kept]:
    """The last run of rows that follow one another by at most the gap, if it still goes on at `high`."""
    session: list[Kept] = []
    after = high
    for row in reversed(window):
        if after - row.time_ms > gap_ms:
            break
        session.insert(0, row)
        after = row.time_ms
    return session


@lru_cache(maxsize=100_000)
def unit_start_ms(unit: str, zone: str, time_ms: int) -> int:
    """First instant whose local date lies in the same unit as that of `time_ms` (ms UTC)."""
    day = _local(zone, time_ms).date()
    first = {
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "quarter": date(day.year, day.month - (day.month - 1) % 3, 1),
        "year": date(day.year, 1, 1),
    }[unit]
    return _first_instant(zone, first)


@lru_cache(maxsize=10_000)
def _first_instant(zone: str, first: date) -> int:
    """Two days are walked through minute by minute, and the first minute that shows the date by halves."""
    midnight = (datetime(first.year, first.month, first.day, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
    low = midnight - 1440 * _MINUTE_MS
    while _local(zone, low + _MINUTE_MS).date() < first:
        low += _MINUTE_MS
    high = low + _MINUTE_MS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _local(zone, middle).date() < first else (low, middle)
    return high


def _local(zone: str, time_ms: int) -> datetime:
    return (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(ZoneInfo(zone))
